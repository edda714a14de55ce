"""Compile a model for nutpie so that the first process starts in seconds and the next at once.

``nutpie.compile_pymc_model`` links PyTensor's function into a C callback of its own, and LLVM then
optimises the whole program again in every process. Here the callback calls PyTensor's function
through its address, so the function comes from PyTensor's disk cache as it is. The sampler stores its
vectors as they are; what the model makes of them is found after sampling, many draws at a time
(`program.Expansion`), and needs no machine code.
"""

from __future__ import annotations

import ctypes
import os
import types
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from pymc.initial_point import make_initial_point_fn
from pytensor.graph.basic import Constant
from pytensor.tensor.type import TensorType

from escalation_forecast.partial_centring import coordinates_of, innovations_of
from escalation_forecast.program import (
    CENTRED,
    CENTRED_NUMBERS,
    NUMBERS,
    POSITION,
    SCALE,
    Expansion,
    Layout,
    shown,
)

# What nutpie stores: the vector itself.
VECTOR: Final = "vector"
PLACE: Final = "place"
FIRST_PART: Final = 0.6  # of the nodes of a program, which take about as long to compile as the rest


@dataclass(frozen=True)
class Program:
    """A model that nutpie can sample, with its data.

    Attributes
    ----------
    sampler : nutpie.compile_pymc.CompiledPyMCModel
        Its draws are vectors of the layout.
    data : what the model's ``pm.Data`` hold, by name.
    """

    layout: Layout
    sampler: Any
    data: dict[str, np.ndarray]

    @property
    def n_dim(self) -> int:
        """Length of the vector that the sampler moves."""
        return self.layout.size

    def with_data(self, **values: Any) -> Program:
        """The same program with other data.

        Raises
        ------
        KeyError
            For a name that the model does not have.
        """
        if unknown := set(values) - set(self.data):
            raise KeyError(f"the model has no data named {', '.join(sorted(unknown))}")
        data = self.data | {n: _frozen(v, self.data[n].dtype) for n, v in values.items()}
        read = {variable.name for variable in self.sampler.shared_var_keys}
        updates = {name: data[name] for name in values if name in read}
        sampler = self.sampler.with_data(**updates, **{NUMBERS: self.layout.numbers(data)})
        return replace(self, sampler=sampler, data=data)

    def start_at(self, kept: xr.Dataset) -> Program:
        """The same program, started from what another fit left (`Layout.kept`).

        Chains start at draws of that fit, and the vector is measured from its means in its standard
        deviations, so that the sampler finds all scales near one. The posterior is the same.
        """
        position, scale, draws = self.layout.found_again(kept)
        held = self.sampler.with_data(**{POSITION: position, SCALE: scale})

        def start(seed: Any) -> np.ndarray:
            k = np.random.default_rng(int(seed)).integers(len(draws))
            return np.asarray((draws[k] - position) / scale)

        return replace(self, sampler=replace(held, initial_point_func=start))

    def coordinates(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (..., n_dim) that the sampler drew, without the origin and the units that it had."""
        return np.asarray(self._held(POSITION) + self._held(SCALE) * vectors)

    def unconstrained(self, vectors: np.ndarray) -> np.ndarray:
        """PyMC's unconstrained vectors (..., n_dim) of those that the sampler drew."""
        return innovations_of(self.coordinates(vectors), self._held(CENTRED), self._held(CENTRED_NUMBERS))

    def vectors(self, unconstrained: np.ndarray) -> np.ndarray:
        """`unconstrained` back to front."""
        x = coordinates_of(unconstrained, self._held(CENTRED), self._held(CENTRED_NUMBERS))
        return np.asarray((x - self._held(POSITION)) / self._held(SCALE))

    def as_pymc(self) -> Program:
        """The same program, moved by PyMC's own unconstrained vector."""
        none = {CENTRED: np.zeros(0, np.int64), CENTRED_NUMBERS: np.zeros(0)}
        size = self.n_dim
        own = self.sampler.with_data(**none, **{POSITION: np.zeros(size), SCALE: np.ones(size)})
        return replace(self, sampler=own)

    @cached_property
    def density(self) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """Log density and gradient at a vector of the sampler, through the callback that it calls.

        Both are not a number where the sampler would refuse the vector. Not for several threads at once.
        """
        sampler, n = self.sampler, self.n_dim
        pointer = ctypes.c_void_p
        call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[pointer] * 4)(
            sampler.compiled_logp_func.address
        )
        gradient, value, data = np.empty(n), np.empty(1), sampler.user_data
        places = gradient.ctypes.data, value.ctypes.data, data.ctypes.data

        def density(vector: np.ndarray) -> tuple[float, np.ndarray]:
            given = np.ascontiguousarray(vector, float)
            if call(n, given.ctypes.data, *places):
                return float("nan"), np.full(n, np.nan)
            return float(value[0]), gradient.copy()

        # Data and machine code live as long as the function that reads them.
        density.__dict__["keeps"] = sampler, data
        return density

    def _held(self, name: str) -> Any:
        """Data that the program adds to the model's."""
        (key,) = (key for variable, key in self.sampler.shared_var_keys.items() if variable.name == name)
        return self.sampler.shared_data[key]

    def expand(self, vectors: np.ndarray, names: Sequence[str]) -> xr.Dataset:
        """What the model names at vectors (chain, draw, n_dim) of the sampler."""
        return Expansion(self.layout, names)(self.unconstrained(vectors), self.data)


def compile_model(model: pm.Model) -> Program:
    """The program of a model.

    Parameters
    ----------
    model : pymc.Model
        All its data are vectors, so that other data, of other lengths too, need no new program.
    """
    from nutpie import compile_pymc as nutpie_pymc
    from pymc.pytensorf import compile as compile_pymc

    layout = Layout(model)
    data = {name: _frozen(variable.get_value()) for name, variable in layout.data.items()}
    value, gradient, (vector, *added) = layout.density()
    logp = compile_pymc([vector], [value, gradient], mode="NUMBA")
    logp.trust_input = True

    shared = list(dict.fromkeys([*added, *logp.get_shared()]))
    keys = {variable: f"shared_{position}" for position, variable in enumerate(shared)}
    held = {keys[v]: _frozen(v.get_value()) for v in shared}
    start = make_initial_point_fn(
        model=model, default_strategy="support_point", jitter_rvs=set(model.free_RVs), return_transformed=True
    )
    names = [str(model.rvs_to_values[rv].name) for rv in model.free_RVs]
    n = layout.size
    sampler = nutpie_pymc.CompiledPyMCModel(
        _n_dim=n,
        dims={VECTOR: (PLACE,)},
        _coords={PLACE: pd.RangeIndex(n)},
        _shapes={VECTOR: (n,)},
        compiled_logp_func=_callback(logp, keys, held, n, partial(_prepare, layout, data)),
        compiled_expand_func=_copy(n),
        initial_point_func=_flat_point(nutpie_pymc._wrap_with_lock(start), names, layout),
        shared_data=held,
        shared_var_keys=keys,
        user_data=nutpie_pymc.make_user_data(keys, held),
        n_expanded=n,
        shape_info=([VECTOR], [slice(0, n)], [(n,)]),
        logp_func=logp,
        expand_func=None,
        reparameterized_names=[],
    )
    return Program(layout, sampler, data).with_data()


def _prepare(layout: Layout, data: dict[str, np.ndarray]) -> None:
    """What is needed after sampling: kernels for Python, and libraries that take seconds to import."""
    import arviz_stats.base  # noqa: F401
    import matplotlib.figure  # noqa: F401

    Expansion(layout, shown(layout.model))(np.zeros((1, 1, layout.size)), data)


def _flat_point(
    point: Callable[[Any], dict[str, np.ndarray]], names: Sequence[str], layout: Layout
) -> Callable[[Any], Any]:
    def flat(seed: Any) -> np.ndarray:
        found = point(seed)
        joined = np.concatenate([np.ravel(found[name]) for name in names]).astype(float)
        return coordinates_of(joined, layout.centred, layout.centred_numbers)

    return flat


_LOGP_SOURCE = """
def callback(dim, x_, out_, value_, data_):
    if dim != {n_dim}:
        return -1
    x = carray(x_, ({n_dim},))
    pointers = carray(data_, ({n_pointers},), uint64)
    value, grad = program(x{arrays})
    carray(value_, ())[()] = value.item()
    out = carray(out_, ({n_dim},))
    finite = True
    for i in range({n_dim}):
        out[i] = grad[i]
        finite &= isfinite(grad[i])
    if not finite:
        return 3
    return 0 if isfinite(value.item()) else 4
"""
_COPY_SOURCE = """
def callback(dim, expanded, x_, out_, data_):
    x, out = carray(x_, ({n_dim},)), carray(out_, ({n_dim},))
    for i in range({n_dim}):
        out[i] = x[i]
    return 0
"""


def _copy(n_dim: int) -> Any:
    """The C callback that stores a draw as it is."""
    import numba

    scope: dict[str, Any] = {"carray": numba.carray}
    exec(compile(_COPY_SOURCE.format(n_dim=n_dim), "<callback>", "exec"), scope)
    double, size = numba.types.CPointer(numba.types.double), numba.types.uint64
    return numba.cfunc(numba.types.int64(size, size, double, double, numba.types.voidptr))(scope["callback"])


def _callback(
    function: Any,
    keys: dict[Any, str],
    values: dict[str, np.ndarray],
    n_dim: int,
    meanwhile: Callable[[], None],
) -> Any:
    """The C callback that nutpie's sampler calls: reads the data pointers, calls the program.

    nutpie's own callback does the same, but its generic way of unpacking the data takes numba longer
    to type than all else. All data of the model are vectors, so pointer and length are enough.
    """
    import numba
    from nutpie.compile_pymc import address_as_void_pointer

    order = list(keys.values())
    positions = [order.index(keys[variable]) for variable in function.get_shared()]
    arrays = [values[order[position]] for position in positions]
    if any(array.ndim != 1 for array in arrays):
        raise ValueError("all data of the model must be vectors")
    types = (
        numba.types.Array(numba.float64, 1, "C"),
        *(numba.types.Array(numba.from_dtype(array.dtype), 1, "C") for array in arrays),
    )
    terms = "".join(
        f", carray(address(pointers[{p}]), (int64(pointers[{len(order) + p}]),), dtype{i})"
        for i, p in enumerate(positions)
    )
    scope = {
        "carray": numba.carray,
        "address": address_as_void_pointer,
        "uint64": np.uint64,
        "int64": np.int64,
        "isfinite": np.isfinite,
        "program": _by_address(function, types, meanwhile),
        **{f"dtype{i}": array.dtype.type for i, array in enumerate(arrays)},
    }
    text = _LOGP_SOURCE.format(n_dim=n_dim, n_pointers=3 * len(order), arrays=terms)
    exec(compile(text, "<callback>", "exec"), scope)
    double = numba.types.CPointer(numba.types.double)
    signature = numba.types.int64(numba.types.uint64, double, double, double, numba.types.voidptr)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=numba.NumbaWarning)
        return numba.cfunc(signature)(scope["callback"])


def _frozen(value: Any, dtype: Any = None) -> np.ndarray:
    array = np.array(value, dtype, order="C", copy=True)
    array.flags.writeable = False
    return array


def _by_address(function: Any, argument_types: tuple[Any, ...], meanwhile: Callable[[], None]) -> Any:
    """A first-class numba function that calls the compiled program through its address.

    PyTensor's entry point takes ``*args``, which has no such address; and one more function around the
    program would have LLVM go over all of it again. So the program itself is compiled with an entry for C,
    and cached under PyTensor's own key.
    """
    from numba.core.types.function_type import WrapperAddressProtocol
    from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS, NUMBA_CACHE_PATH
    from pytensor.link.numba.dispatch.basic import numba_njit

    entry = function.vm.jit_fn.py_func
    key = CACHED_SRC_FUNCTIONS.get(entry)
    program = entry.__globals__["jitable_func"].py_func
    # PyTensor keeps the source in a file of a random name, which would be part of the name on disk.
    code = program.__code__.replace(co_filename="<string>")
    named = types.FunctionType(code, program.__globals__, program.__name__, program.__defaults__)
    if key is not None:
        CACHED_SRC_FUNCTIONS[named] = f"{key}_by_address"
    dispatcher = numba_njit(named, final_function=True, no_cpython_wrapper=True, cache=key is not None)
    if key is not None and not any(NUMBA_CACHE_PATH.glob(f"*{key}_by_address*.nbi")):
        pieces = partial(_compile_pieces, function.maker.fgraph)
        _apart((lambda: dispatcher.compile(argument_types), pieces), meanwhile)
    dispatcher.compile(argument_types)
    result = dispatcher.overloads[argument_types]
    address = result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)

    class Address(WrapperAddressProtocol):
        keep = result  # the machine code lives as long as its library

        def __wrapper_address__(self) -> int:
            return int(address)

        def signature(self) -> Any:
            return result.signature

    return Address()


def _compile_pieces(graph: Any) -> None:
    """Put the machine code of a graph's nodes into the disk cache, the second part first.

    Whoever compiles the whole graph at the same time finds half of it there. A piece is cached for the types
    of its arguments: those that come from the same part are known, the others are taken for contiguous
    arrays, and where that is wrong nothing but time is lost.
    """
    from pytensor.link.numba.dispatch.basic import numba_funcify_ensure_cache

    nodes = graph.toposort()
    middle = int(FIRST_PART * len(nodes))
    for part in (nodes[middle:], nodes[:middle]):
        known: dict[Any, Any] = {}
        for node in part:
            with suppress(Exception):
                piece, key = numba_funcify_ensure_cache(node.op, node=node)
                if key is None:
                    continue
                given = tuple(known.get(variable) or _numba_type(variable) for variable in node.inputs)
                folded = piece.get_call_template(given, {})[2]
                found = piece.overloads[tuple(folded)].signature.return_type
                known |= zip(node.outputs, found if len(node.outputs) > 1 else [found], strict=True)


def _numba_type(variable: Any) -> Any:
    import numba

    dtype = numba.from_dtype(np.dtype(variable.type.dtype))
    if not isinstance(variable.type, TensorType):
        return dtype
    constant = isinstance(variable, Constant)
    return numba.types.Array(dtype, variable.type.ndim, "C", readonly=constant)


def _apart(fill_the_cache: Sequence[Callable[[], Any]], meanwhile: Callable[[], None]) -> None:
    """Fill the disk cache from processes of their own; this one does something else ``meanwhile``.

    In the process that compiled it, a call inside the program goes to whichever copy of the callee was
    made first; in one that loads it, to the copy in the file. Both are right and differ in the last
    digit, so the first run on a machine would differ from all that follow. Where there is no fork, or
    the children fail, the caller compiles for itself.
    """
    if not hasattr(os, "fork"):
        return
    children = [_child(work) for work in fill_the_cache]
    try:
        meanwhile()
    finally:
        for child in children:
            os.waitpid(child, 0)


def _child(work: Callable[[], Any]) -> int:
    with warnings.catch_warnings():
        # The child touches nothing that another thread may hold: it compiles, writes and ends.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)
