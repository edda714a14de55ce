"""The references of the benchmarks are the posterior of the model; ratios would mean nothing otherwise."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.growth import SIZES, longer, more_states, slope, wider
from benchmarks.references import density
from benchmarks.references.density import Layout
from benchmarks.report import BEGIN, END, fill, tables
from benchmarks.run import main
from escalation_forecast.model import build_model
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.store import Store

AS_OF = "2026-11-27"


@pytest.fixture(scope="module")
def panel() -> Panel:
    return build_panel(Store.embedded().as_of(AS_OF), pd.Timestamp(AS_OF))


@pytest.fixture(scope="module")
def layout(panel: Panel) -> Layout:
    return Layout.of(build_model(panel, Priors.default()))


def _value(model: Any) -> Any:
    """The log density of a model as a function of values by name, without machine code."""
    import pytensor
    from pytensor.compile.mode import Mode

    inputs = {v.name: model.rvs_to_values[v] for v in model.free_RVs}
    # Part by part: Python's linker adds up no more than thirty at once.
    parts = model.logp(sum=False)
    mode = Mode(linker="py", optimizer=None)
    function = pytensor.function(list(inputs.values()), parts, mode=mode, on_unused_input="ignore")
    return lambda point: float(sum(np.sum(part) for part in function(*[point[name] for name in inputs])))


def _spread(panel: Panel, layout: Layout, other: Any) -> np.ndarray:
    """Differences of log densities at random points."""
    own = _value(build_model(panel, Priors.default()))
    points = [layout.split(point) for point in density.random_points(layout, 4)]
    return np.array([other(point) - own(point) for point in points])


def test_the_plain_model_is_the_same_posterior(panel: Panel, layout: Layout) -> None:
    from benchmarks.references.plain_pymc import build_plain

    plain = build_plain(panel, Priors.default())
    assert {v.name for v in plain.free_RVs} == set(layout.names)
    apart = _spread(panel, layout, _value(plain))
    np.testing.assert_allclose(apart, apart[0], atol=1e-6)


@pytest.mark.skipif(find_spec("numpyro") is None, reason="the extra `bench` is not installed")
def test_numpyro_is_the_same_posterior(panel: Panel, layout: Layout) -> None:
    import jax

    from benchmarks.references.numpyro_model import log_density

    jax.config.update("jax_enable_x64", True)
    value = jax.jit(log_density(panel, Priors.default(), layout))
    apart = _spread(panel, layout, lambda point: float(value(layout.join(point))))
    np.testing.assert_allclose(apart, apart[0], atol=1e-6)


def test_another_posterior_is_found_out() -> None:
    points = np.random.default_rng(0).normal(size=(20, 3))

    def own(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float(-0.5 * x @ x), -x

    def shifted(x: np.ndarray) -> tuple[float, np.ndarray]:
        return own(x)[0] + 5.0, -x

    def narrower(x: np.ndarray) -> tuple[float, np.ndarray]:
        return 1.0001 * own(x)[0], -1.0001 * x

    def wrong_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        return own(x)[0], -x * [1.0, 1.0, 1.001]

    assert density.check(own, shifted, points, "shifted").constant == pytest.approx(5.0)
    for other in (narrower, wrong_slope):
        with pytest.raises(density.DisagreementError):
            density.check(own, other, points, "other")


def test_a_vector_goes_through_the_layout_and_back(layout: Layout) -> None:
    vector = density.random_points(layout, 2)
    np.testing.assert_allclose(layout.join(layout.split(vector), leading=1), vector)
    np.testing.assert_allclose(layout.free(layout.constrained(vector), leading=1), vector, atol=1e-9)


def test_larger_panels_keep_every_figure(panel: Panel) -> None:
    for k in SIZES[1:]:
        long, wide, states = longer(panel, k), wider(panel, k), more_states(panel, k)
        assert len(long.months) == k * len(panel.months)
        assert len(long.data["reading_y"]) == len(wide.data["reading_y"]) == k * len(panel.data["reading_y"])
        assert len(wide.items["reading"]) == k * len(panel.items["reading"])
        assert len(states.spending.states) == k * len(panel.spending.states)
    twice = wider(panel, 2)
    groups = twice.items["count"]["group_index"].to_numpy()
    assert sorted(set(groups.tolist())) == list(range(2 * panel.items["count"]["group_index"].nunique()))
    # Every reading still has its own indicator, whatever its place.
    names = [np.asarray(one.items["reading"].index)[one.data["reading_item"]] for one in (panel, twice)]
    seen = [
        pd.Series(one.data["reading_y"]).groupby(name).sum()
        for one, name in zip((panel, twice), names, strict=True)
    ]
    pd.testing.assert_series_equal(seen[1][seen[0].index], seen[0])
    # The last copy of the months reads what the months themselves read.
    placed = longer(panel, 2).data["reading_index"][len(panel.data["reading_y"]) :]
    months = len(panel.months)
    monthly = panel.data["reading_index"] < 6 * months
    latent, month = np.divmod(panel.data["reading_index"][monthly], months)
    np.testing.assert_array_equal(placed[monthly], latent * 2 * months + months + month)


def test_the_slope_of_a_proportional_cost_is_one() -> None:
    assert slope((1, 2, 4), (3.0, 6.0, 12.0)) == pytest.approx(1.0)


def test_tables_go_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    results: dict[str, Any] = {
        "machine": {
            "commit": "abc",
            "at": "2026-11-27",
            "processor": "p",
            "cores": 2,
            "load": [0.1],
            "versions": {},
        },
        "budget": 60.0,
        "pieces": {
            "gradient": {"error": "too slow"},
            "growth": {"months": {"sizes": [1, 2], "gradient_us": [1.0, 2.0], "slope": 1.0}},
        },
    }
    fill(page, tables(results))
    text = page.read_text()
    assert "| months | 1, 2 | 1, 2 µs a gradient | 1.00 |" in text
    assert "gradient: too slow" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    with pytest.raises(ValueError, match="no place"):
        fill(Path(__file__), "x")


def test_a_piece_that_fails_does_not_lose_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import run

    def apart(name: str, *_: Any) -> dict[str, Any]:
        return (
            {"error": "no memory"}
            if name == "gradient"
            else {"seconds": 1.0, "compile_seconds": 1.0, "wall_seconds": 2.0}
        )

    monkeypatch.setattr(run, "_apart", apart)
    assert main(["--out", str(tmp_path), "--only", "gradient,backtest_cell"]) == 1
    kept = json.loads((tmp_path / "results.json").read_text())["pieces"]
    assert kept["gradient"]["error"] == "no memory"
    assert kept["backtest_cell"]["seconds"] == 1.0
    assert "gradient: no memory" in (tmp_path / "tables.md").read_text()


def test_nothing_is_timed_against_another_posterior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import run

    asked = []

    def apart(name: str, *_: Any) -> dict[str, Any]:
        asked.append(name)
        return {"error": "differs"}

    monkeypatch.setattr(run, "_apart", apart)
    assert main(["--out", str(tmp_path), "--only", "agreement,ours,b_numpyro"]) == 1
    assert asked == ["agreement"]
