"""Files of runs: a folder on this machine, or any place that fsspec reaches, and what their bytes hash to."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from escalation_forecast import archive
from escalation_forecast.ledger.errors import LedgerError
from escalation_forecast.schema import DataError

RUN_ID: Final = re.compile(rf"[0-9a-f]{{{archive.ID_LENGTH}}}")
HDF5: Final = b"\x89HDF\r\n\x1a\n"
BLOCK: Final = 1 << 20
ATTEMPTS: Final = 20
_placing = threading.Lock()


@dataclass(frozen=True)
class Stored:
    """A file of a run: name within its folder, bytes and their SHA-256."""

    name: str
    size: int
    sha256: str


def checked_id(run_id: str) -> str:
    """The id, if it is one; it becomes part of paths.

    Raises
    ------
    DataError
    """
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise DataError(f"{run_id!r} is no run id; one has 16 digits of 0-9 and a-f, as `runs list` shows.")
    return run_id


def contents(folder: Path) -> list[str]:
    """Names of all files in a run's folder, sorted.

    Raises
    ------
    DataError
        For what is neither a file nor a folder, such as a link: it could lead anywhere.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise DataError(
                f"{path} is no ordinary file, so the run is not taken; put the file itself there."
            )
        if path.is_file():
            found.append(path.relative_to(folder).as_posix())
    return found


def measure(folder: Path) -> list[Stored]:
    """Size and hash of every file in a folder."""
    return [_measured(folder / name, name) for name in contents(folder)]


def _measured(file: Path, name: str) -> Stored:
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as handle:
        while block := handle.read(BLOCK):
            digest.update(block)
            size += len(block)
    return Stored(name, size, digest.hexdigest())


def check_posterior(file: Path) -> None:
    """Refuse what is no netCDF with a posterior; it is opened as data and nothing in it is run.

    Raises
    ------
    DataError
    """
    import h5py

    if not file.is_file():
        raise DataError(f"{file} is missing, so the run is not published; run it again.")
    with file.open("rb") as handle:
        head = handle.read(len(HDF5))
    if head != HDF5:
        raise DataError(f"{file} is no netCDF file, so the run is not published; run it again.")
    try:
        with h5py.File(file, "r") as opened:
            outward = _outward(opened)
            whole = outward is None and "posterior" in opened
    except (OSError, RuntimeError) as error:
        raise DataError(f"{file} is damaged ({error}), so the run is not published; run it again.") from None
    if outward is not None:
        raise DataError(
            f"{file} takes `{outward}` from another file, so the run is not published; run it again."
        )
    if not whole:
        raise DataError(f"{file} has no group `posterior`, so the run is not published; run it again.")


def _outward(opened: Any) -> str | None:
    """Name of something whose values lie in another file."""
    import h5py

    def visit(name: str, link: Any) -> str | None:
        if not isinstance(link, h5py.HardLink):
            return name
        found = opened[name]
        if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
            return name
        return None

    name: str | None = opened.visititems_links(visit)
    return name


class FileStore:
    """Folders of runs under one place.

    Parameters
    ----------
    place : a folder, or a URL that fsspec knows (``s3://bucket/runs``).

    Attributes
    ----------
    local : the folder, if it is on this machine.
    """

    def __init__(self, place: str) -> None:
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        self.place = place
        try:
            self._fs, root = fsspec.core.url_to_fs(place)
        except (ImportError, ValueError, OSError) as error:
            raise LedgerError(f"{place} cannot be reached ({error}); check --files.") from None
        self._root = str(root).rstrip("/")
        self.local = Path(root) if isinstance(self._fs, LocalFileSystem) else None

    def __repr__(self) -> str:
        return f"<FileStore {self.place}>"

    def put(self, folder: Path, run_id: str) -> None:
        """Bring a run's folder to its place; on this machine a folder already there stays as it is.

        The caller sees to it that no run of that id is visible yet, and that no other process puts it.
        """
        if self.local is not None:
            self._copy(folder, self.local, run_id)
            return
        try:
            for name in contents(folder):
                target = self._path(run_id, name)
                self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._fs.put_file(str(folder / name), target)
        except OSError as error:
            raise self._failed(error) from error

    def _copy(self, folder: Path, out: Path, run_id: str) -> None:
        target = out / run_id
        with _placing:
            if (target / archive.SUMMARY).is_file():
                with archive.writing(out):
                    for name in contents(target):
                        _flush(target / name)
                return
            for attempt in range(ATTEMPTS):
                try:
                    _copy_whole(folder, out, run_id)
                    return
                except archive.ArchiveError as error:
                    # Half runs of others may be renamed while `archive.partial` looks at their age.
                    if attempt == ATTEMPTS - 1 or not isinstance(error.__cause__, FileNotFoundError):
                        raise

    def listing(self, run_id: str) -> dict[str, int]:
        """Names and sizes of the files that are there."""
        if self.local is not None:
            folder = self.local / run_id
            if not folder.is_dir():
                return {}
            return {name: (folder / name).stat().st_size for name in contents(folder)}
        base = self._path(run_id)
        try:
            self._fs.invalidate_cache()
            found = self._fs.find(base, detail=True)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._failed(error) from error
        return {
            str(path)[len(base) :].lstrip("/"): int(info["size"] or 0)
            for path, info in found.items()
            if info["type"] == "file"
        }

    def has(self, run_id: str, name: str) -> bool:
        """Whether that file is there."""
        if self.local is not None:
            return (self.local / checked_id(run_id) / inside(name)).is_file()
        return bool(self._fs.exists(self._path(run_id, name)))

    def folders(self) -> list[str]:
        """Names of everything directly under the place that is a folder."""
        if self.local is not None:
            return sorted(path.name for path in self.local.iterdir() if path.is_dir()) if self.exists else []
        try:
            self._fs.invalidate_cache()
            found = self._fs.ls(self._root, detail=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failed(error) from error
        names = [str(info["name"]) for info in found if info["type"] == "directory"]
        return sorted(name.rstrip("/").rpartition("/")[2] for name in names)

    @property
    def exists(self) -> bool:
        return self.local is None or self.local.is_dir()

    def measure(self, run_id: str, name: str) -> Stored:
        """Size and hash of one file as it is now; FileNotFoundError when it is gone."""
        digest, size = hashlib.sha256(), 0
        with self._opened(run_id, name) as handle:
            while block := handle.read(BLOCK):
                digest.update(block)
                size += len(block)
        return Stored(name, size, digest.hexdigest())

    def read(self, run_id: str, name: str) -> bytes:
        """Content of one file."""
        with self._opened(run_id, name) as handle:
            return bytes(handle.read())

    def fetch(self, run_id: str, wanted: Mapping[str, Stored], target: Path) -> None:
        """Copy files out and check them on the way.

        Raises
        ------
        DataError
            When one is missing or not what it was when it was published.
        """
        for name, known in wanted.items():
            file = target / inside(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            digest, size = hashlib.sha256(), 0
            try:
                with self._opened(run_id, name) as source, file.open("wb") as out:
                    while block := source.read(BLOCK):
                        digest.update(block)
                        size += len(block)
                        out.write(block)
            except FileNotFoundError:
                raise missing(run_id, name) from None
            if Stored(name, size, digest.hexdigest()) != known:
                raise damaged(run_id, name)

    def check(self, run_id: str, wanted: Mapping[str, Stored]) -> None:
        """Raise `DataError` unless the files are what they were when they were published."""
        for name, known in wanted.items():
            try:
                found = self.measure(run_id, name)
            except FileNotFoundError:
                raise missing(run_id, name) from None
            if found != known:
                raise damaged(run_id, name)

    def remove(self, run_id: str, name: str) -> None:
        """Remove one file; nothing if it is gone."""
        try:
            if self.local is not None:
                (self.local / run_id / inside(name)).unlink(missing_ok=True)
            elif self._fs.exists(self._path(run_id, name)):
                self._fs.rm_file(self._path(run_id, name))
        except OSError as error:
            raise self._failed(error) from error

    @contextmanager
    def _opened(self, run_id: str, name: str) -> Iterator[io.BufferedIOBase]:
        if self.local is not None:
            with (self.local / checked_id(run_id) / inside(name)).open("rb") as handle:
                yield handle
            return
        with self._fs.open(self._path(run_id, name), "rb") as handle:
            yield handle

    def _path(self, run_id: str, name: str | None = None) -> str:
        base = f"{self._root}/{checked_id(run_id)}"
        return base if name is None else f"{base}/{inside(name)}"

    def _failed(self, error: OSError) -> archive.ArchiveError:
        reason = error.strerror or str(error)
        return archive.ArchiveError(f"{reason}: {self.place} cannot be used; check --files and permissions.")


def _copy_whole(folder: Path, out: Path, run_id: str) -> None:
    with archive.partial(out, run_id) as half, archive.writing(out):
        for name in contents(folder):
            (half / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, half / name)
            _flush(half / name)
        archive.finish(half, out, run_id)
        _flush(out)


def inside(name: str) -> str:
    """A file's name, if it stays within the run's folder."""
    path = PurePosixPath(name)
    if not name or "\0" in name or "\\" in name or path.is_absolute() or ".." in path.parts:
        raise DataError(f"{name!r} is no file of a run; the archive was tampered with, so nothing was read.")
    return name


def missing(run_id: str, name: str) -> DataError:
    return DataError(f"{name} of run {run_id} is missing; restore it from a backup (see `runs verify`).")


def damaged(run_id: str, name: str) -> DataError:
    return DataError(
        f"{name} of run {run_id} is not what was published; restore it from a backup (see `runs verify`)."
    )


def _flush(path: Path) -> None:
    """To the disk, so that a run that the database shows is there after a power cut."""
    handle: Any = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
