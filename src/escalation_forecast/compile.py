"""Compile the joint model for nutpie so that a second process starts in seconds.

``nutpie.compile_pymc_model`` links PyTensor's function into a C callback of its own, and LLVM then
optimises the whole program again in every process. Here the callback calls PyTensor's function
through its address, so the function comes from PyTensor's disk cache as it is.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
from pymc.initial_point import make_initial_point_fn


def compile_model(model: pm.Model) -> Any:
    """A ``nutpie`` model whose density and expansion are PyTensor's cached functions.

    Parameters
    ----------
    model : pymc.Model

    Returns
    -------
    nutpie.compile_pymc.CompiledPyMCModel
        Takes ``with_data`` like one from ``nutpie.compile_pymc_model``.
    """
    from nutpie import compile_pymc as nutpie_pymc

    start = make_initial_point_fn(
        model=model, default_strategy="support_point", jitter_rvs=set(model.free_RVs), return_transformed=True
    )
    n_dim, n_expanded, logp, expand, initial_point, shapes, transformed = nutpie_pymc._make_functions(
        model,
        mode="NUMBA",
        compute_grad=True,
        join_expanded=True,
        pymc_initial_point_fn=nutpie_pymc._wrap_with_lock(start),
    )
    shared = list(dict.fromkeys([*logp.get_shared(), *expand.get_shared()]))
    keys = {variable: f"shared_{position}" for position, variable in enumerate(shared)}
    values = {keys[v]: _frozen(v.get_value()) for v in shared}
    user_data = nutpie_pymc.make_user_data(keys, values)

    compiled_logp = _callback(logp, keys, values, _LOGP_SOURCE, n_dim, n_dim)
    compiled_expand = _callback(expand, keys, values, _EXPAND_SOURCE, n_dim, n_expanded)
    dims, coords = nutpie_pymc._prepare_dims_and_coords(model, shapes, transformed)
    return nutpie_pymc.CompiledPyMCModel(
        _n_dim=n_dim,
        dims=dims,
        _coords=coords,
        _shapes={name: tuple(shape) for name, _, shape in zip(*shapes, strict=True)},
        compiled_logp_func=compiled_logp,
        compiled_expand_func=compiled_expand,
        initial_point_func=initial_point,
        shared_data=values,
        shared_var_keys=keys,
        user_data=user_data,
        n_expanded=n_expanded,
        shape_info=shapes,
        logp_func=logp,
        expand_func=expand,
        reparameterized_names=transformed,
    )


_LOGP_SOURCE = """
def callback(dim, x_, out_, value_, data_):
    if dim != {n_dim}:
        return -1
    x = carray(x_, ({n_dim},))
    pointers = carray(data_, ({n_pointers},), uint64)
    value, grad = program(x{arrays})
    carray(value_, ())[()] = value.item()
    out = carray(out_, ({n_out},))
    finite = True
    for i in range({n_out}):
        out[i] = grad[i]
        finite &= isfinite(grad[i])
    if not finite:
        return 3
    return 0 if isfinite(value.item()) else 4
"""
_EXPAND_SOURCE = """
def callback(dim, expanded, x_, out_, data_):
    if dim != {n_dim} or expanded != {n_out}:
        return -1
    x = carray(x_, ({n_dim},))
    pointers = carray(data_, ({n_pointers},), uint64)
    (values,) = program(x{arrays})
    out = carray(out_, ({n_out},))
    for i in range({n_out}):
        out[i] = values[i]
    return 0
"""


def _callback(
    function: Any, keys: dict[Any, str], values: dict[str, np.ndarray], source: str, n_dim: int, n_out: int
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
        "program": _by_address(function, types),
        **{f"dtype{i}": array.dtype.type for i, array in enumerate(arrays)},
    }
    text = source.format(n_dim=n_dim, n_out=n_out, n_pointers=3 * len(order), arrays=terms)
    exec(compile(text, "<callback>", "exec"), scope)
    double = numba.types.CPointer(numba.types.double)
    sizes = (numba.types.uint64,) * (1 if source is _LOGP_SOURCE else 2)
    pointers = (double,) * (3 if source is _LOGP_SOURCE else 2)
    signature = numba.types.int64(*sizes, *pointers, numba.types.voidptr)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=numba.NumbaWarning)
        return numba.cfunc(signature)(scope["callback"])


def _frozen(value: Any) -> np.ndarray:
    array = np.array(value, order="C", copy=True)
    array.flags.writeable = False
    return array


def _by_address(function: Any, argument_types: tuple[Any, ...]) -> Any:
    """A first-class numba function that calls the compiled program through its address.

    PyTensor's entry point takes ``*args``, which has no such address; an entry with named arguments
    is generated beside it and cached under PyTensor's own key.
    """
    from numba.core.types.function_type import WrapperAddressProtocol
    from pytensor.link.numba.cache import (
        CACHED_SRC_FUNCTIONS,
        NUMBA_CACHE_PATH,
        compile_numba_function_src,
    )
    from pytensor.link.numba.dispatch.basic import numba_njit

    entry = function.vm.jit_fn.py_func
    key = CACHED_SRC_FUNCTIONS.get(entry)
    names = ", ".join(f"a{i}" for i in range(len(argument_types)))
    source = f"def entry_by_address({names}):\n    return jitable_func({names})\n"
    named = compile_numba_function_src(
        source,
        "entry_by_address",
        global_env={"jitable_func": entry.__globals__["jitable_func"], "__name__": __name__},
        cache_key=None if key is None else f"{key}_by_address",
    )
    dispatcher = numba_njit(named, final_function=True, no_cpython_wrapper=True, cache=key is not None)
    if key is not None and not any(NUMBA_CACHE_PATH.glob(f"*{key}_by_address*.nbi")):
        _apart(lambda: dispatcher.compile(argument_types))
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


def _apart(compile_to_disk: Callable[[], Any]) -> None:
    """Fill the disk cache from a process of its own.

    In the process that compiled it, a call inside the program goes to whichever copy of the callee was
    made first; in one that loads it, to the copy in the file. Both are right and differ in the last
    digit, so the first run on a machine would differ from all that follow. Where there is no fork, or
    the child fails, the caller compiles for itself.
    """
    if not hasattr(os, "fork"):
        return
    with warnings.catch_warnings():
        # The child touches nothing that another thread may hold: it compiles, writes and ends.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        compile_to_disk()
    finally:
        os._exit(0)
