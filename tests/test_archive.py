"""Runs on disk: the id, folders that appear whole, and what failure leaves behind."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from escalation_forecast import archive
from escalation_forecast.archive import ArchiveError
from escalation_forecast.schema import GLOBAL, THEATRES, DataError
from synthetic import synthetic_paths

IDENTITY = "0123456789abcdef"
CONTENT = {"as_of": "2026-06-15", "seed": 1, "horizon": 36, "draft": False, "priors": {"phi": [18.0, 2.0]}}


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def store(out: Path, text: str) -> Path:
    with archive.partial(out, IDENTITY) as folder:
        archive.write_summary({"run_id": IDENTITY, "text": text}, folder)
        return archive.finish(folder, out, IDENTITY)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("as_of", "2026-06-16"),
        ("seed", 2),
        ("horizon", 35),
        ("draft", True),
        ("priors", {"phi": [18.0, 3.0]}),
    ],
)
def test_id_changes_with_every_part(key: str, value: Any) -> None:
    identity = archive.run_id(CONTENT)
    assert identity == archive.run_id(dict(reversed(CONTENT.items())))
    assert len(identity) == 16
    assert int(identity, 16) >= 0
    assert archive.run_id(CONTENT | {key: value}) != identity


def test_id_refuses_what_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        archive.run_id({"value": float("nan")})


def test_run_is_seen_only_when_it_is_whole(tmp_path: Path) -> None:
    with archive.partial(tmp_path, IDENTITY) as folder:
        archive.write_summary({"run_id": IDENTITY}, folder)
        assert archive.find(tmp_path, IDENTITY) is None
        assert not (tmp_path / IDENTITY).exists()
        archive.finish(folder, tmp_path, IDENTITY)
    found = archive.find(tmp_path, IDENTITY)
    assert found is not None
    assert found.summary == {"run_id": IDENTITY}
    assert [entry.name for entry in tmp_path.iterdir()] == [IDENTITY]


def test_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> None:
        with archive.partial(tmp_path, IDENTITY) as folder:
            (folder / "posterior.nc").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_of_two_jobs_the_first_stays(tmp_path: Path) -> None:
    with archive.partial(tmp_path, IDENTITY) as mine:
        archive.write_summary({"text": "second"}, mine)
        other = tmp_path / "other"
        other.mkdir()
        archive.write_summary({"text": "first"}, other)
        other.rename(tmp_path / IDENTITY)
        before = files(tmp_path / IDENTITY)
        assert archive.finish(mine, tmp_path, IDENTITY) == tmp_path / IDENTITY
    assert files(tmp_path / IDENTITY) == before
    assert [entry.name for entry in tmp_path.iterdir()] == [IDENTITY]


def test_old_leftovers_go_and_all_else_stays(tmp_path: Path) -> None:
    old, young, foreign = (
        tmp_path / name
        for name in (f".{IDENTITY}.partial-99999", f".{IDENTITY}.partial-99998", ".notes.partial-1")
    )
    for folder in (old, young, foreign):
        folder.mkdir()
        (folder / "posterior.nc").write_bytes(b"x")
    two_days_ago = time.time() - 2 * 24 * 3600
    for folder in (old, foreign):
        os.utime(folder, (two_days_ago, two_days_ago))
    store(tmp_path, "done")
    assert {entry.name for entry in tmp_path.iterdir()} == {IDENTITY, young.name, foreign.name}


def test_failed_fit_is_kept_beside_and_never_as_the_run(tmp_path: Path) -> None:
    for reason in ("R-hat of phi is 1.2", "again"):
        folder = archive.fail(tmp_path, IDENTITY, {"reason": reason})
    assert folder == tmp_path / f"{IDENTITY}.failed"
    assert json.loads((folder / "summary.json").read_text()) == {"reason": "again"}
    assert archive.find(tmp_path, IDENTITY) is None
    store(tmp_path, "passed")
    assert [entry.name for entry in tmp_path.iterdir()] == [IDENTITY]


def test_summary_has_sorted_keys_and_null_for_what_is_not_finite(tmp_path: Path) -> None:
    values = {"b": float("nan"), "a": [np.float64(1.5), np.inf, np.bool_(True)], "c": {"x": np.int64(3)}}
    text = archive.write_summary(values, tmp_path).read_text()
    assert list(json.loads(text).items()) == [("a", [1.5, None, True]), ("b", None), ("c", {"x": 3})]


def test_folder_that_cannot_take_the_run_ends_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with (
        pytest.raises(ArchiveError, match=r"^[^.]+runs cannot take the run; [^.]+\.$"),
        archive.partial(tmp_path / "runs", IDENTITY),
    ):
        pass


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 64 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_disk")
def test_disk_that_fills_up_ends_in_one_sentence(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(4, 50_000))
    groups = {"posterior": xr.Dataset({"phi": (("chain", "draw"), noise)})}
    with (
        pytest.raises(ArchiveError, match=r"^File too large: [^.]+ cannot take the run; [^.]+\.$"),
        archive.partial(tmp_path / "runs", IDENTITY) as folder,
        archive.writing(tmp_path / "runs"),
    ):
        archive.write_posterior(groups, folder / "posterior.nc")
    assert list((tmp_path / "runs").iterdir()) == []


def test_paths_come_back_from_disk(tmp_path: Path) -> None:
    paths = synthetic_paths(chains=2, draws=6)
    paths["ladder"][{"theatre": 1, "month": slice(0, 40)}] = np.nan
    past = paths["month"].values < np.datetime64(paths.attrs["first_forecast_month"])
    mean, sd = np.linspace(-0.3, 0.2, 6), np.linspace(0.4, 1.2, 6)
    latents = xr.concat([paths["risk"], paths["global_risk"].expand_dims(theatre=[GLOBAL])], "theatre")
    eta = latents.isel(month=past).rename(theatre="latent").transpose("chain", "draw", "latent", "month")
    eta = eta * xr.DataArray(sd, dims="latent") + xr.DataArray(mean, dims="latent")
    ahead, known = archive.split_paths(paths)
    # Draws of the troops are the first to differ.
    assert ahead["month"].values[0] == np.datetime64("2024-10-01")
    assert set(known) == {"ladder", "indicator_level", "dprk_troops"}
    assert "draw" not in known.dims
    constant = {"reference_mean": ("latent", mean), "reference_sd": ("latent", sd)}
    groups = {
        "posterior": xr.Dataset({"eta": eta}),
        "predictions": ahead,
        "observed_data": known,
        "constant_data": xr.Dataset(constant, coords={"latent": [*THEATRES, GLOBAL]}),
    }
    archive.write_posterior(groups, tmp_path / "posterior.nc")
    found = archive.read_paths(tmp_path / "posterior.nc")
    assert set(found) == set(paths)
    assert found.attrs == paths.attrs
    for name, array in paths.data_vars.items():
        rounded = name in archive.FROM_ETA
        xr.testing.assert_allclose(
            found[name].astype(float), array, rtol=1e-6, atol=archive.STEP / 0.4 if rounded else 0.0
        )
        assert found[name].dims == array.dims


def test_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no summary\.json, so it is no run"):
        archive.load_run(tmp_path)
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        archive.load_run(tmp_path)
    (tmp_path / "summary.json").write_text("{}")
    run = archive.load_run(tmp_path)
    with pytest.raises(DataError, match=r"posterior\.nc is missing"):
        _ = run.forecast
