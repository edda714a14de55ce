"""The summary of a run as JSON of a published schema."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from escalation_forecast.archive import SUMMARY, SUMMARY_VERSION, Run, plain
from escalation_forecast.export import source
from escalation_forecast.export.files import only_file, refuse, write_whole
from escalation_forecast.export.findings import Finding

SCHEMAS: Final = "schemas"


def json(run: Run, out: Path | str) -> list[Path]:
    """Write ``summary.json``, sorted keys, as docs/schemas/summary-1.json has it.

    Raises
    ------
    DataError
        When the run did not pass its gates.
    """
    import json as formats

    source.check_finished(run)
    content = {**plain(run.summary), "schema_version": SUMMARY_VERSION}
    refuse(_findings(content, SUMMARY))
    text = formats.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return [write_whole(Path(out) / SUMMARY, (text + "\n").encode())]


def schema_text() -> str:
    """The schema as it ships with the program."""
    from escalation_forecast.export.summary_schema import FILE

    return (files("escalation_forecast.export") / SCHEMAS / FILE).read_text(encoding="utf-8")


def check_json(path: Path | str) -> list[Finding]:
    """What breaks the schema in a summary, or in that of a folder; nothing if all is well.

    Raises
    ------
    DataError
        When there is no such file.
    """
    import json as formats

    file = only_file(Path(path), SUMMARY, "json")
    try:
        content = formats.loads(file.read_text(encoding="utf-8"))
    except (formats.JSONDecodeError, UnicodeDecodeError) as error:
        return [Finding(file.name, 0, "unreadable", f"it is not JSON ({error})", "export anew")]
    return _findings(content, file.name)


def _findings(content: Any, name: str) -> list[Finding]:
    from pydantic import ValidationError

    from escalation_forecast.export.summary_schema import FILE, Summary

    try:
        Summary.model_validate(content)
    except ValidationError as error:
        found = []
        for one in error.errors(include_url=False, include_input=False, include_context=False):
            place = ".".join(str(part) for part in one["loc"]) or "the file"
            said = one["msg"].removeprefix("Value error, ").rstrip(".")
            found.append(Finding(name, 0, f"schema-{one['type']}", f"{place}: {said}", f"follow {FILE}"))
        return sorted(found)
    return []
