"""``data update``: from a file or an address to one more vintage in a user's folder, or to nothing."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from escalation_forecast.intake.diff import Changes, changes
from escalation_forecast.intake.folder import Folder, checksum, default_folder, today
from escalation_forecast.intake.quality import Finding, check
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    import pandas as pd

    from escalation_forecast.intake.fetch import Fetched, Limits
    from escalation_forecast.store import Store


OWN_DATES: Final = "observations"  # the layout whose files state the day of each figure


class Read(Protocol):
    """What reads a file as its originator publishes it: `sources.live.read`."""

    def __call__(self, file: Path, source: str | None = None, *, received: dt.date) -> Any: ...


@dataclass(frozen=True, eq=False)
class Update:
    """What an update found and did.

    Attributes
    ----------
    written : the new file of figures; None when there was nothing new, or on a dry run.
    skipped : what the reader left out, in sentences.
    """

    source: str
    edition: str
    changes: Changes
    findings: list[Finding]
    written: Path | None = None
    skipped: tuple[str, ...] = ()
    seen: bool = False
    fetched: Fetched | None = None

    @property
    def refusals(self) -> list[Finding]:
        """Findings that stop an intake unless they are accepted."""
        return [one for one in self.findings if one.level == "refusal"]


def update(
    file: Path | str | Sequence[Path | str] | None = None,
    *,
    url: str | None = None,
    source: str | None = None,
    compare: tuple[Path | str, dt.date] | None = None,
    to: Path | str | None = None,
    base: Store | None = None,
    received: dt.date | None = None,
    sha256: str | None = None,
    dry_run: bool = False,
    accept: Collection[str] = (),
    limits: Limits | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    read: Read | None = None,
) -> Update:
    """Read a file, hold it against what is known, and append what is new as a vintage.

    Parameters
    ----------
    file, url : one of them. Several files are lists of sanctions, one of each sender, which are counted
        together. Nothing is ever downloaded without `url`.
    source : layout of the file; recognised by content by default.
    compare : an earlier copy of a list that prints no dates, and the day on which it was received.
    to : the folder of vintages; `folder.default_folder` by default.
    base : the store below the folder; the embedded one by default.
    received : the day on which the file came; today by default.
    sha256 : what the file must hash to.
    dry_run : finds everything out and writes nothing (a download is kept in a temporary folder).
    accept : kinds of findings whose refusals are overruled, ``unit`` or ``double``.
    read : the reader of files; `sources.live.read` by default.

    Raises
    ------
    DataError
        Whatever is wrong, in a sentence; the folder is as it was.
    """
    from escalation_forecast.intake.fetch import fetch, forget
    from escalation_forecast.sources import live
    from escalation_forecast.store import Store

    files = [] if file is None else [Path(file)] if isinstance(file, str | Path) else [Path(f) for f in file]
    if bool(files) == (url is not None):
        raise DataError("Give either a file (--file) or an address (--url) to take figures from.")
    if len(files) > 1 and (sha256 or source or compare):
        raise DataError("Several files are read together as lists of sanctions; leave the other options out.")
    folder = Folder(Path(to) if to is not None else default_folder())
    day = received or today()
    if day > today():
        raise DataError(f"The day of receipt, {day}, lies in the future; give today or earlier.")
    below = Store.embedded() if base is None else base
    place: Any = tempfile.TemporaryDirectory(prefix="data-update-") if dry_run else folder.locked()
    with place as scratch:
        fetched = None
        if url is not None:
            cache = Path(scratch) if dry_run else folder.path / "downloads"
            fetched = fetch(url, cache, sha256=sha256, limits=limits, progress=progress)
        paths = [fetched.path] if fetched else [_file(one, sha256) for one in files]
        try:
            if len(paths) > 1:
                reading: Any = live.read_lists(paths, received=day)
            elif compare is not None:
                reading = live.read_pair(Path(compare[0]), paths[0], received=(compare[1], day))
            else:
                reading = (read or live.read)(paths[0], source, received=day)
        except DataError:
            if fetched:
                forget(fetched)  # it may have been cut short: the next command asks for it anew
            raise
        name = " ".join(path.name for path in paths)
        return _taken(folder, below, reading, name, day, dry_run, accept, fetched)


def _file(path: Path, sha256: str | None) -> Path:
    if not path.is_file():
        raise DataError(f"{path} is no file; check the path.")
    if sha256 is not None and (digest := checksum(path)) != sha256.strip().lower():
        raise DataError(f"{path} has SHA-256 {digest}, not {sha256} as asked; get the file again.")
    return path


def _taken(
    folder: Folder, base: Store, reading: Any, name: str, day: dt.date, dry_run: bool,
    accept: Collection[str], fetched: Fetched | None,
) -> Update:  # fmt: skip
    entries = folder.entries()
    store = folder.on(base)
    found = changes(
        reading.observations, store, edition=reading.published_at, received=day,
        earlier=_earlier(entries, reading.source),
    )  # fmt: skip
    seen = any(entry.get("sha256") == reading.checksum for entry in entries)
    coming = store.with_figures(found.figures, f"{name} (as read)") if found.anything else store
    result = Update(
        reading.source, reading.edition, found, check(
            found.rows, store, today=today(), coming=coming, series=set(reading.observations["series"])
        ),
        None, reading.skipped, seen, fetched,
    )  # fmt: skip
    if not found.anything:
        return result
    if dry_run:
        return result
    _refuse(result.refusals, accept)
    entry = {
        "received": day.isoformat(),
        "source": reading.source,
        "sha256": reading.checksum,
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
        "edition": reading.edition,
        "from": fetched.url if fetched else name,
        "series": sorted(set(reading.observations["series"])),
        "counts": {name: int(n) for name, n in found.rows["status"].value_counts().items()},
        "vanished": len(found.vanished),
        "accepted": sorted({one.kind for one in result.refusals}),
    }
    return replace(result, written=folder.append(found.figures, entry))


def _refuse(refusals: list[Finding], accept: Collection[str]) -> None:
    left = [one for one in refusals if one.kind not in accept]
    if left:
        raise DataError("\n".join(one.message for one in left))


def _earlier(entries: list[dict[str, Any]], source: str) -> dict[str, dt.date]:
    """By series, the day on which a file of the source was last taken in; none where users state the days."""
    found: dict[str, dt.date] = {}
    if source == OWN_DATES:
        return found
    for entry in entries:
        if entry["source"] == source:
            day = dt.date.fromisoformat(str(entry["received"]))
            for name in entry.get("series", ()):
                found[str(name)] = max(day, found.get(str(name), day))
    return found


def as_received(folder: Path | str, base: Store, moment: dt.datetime) -> Store:
    """The base with what the folder had at a moment: what a run made then could know.

    Figures are dated by the day; a run and an intake of the same day need this to be told apart.

    Parameters
    ----------
    moment : with a time zone.
    """
    from escalation_forecast.intake.coding import coded_figures
    from escalation_forecast.store import read_observations

    here = Folder(Path(folder))
    store, catalogue = base, here.path / "indicators.csv"
    frames: list[pd.DataFrame] = []
    for entry in here.entries():
        if "at" in entry and dt.datetime.fromisoformat(str(entry["at"])) <= moment:
            frames.append(read_observations(here.path / str(entry["file"])))
    coded = coded_figures(here, moment)
    frames += [coded] if len(coded) else []
    if not frames:
        return store
    import pandas as pd

    from escalation_forecast.schema import INDICATOR_COLUMNS
    from escalation_forecast.tables import read_csv

    rows = read_csv(catalogue, str(catalogue), INDICATOR_COLUMNS)[0] if catalogue.is_file() else None
    figures = pd.concat(frames, ignore_index=True)
    if rows is not None:
        known = set(figures["series"]) | set(base.series["series"])
        rows = rows[rows["series"].isin(known)][list(INDICATOR_COLUMNS)]
    return store.with_figures(figures, str(here.path), rows)
