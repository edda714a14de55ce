"""One netCDF file with every draw, which explains itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from escalation_forecast import archive, export
from escalation_forecast.archive import Run, load_run
from escalation_forecast.schema import DataError
from exported import LEAN, changed, published, slim, without_wars

GROUPS = {"posterior", "paths", "sample_stats", "predictions", "observed_data", "constant_data", "prior"}


@pytest.fixture(scope="module")
def run(year_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return slim(year_run, tmp_path_factory.mktemp("slim") / "run", LEAN)


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (file,) = export.netcdf(run, tmp_path_factory.mktemp("netcdf"))
    return file


def opened(file: Path) -> xr.DataTree:
    return xr.open_datatree(file, engine="h5netcdf")


def same_values(exported: xr.DataTree, stored: xr.DataTree) -> int:
    """How many variables there are, all of them equal where both have draws."""
    count = 0
    for group, node in stored.children.items():
        for name, array in node.data_vars.items():
            ours = exported[
                "paths" if name in exported["paths"].data_vars and group == "posterior" else group
            ][name]
            theirs = array.sel(draw=ours["draw"]) if "draw" in ours.dims else array
            assert ours.dtype == theirs.dtype, name
            assert ours.dims == theirs.dims
            assert np.array_equal(ours.values, theirs.values, equal_nan=ours.dtype.kind == "f"), name
            for dim in ours.dims:
                assert np.array_equal(ours[dim].values, theirs[dim].values)
            count += 1
    return count


@pytest.mark.slow
def test_every_value_of_a_whole_run_is_there(year_run: Run, tmp_path: Path) -> None:
    (file,) = export.netcdf(load_run(year_run.folder), tmp_path)
    with opened(file) as ours, year_run.posterior as stored:
        assert set(ours.children) == GROUPS
        assert same_values(ours, stored) > 100


def test_small_file_passes_its_check_and_is_found_in_its_folder(made: Path, run: Run) -> None:
    assert export.check_netcdf(made) == []
    assert export.check_netcdf(made.parent) == []
    with opened(made) as ours, run.posterior as stored:
        assert ours["paths"].sizes["draw"] == stored["posterior"].sizes["draw"]


def test_file_says_what_it_holds(made: Path, run: Run) -> None:
    with opened(made) as tree:
        assert tree.attrs["Conventions"].startswith("CF-1.")
        assert tree.attrs["run_id"] == run.summary["run_id"]
        assert tree.attrs["as_of"] == "2026-06-15"
        assert tree.attrs["draft"] == 1
        assert "Apache-2.0" in tree.attrs["license"]
        assert tree["predictions"].attrs["first_forecast_month"]
        for node in tree.children.values():
            for name, array in node.to_dataset().variables.items():
                assert len(array.attrs["long_name"]) > 2, name
        growth = tree["predictions"]["growth_true"]
        assert growth.attrs["units"] == "percent"
        assert tree["paths"]["eta"].encoding["dtype"] == np.int16


@pytest.mark.slow
def test_file_opens_where_this_program_is_not(made: Path) -> None:
    code = (
        "import sys, xarray as xr\n"
        "sys.modules['escalation_forecast'] = None\n"
        f"tree = xr.open_datatree({str(made)!r}, engine='h5netcdf')\n"
        "print(sorted(tree.children), float(tree['predictions/risk'].mean()) < 99)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("] ")[1].strip() == "True"


@pytest.mark.parametrize("thin", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_thinning_keeps_draws_by_their_labels(run: Run, tmp_path: Path, thin: int) -> None:
    (file,) = export.netcdf(run, tmp_path, thin=thin)
    with opened(file) as ours, run.posterior as stored:
        for group in ("posterior", "paths", "predictions", "sample_stats"):
            np.testing.assert_array_equal(ours[group]["draw"].values, np.arange(0, 200, thin))
        assert ours["prior"].sizes["draw"] == stored["prior"].sizes["draw"]
        same_values(ours, stored)
    assert export.check_netcdf(file) == []


def test_long_paths_are_thinned_when_there_are_many_draws(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["escalation_forecast.export.netcdf"], "KEPT", 100)
    (file,) = export.netcdf(run, tmp_path)
    with opened(file) as ours, run.posterior as stored:
        np.testing.assert_array_equal(ours["paths"]["draw"].values, np.arange(0, 200, 4))
        assert ours["posterior"].sizes["draw"] == 200
        same_values(ours, stored)
        both = xr.align(ours["paths"].to_dataset(), ours["predictions"].to_dataset(), join="inner")
        assert both[0].sizes["draw"] == 50


@pytest.mark.slow
def test_paths_beyond_two_bytes_are_kept_as_they_are(run: Run, tmp_path: Path) -> None:
    wide = changed(run, tmp_path / "run", lambda _: None)
    with run.posterior as tree:
        groups = {name: node.to_dataset().load() for name, node in tree.children.items()}
    groups["posterior"]["growth_level"] = groups["posterior"]["growth_level"] * 0 + 1000.25
    (wide.folder / archive.POSTERIOR).unlink()
    archive.write_posterior(groups, wide.folder / archive.POSTERIOR)
    (file,) = export.netcdf(wide, tmp_path / "out")
    with opened(file) as ours:
        assert float(ours["paths"]["growth_level"].max()) == 1000.25


def test_published_run_without_wars_and_bad_options(run: Run, tmp_path: Path) -> None:
    def change(summary: dict[str, object]) -> None:
        without_wars(summary)
        published(summary)

    (file,) = export.netcdf(changed(run, tmp_path / "run", change), tmp_path / "out")
    with opened(file) as tree:
        assert tree.attrs["draft"] == 0
    with pytest.raises(DataError, match="--thin"):
        export.netcdf(run, tmp_path / "bad", thin=0)
    lost = changed(run, tmp_path / "lost", lambda _: None)
    (lost.folder / archive.POSTERIOR).unlink()
    with pytest.raises(DataError, match="no draws"):
        export.netcdf(lost, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def broken(change: Callable[[xr.DataTree], object]) -> Callable[[Path, Path], None]:
    def work(made: Path, file: Path) -> None:
        with opened(made) as tree:
            tree.load()
        change(tree)
        tree.to_netcdf(file, engine="h5netcdf")

    return work


def missing(tree: xr.DataTree) -> None:
    tree["posterior"]["phi"].values[0, 0] = np.nan


def renumbered(tree: xr.DataTree) -> None:
    tree["paths"] = xr.DataTree(tree["paths"].to_dataset().assign_coords(draw=np.arange(1000, 1200)))


def averaged(tree: xr.DataTree) -> None:
    data = tree["predictions"].to_dataset()
    tree["predictions"] = xr.DataTree(data.assign(risk=data["risk"].mean("draw", keep_attrs=True)))


BROKEN: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "group": ("group-missing", broken(lambda tree: tree.__delitem__("prior"))),
    "conventions": ("conventions", broken(lambda tree: tree.attrs.pop("Conventions"))),
    "attribute": ("attribute-missing", broken(lambda tree: tree.attrs.pop("license"))),
    "unit": ("undescribed", broken(lambda tree: tree["posterior"]["phi"].attrs.pop("units"))),
    "missing draw": ("not-finite", broken(missing)),
    "other draws": ("draws", broken(renumbered)),
    "no draws": ("draws", broken(averaged)),
    "torn": ("unreadable", lambda made, file: (file.write_bytes(made.read_bytes()[:5000]), None)[1]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_by_the_name_of_the_rule(made: Path, tmp_path: Path, name: str) -> None:
    rule, work = BROKEN[name]
    work(made, tmp_path / "escalation-broken.nc")
    assert rule in {one.rule for one in export.check_netcdf(tmp_path)}
