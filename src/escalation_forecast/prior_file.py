"""The file format of priors: TOML in, TOML out, nothing lost on the way."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from escalation_forecast.elicited import Elicited, read_elicited, record
from escalation_forecast.pooling import POOLINGS
from escalation_forecast.prior_spec import (
    FAMILY_SUPPORT,
    KNOWN_LABELS,
    PriorSpec,
    check,
    nearest,
    read_family,
    read_parameters,
    read_string,
)
from escalation_forecast.schema import DataError

FILE_KEYS: Final = (
    "family", "parameters", "dims", "reason", "source", "support", "pooling", "spread", "elicited",
)  # fmt: skip
SHORTHANDS: Final = ("interval", "quartiles", "roulette")
OVERRIDE_KEYS: Final = (*FILE_KEYS, *SHORTHANDS, "mass")
FEW_LABELS: Final = 4  # a table of more labels is written one to a line


def read_text(path: Path) -> str:
    """The text of a prior file."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataError(f"{path}: the prior file cannot be read ({reason}); check its path.") from error


def parse(text: str, where: str) -> dict[str, Any]:
    """TOML as tables; what is wrong is said with the prior in which it stands."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        above = text.splitlines()[: int(found[1])] if found else text.splitlines()
        heads = [h[1] for line in above if (h := re.match(r"\s*\[+priors\.([^\].]+)", line))]
        prior = f"prior '{heads[-1].strip()}': " if heads else ""
        twice = re.search(r"Cannot (overwrite a value|declare .* twice|mutate)", str(error))
        remedy = "a key or table stands there twice; keep one" if twice else "correct that line"
        raise DataError(f"{where}: {prior}not valid TOML: {error}; {remedy}.") from error


def read_tables(
    content: Mapping[str, Any], where: str, known: Sequence[str] = ("priors", "dims")
) -> Mapping[str, Mapping[str, Any]]:
    """The tables ``[priors.NAME]``."""
    for key in content:
        if key not in known:
            raise DataError(f"{where}: unknown table '{key}'; a prior is written as [priors.{key}].")
    tables = content.get("priors", {})
    if not isinstance(tables, Mapping) or not tables:
        raise DataError(f"{where}: there is no prior; write each as a table [priors.NAME].")
    for name, row in tables.items():
        if not isinstance(row, Mapping):
            raise DataError(f"{where}: prior '{name}' must be a table [priors.{name}] with its family.")
    return tables


def read_dims(dims: Any, where: str) -> dict[str, tuple[str, ...]]:
    """Labels by dim from a table ``[dims]``."""
    if not isinstance(dims, Mapping):
        raise DataError(f"{where}: 'dims' must be a table from dims to lists of labels.")
    for dim, labels in dims.items():
        if not (isinstance(labels, list) and labels and all(isinstance(v, str) for v in labels)):
            raise DataError(f"{where}: the labels of dim '{dim}' must be a list of words.")
    return {dim: tuple(labels) for dim, labels in dims.items()}


def read_dim_names(value: Any, at: str) -> tuple[str, ...]:
    """Names of the dims of one prior."""
    if not (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)):
        raise DataError(f'{at}: dims must be a list of names such as ["theatre"].')
    return tuple(value)


def check_keys(row: Mapping[str, Any], allowed: Sequence[str], at: str) -> None:
    """Raise `DataError` on a key that nothing reads."""
    for key in row:
        if key not in allowed:
            raise DataError(f"{at} has an unknown key '{key}'; {nearest(key, allowed)}.")


def read_pooling(
    row: Mapping[str, Any], at: str, old: tuple[str, float] = ("none", 0.0)
) -> tuple[str, float]:
    """How the labels relate, and the spread."""
    pooling = row.get("pooling", old[0])
    if pooling not in POOLINGS:
        raise DataError(f"{at} has an unknown pooling {pooling!r}; use one of {', '.join(POOLINGS)}.")
    spread = row.get("spread", old[1] if pooling == old[0] else 0.0)
    if isinstance(spread, bool) or not isinstance(spread, int | float):
        raise DataError(f"{at}: spread must be a number, not {spread!r}; correct it.")
    return pooling, float(spread)


def read_records(raw: Any, at: str) -> tuple[Elicited, ...]:
    """What was elicited: a table, or a list of tables where labels were asked for one by one."""
    several = raw if isinstance(raw, list | tuple) else [raw]
    return tuple(one if isinstance(one, Elicited) else read_elicited(one, at) for one in several)


def read_shorthand(row: Mapping[str, Any], at: str) -> tuple[Elicited, ...]:
    """``interval = [lo, hi]``, ``quartiles = [a, b, c]`` or ``roulette = { edges, chips }`` as a record."""
    given = [key for key in SHORTHANDS if key in row]
    if "mass" in row and "interval" not in row:
        raise DataError(f"{at} has 'mass' without 'interval'; give interval = [low, high].")
    if len(given) > 1 or (given and "elicited" in row):
        raise DataError(f"{at} has {' and '.join([*given, *['elicited'] * ('elicited' in row)])}; keep one.")
    if not given:
        return ()
    value = row[given[0]]
    if given[0] == "roulette":
        return (read_elicited({"method": "roulette", "numbers": value}, at),)
    names = ("low", "high") if given[0] == "interval" else ("lower", "median", "upper")
    if not isinstance(value, list | tuple) or len(value) != len(names):
        words = {2: "two numbers [low, high]", 3: "three numbers [lower, median, upper]"}[len(names)]
        raise DataError(f"{at}: {given[0]} must be {words}.")
    numbers = dict(zip(names, value, strict=True)) | ({"mass": row["mass"]} if "mass" in row else {})
    return (read_elicited({"method": given[0], "numbers": numbers}, at),)


def read_spec(name: str, row: Mapping[str, Any], labels: Mapping[str, tuple[str, ...]], at: str) -> PriorSpec:
    """One prior of a full file."""
    check_keys(row, FILE_KEYS, at)
    for key in ("family", "parameters", "reason", "source"):
        if key not in row:
            raise DataError(f"{at} has no '{key}'; add it.")
    dims = read_dim_names(row.get("dims", []), at)
    family = read_family(row["family"], at)
    pooling, spread = read_pooling(row, at)
    spec = PriorSpec(
        name=name,
        family=family,
        parameters=read_parameters(row["parameters"], family, dims, labels, at),
        dims=dims,
        reason=read_string(row["reason"], "reason", at),
        source=read_string(row["source"], "source", at),
        support=read_string(row.get("support", FAMILY_SUPPORT.get(family, "real")), "support", at),
        labels={dim: labels[dim] for dim in dims if dim in labels},
        pooling=pooling,
        spread=spread,
        elicited=read_records(row["elicited"], at) if "elicited" in row else (),
    )
    check(spec, at)
    return spec


def to_text(
    specs: Iterable[PriorSpec],
    dims: Mapping[str, tuple[str, ...]],
    heading: str = "",
    freed: Collection[str] = (),
) -> str:
    """The priors as TOML that `read_spec` reads back to the last digit.

    Parameters
    ----------
    freed : names of priors whose labels are said to be each for itself, against priors where they are not.
    """
    parts = ["".join(f"# {line}\n" for line in heading.splitlines())] if heading else []
    own = {dim: labels for dim, labels in dims.items() if KNOWN_LABELS.get(dim) != labels}
    if own:
        parts.append("[dims]\n" + "".join(f"{_key(dim)} = {_value(labels)}\n" for dim, labels in own.items()))
    parts += [_table(spec, spec.name in freed) for spec in specs]
    return "\n".join(parts)


def _table(spec: PriorSpec, freed: bool) -> str:
    at = f"priors.{_key(spec.name)}"
    lines = [f"[{at}]", f"family = {_value(spec.family)}"]
    if any(isinstance(v, dict) and len(v) > FEW_LABELS for v in spec.parameters.values()):
        for key, value in spec.parameters.items():
            table = value if isinstance(value, dict) else None
            lines += (
                [f"parameters.{key}.{_key(label)} = {_value(number)}" for label, number in table.items()]
                if table
                else [f"parameters.{key} = {_value(value)}"]
            )
    else:
        lines.append(f"parameters = {_value(spec.parameters)}")
    if spec.dims:
        lines.append(f"dims = {_value(spec.dims)}")
    lines.append(f"support = {_value(spec.support)}")
    if spec.pooling != "none" or freed:
        lines.append(f"pooling = {_value(spec.pooling)}")
    if spec.spread:
        lines.append(f"spread = {_value(spec.spread)}")
    lines += [f"reason = {_value(spec.reason)}", f"source = {_value(spec.source)}"]
    head = f"[{at}.elicited]" if len(spec.elicited) == 1 else f"[[{at}.elicited]]"
    for said in spec.elicited:
        lines += ["", head, *(f"{_key(key)} = {_value(value)}" for key, value in record(said).items())]
    return "\n".join(lines) + "\n"


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quoted(text)


def _quoted(text: str) -> str:
    # TOML takes the escapes of JSON, and wants one more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dt.date):
        return value.isoformat()
    # The shortest text that reads back as the same number.
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
