"""From figures to a stored run, with the sampler alone replaced."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from escalation_forecast import archive, pipeline, run_files
from escalation_forecast.archive import ArchiveError, Run, load_run
from escalation_forecast.fit import WARM_TUNE, ConvergenceError, Diagnostics, Settings, Worst
from escalation_forecast.model import MODEL_VERSION, build_model
from escalation_forecast.panel import build_panel
from escalation_forecast.prior_spec import FAMILIES, PriorSpec
from escalation_forecast.priors import Priors
from escalation_forecast.questions import load_questions
from escalation_forecast.schema import GLOBAL, THEATRES, DataError
from escalation_forecast.skill.stored import KINDS, load_skill
from escalation_forecast.store import Store

DAY = dt.date(2026, 6, 15)
CHAINS, DRAWS = 2, 12
SCHEMA = Path(__file__).parents[1] / "docs" / "posterior-schema.md"
PASSED = Diagnostics(Worst(1.002, "phi[korea]"), Worst(900.0, "eta"), Worst(800.0, "eta"), 0, 0.8, ())
STUCK = Diagnostics(Worst(1.2, "phi[korea]"), None, None, 0, 0.8, ("R-hat of phi[korea] is 1.200.",))


@pytest.fixture(scope="module")
def store() -> Store:
    return Store.embedded()


@pytest.fixture(scope="module")
def trace(store: Store) -> xr.DataTree:
    """Draws from the priors, with everything that the joint model keeps, under its own labels."""
    priors, rng = Priors.default(), np.random.default_rng(0)
    model = build_model(build_panel(store.as_of(DAY), pd.Timestamp(DAY)), priors)
    index = {"chain": np.arange(CHAINS), "draw": np.arange(DRAWS)}
    kept = {}
    for variable in model.unobserved_RVs:
        name = str(variable.name)
        if name.endswith("innovation"):
            continue
        coords = {dim: np.asarray(model.coords[dim]) for dim in model.named_vars_to_dims.get(name) or ()}
        shape = (CHAINS, DRAWS, *(len(labels) for labels in coords.values()))
        kept[name] = xr.DataArray(rng.normal(size=shape), index | coords, dims=(*index, *coords))
    posterior = xr.Dataset(kept)
    drawn = run_files.prior_draws(posterior, priors, 0)
    for name in drawn.data_vars:
        values = drawn[name].values[0, : CHAINS * DRAWS]
        posterior[name] = posterior[name].dims, values.reshape(posterior[name].shape)
    shape = (CHAINS, DRAWS)
    flags = dict.fromkeys(("diverging", "maxdepth_reached"), np.zeros(shape, bool))
    counts = dict.fromkeys(("depth", "n_steps"), np.ones(shape, np.uint64))
    numbers = {name: rng.normal(size=shape) for name in ("energy", "logp", "step_size")}
    health = {name: (("chain", "draw"), values) for name, values in (flags | counts | numbers).items()}
    start = xr.Dataset({"phi_global": ("row", np.arange(34.0))})
    groups = {"posterior": posterior, "sample_stats": xr.Dataset(health, coords=index), "start": start}
    return xr.DataTree.from_dict(groups)


class Sampler:
    """Stands in for compilation and sampling; counts how often it is asked."""

    def __init__(self, trace: xr.DataTree) -> None:
        self.trace, self.calls = trace, 0

    def __call__(self, *_: Any) -> xr.DataTree:
        self.calls += 1
        return self.trace


def replaced(patch: pytest.MonkeyPatch, trace: xr.DataTree) -> Sampler:
    sampler = Sampler(trace)
    patch.setattr("escalation_forecast.compile.compile_model", lambda _: None)
    patch.setattr(pipeline, "sample", sampler)
    return sampler


def no_plots(_paths: xr.Dataset, _summary: Any, _folder: Path) -> list[Path]:
    return []


@pytest.fixture
def sampler(monkeypatch: pytest.MonkeyPatch, trace: xr.DataTree) -> Sampler:
    monkeypatch.setattr("escalation_forecast.report.plots.save_plots", no_plots)
    return replaced(monkeypatch, trace)


@pytest.fixture(scope="module")
def run(store: Store, trace: xr.DataTree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A draft with all its files."""
    with pytest.MonkeyPatch.context() as patch:
        replaced(patch, trace)
        yield pipeline.run_forecast(store, as_of=DAY, out=tmp_path_factory.mktemp("runs"), draft=True)


def short(store: Store, out: Path, **options: Any) -> Run:
    """A run without plots and with one question."""
    questions = [question for question in load_questions() if question.id == "arms-race-annual"]
    options = {"as_of": DAY, "horizon": 6, "questions": questions, "out": out} | options
    return pipeline.run_forecast(store, **options)


def test_run_has_every_file(run: Run) -> None:
    tables = {
        f"{name}.{kind}"
        for name in ("theatres", "latent", "spending", "questions")
        for kind in ("csv", "parquet")
    }
    plots = {"latent.png", "spending.png", "questions.png", "indicators.png"}
    draws = {"draws_theatres.parquet", "draws_spending.parquet"}
    found = {file.name for file in run.folder.iterdir()}
    others = {"summary.json", "posterior.nc", "start.nc", "priors.toml", "model_card.md"}
    assert found == tables | plots | draws | others
    assert run.folder.name == run.summary["run_id"]


def test_summary_says_what_was_done(run: Run) -> None:
    text = (run.folder / "summary.json").read_text()
    summary = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in summary.json"))
    assert summary == run.summary
    assert list(summary) == sorted(summary)
    assert (summary["draft"], summary["published"]) == (True, False)
    assert (summary["as_of"], summary["horizon_months"]) == ("2026-06-15", 36)
    assert summary["model_version"] == MODEL_VERSION
    assert [entry["theatre"] for entry in summary["theatres"]] == [*THEATRES, GLOBAL]
    assert all(
        set(push) == {"indicator", "push"} for entry in summary["theatres"] for push in entry["pushed_by"]
    )
    assert any(entry["pushed_by"] for entry in summary["theatres"])
    assert {entry["question"] for entry in summary["questions"]} == {q.id for q in load_questions()}
    assert summary["priors_changed"] == []
    assert [line["kind"] for line in summary["skill"]] == [kind for kind in KINDS if kind in load_skill()]
    assert summary["data"]["last_month"]["news_korea"] == "2026-04"
    assert summary["diagnostics"]["peak_memory_mb"] > 100
    assert summary["diagnostics"]["passed"] is False
    assert set(summary["diagnostics"]) == {
        "r_hat_max", "r_hat_other", "ess_bulk_min", "ess_tail_min", "divergences", "e_bfmi_min", "passed",
        "reasons", "compile_seconds", "sampling_seconds", "total_seconds", "peak_memory_mb",
    }  # fmt: skip
    assert {"pymc", "nutpie", "python"} <= set(summary["versions"])


def test_finished_run_is_returned_untouched(store: Store, sampler: Sampler, tmp_path: Path) -> None:
    first = short(store, tmp_path, draft=True)
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in first.folder.iterdir()}
    again = short(store, tmp_path, draft=True)
    assert again == first
    assert sampler.calls == 1
    after = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in first.folder.iterdir()}
    assert after == before
    assert short(store, tmp_path, draft=True, seed=2).folder != first.folder
    assert sampler.calls == 2


def test_id_does_not_depend_on_an_earlier_cut(store: Store, sampler: Sampler, tmp_path: Path) -> None:
    first = short(store, tmp_path, draft=True)
    assert short(store.as_of(DAY), tmp_path, as_of=None, draft=True).folder == first.folder
    assert sampler.calls == 1


def test_changed_prior_is_listed_and_is_another_run(store: Store, sampler: Sampler, tmp_path: Path) -> None:
    first = short(store, tmp_path, draft=True)
    changed = Priors.default().override({"phi": {"parameters": {"alpha": 9}}})
    second = short(store, tmp_path, draft=True, priors=changed)
    assert second.folder != first.folder
    assert [entry["name"] for entry in second.summary["priors_changed"]] == ["phi"]


def test_fit_that_passes_is_published(
    store: Store, sampler: Sampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "diagnose", lambda *_: PASSED)
    found = short(store, tmp_path)
    assert (found.summary["draft"], found.summary["published"]) == (False, True)
    assert found.summary["diagnostics"]["r_hat_max"] == {"value": 1.002, "quantity": "phi[korea]"}


def test_fit_that_fails_never_becomes_a_run(
    store: Store, sampler: Sampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "diagnose", lambda *_: STUCK)
    with pytest.raises(ConvergenceError, match=r"R-hat of phi\[korea\] is 1\.200") as caught:
        short(store, tmp_path)
    assert caught.value.diagnostics is STUCK
    (folder,) = tmp_path.iterdir()
    assert re.fullmatch(r"[0-9a-f]{16}\.failed", folder.name)
    kept = json.loads((folder / "summary.json").read_text())
    assert kept["diagnostics"]["reasons"] == list(STUCK.reasons)
    assert (kept["published"], kept["questions"], kept["theatres"]) == (False, [], [])
    with pytest.raises(ConvergenceError):
        short(store, tmp_path)
    assert sampler.calls == 2


@pytest.mark.parametrize("judged", [STUCK, PASSED], ids=["bad fit", "good fit"])
def test_draws_that_cannot_be_written(
    judged: Any, store: Store, sampler: Sampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad fit is named as the reason; what is wrong with a good one is not hidden. Neither leaves a run."""

    def torn(*_: Any) -> None:
        raise ValueError("cannot plot this")

    monkeypatch.setattr(pipeline, "diagnose", lambda *_: judged)
    monkeypatch.setattr(pipeline, "write_run", torn)
    wanted: Any = (ConvergenceError, r"1\.200") if judged is STUCK else (ValueError, "cannot plot this")
    with pytest.raises(wanted[0], match=wanted[1]):
        short(store, tmp_path)
    assert [folder.suffix for folder in tmp_path.iterdir()] == ([".failed"] if judged is STUCK else [])


def test_sampler_that_cannot_start_is_kept_as_failed(
    store: Store, sampler: Sampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ConvergenceError("The sampler could not run.")

    monkeypatch.setattr(pipeline, "sample", broken)
    with pytest.raises(ConvergenceError, match="could not run"):
        short(store, tmp_path, draft=True)
    (folder,) = tmp_path.iterdir()
    assert load_run(folder).summary["diagnostics"]["reasons"] == ["The sampler could not run."]


class Startable:
    """A program that says what it was started from."""

    def __init__(self) -> None:
        self.starts: list[xr.Dataset] = []

    def start_at(self, start: xr.Dataset) -> Startable:
        self.starts.append(start)
        return self


@pytest.fixture
def startable(sampler: Sampler, monkeypatch: pytest.MonkeyPatch) -> Startable:
    program = Startable()
    monkeypatch.setattr("escalation_forecast.compile.compile_model", lambda _: program)
    monkeypatch.setattr(pipeline, "diagnose", lambda *_: PASSED)
    return program


def test_a_fit_starts_from_the_newest_run_of_before_that_was_published(
    store: Store, sampler: Sampler, startable: Startable, tmp_path: Path
) -> None:
    first = short(store, tmp_path, start_from_last=True)
    assert startable.starts == []
    assert first.summary["started_from"] is None
    short(store, tmp_path, draft=True, seed=5)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / archive.START).write_bytes(b"torn")
    second = short(store, tmp_path, seed=2, start_from_last=True)
    assert second.summary["started_from"] == first.summary["run_id"]
    assert startable.starts[0]["phi_global"].values.tolist() == list(range(34))
    # What was not known yet on the day is not started from, nor is it asked for without being told.
    earlier = short(store, tmp_path, as_of=dt.date(2026, 5, 15), start_from_last=True)
    assert earlier.summary["started_from"] is None
    assert short(store, tmp_path, seed=3).summary["started_from"] is None
    (first.folder / archive.START).write_bytes(b"torn")
    (second.folder / archive.START).unlink()
    third = short(store, tmp_path, seed=4, start_from_last=True)
    assert third.summary["started_from"] not in (first.summary["run_id"], second.summary["run_id"])


@pytest.mark.parametrize("way", ["stuck", "cannot start"])
def test_a_fit_that_fails_from_the_last_run_is_made_again_from_the_priors(
    way: str,
    store: Store,
    trace: xr.DataTree,
    sampler: Sampler,
    startable: Startable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short(store, tmp_path)
    asked: list[int] = []

    def sampled(_: Any, settings: Any, *__: Any) -> xr.DataTree:
        asked.append(settings.tune)
        if way == "cannot start" and len(asked) == 1:
            raise ConvergenceError("The sampler could not run.")
        return trace

    found = iter([STUCK, PASSED] if way == "stuck" else [PASSED])
    monkeypatch.setattr(pipeline, "sample", sampled)
    monkeypatch.setattr(pipeline, "diagnose", lambda *_: next(found))
    run = short(store, tmp_path, seed=2, start_from_last=True)
    assert asked == [WARM_TUNE, Settings.default().tune]
    assert (run.summary["published"], run.summary["started_from"]) == (True, None)
    assert run.summary["diagnostics"]["passed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"horizon": 0}, "horizon of 0 months"),
        ({"horizon": 121}, "horizon of 121 months"),
        ({"seed": -1}, "seed of -1"),
        ({"as_of": dt.date.today() + dt.timedelta(days=1)}, "lies in the future"),
        ({"as_of": dt.date(1950, 1, 1)}, "first possible date"),
        ({"questions": "misspelt"}, "news_corea"),
        ({"priors": {"count_loading": {"parameters": {"mu": {"plla": -0.3}}}}}, "the nearest is 'pla'"),
    ],
    ids=["horizon 0", "horizon 121", "seed", "future", "past", "question", "label of a prior"],
)
def test_bad_input_ends_before_anything_is_sampled(
    options: dict[str, Any], said: str, store: Store, sampler: Sampler, tmp_path: Path
) -> None:
    if "questions" in options:
        tension = next(question for question in load_questions() if question.rule == "indicator-exceeds")
        options = {
            "questions": [
                tension.model_copy(
                    update={"params": dict(tension.params), "over": {"indicator": ("news_corea",)}}
                )
            ]
        }
    if "priors" in options:
        options = {"priors": Priors.default().replace(**options["priors"])}
    with pytest.raises(DataError, match=said):
        short(store, tmp_path / "runs", **options)
    assert sampler.calls == 0
    assert not (tmp_path / "runs").exists()


def test_unwritable_folder_ends_before_sampling(store: Store, sampler: Sampler, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ArchiveError, match="runs cannot take the run"):
        short(store, tmp_path / "runs")
    assert sampler.calls == 0


def test_nothing_is_printed_without_a_terminal(
    store: Store, sampler: Sampler, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    short(store, tmp_path, draft=True, progress=True)
    assert capfd.readouterr() == ("", "")


def documented() -> dict[str, dict[str, tuple[tuple[str, ...], str]]]:
    """Dims and dtype of every variable of every group on the page."""
    groups: dict[str, dict[str, tuple[tuple[str, ...], str]]] = {}
    group = ""
    for line in SCHEMA.read_text().splitlines():
        if line.startswith("## "):
            group = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0] != "variable" and "---" not in cells[0]:
            groups.setdefault(group, {})[cells[0]] = (tuple(cells[1].split(", ")), cells[2])
    return groups


def test_posterior_is_as_documented(run: Run) -> None:
    page, tree = documented(), run.posterior
    parameters = {
        name: (dims, kind) for name, (dims, kind) in page["posterior"].items() if name in Priors.default()
    }
    assert set(tree.children) == {*page, "prior"}
    for group, expected in {**page, "prior": parameters}.items():
        data = tree[group].to_dataset()
        found = {str(name): (array.dims, str(array.dtype)) for name, array in data.data_vars.items()}
        assert found == expected, group
        for dim in data.dims:
            assert dim in data.coords or str(dim).endswith("_row"), f"{group}: {dim} has no labels"
    page_text = SCHEMA.read_text()
    for name, columns in re.findall(r"\| `(draws_\w+\.parquet)` \| ([a-z]\w+(?:, \w+)+) \|", page_text):
        assert list(pd.read_parquet(run.folder / name).columns) == columns.split(", ")


def test_stored_paths_are_those_simulated(run: Run) -> None:
    stored = load_run(run.folder).forecast
    assert set(stored) == set(run.forecast)
    assert stored.attrs == run.forecast.attrs
    for name, array in run.forecast.data_vars.items():
        found = stored[name]
        assert found.dims == array.dims, name
        assert np.array_equal(found.isnull(), array.isnull()), name
        apart = float(abs(found - array).max())
        assert apart <= (0.05 if name in ("risk", "global_risk") else 1e-6 * float(abs(array).max())), name


def test_long_draws_are_the_paths(run: Run) -> None:
    paths = run.forecast
    theatres = pd.read_parquet(run.folder / "draws_theatres.parquet")
    assert len(theatres) == CHAINS * DRAWS * 6 * 36
    assert theatres["risk"].dtype == np.float32
    row = theatres[(theatres["chain"] == 1) & (theatres["draw"] == 7) & (theatres["month"] == "2027-02-01")]
    here = paths.sel(chain=1, draw=7, month="2027-02-01")
    by_name = row.set_index("theatre")
    assert by_name.loc["taiwan", "risk"] == pytest.approx(float(here["risk"].sel(theatre="taiwan")))
    assert by_name.loc["korea", "ladder"] == float(here["ladder"].sel(theatre="korea"))
    assert by_name.loc[GLOBAL, "risk"] == pytest.approx(float(here["global_risk"]))
    assert np.isnan(by_name.loc[GLOBAL, "ladder"])
    spending = pd.read_parquet(run.folder / "draws_spending.parquet")
    assert spending["year"].min() == 2026
    key = {"chain": 0, "draw": 3, "state": "JPN", "year": 2027}
    (row,) = spending[(spending[list(key)] == pd.Series(key)).all(axis=1)].to_dict("records")
    assert row["growth_print_1"] == pytest.approx(float(paths["growth_print"].sel(key).sel(age=1)))
    assert row["growth_true"] == pytest.approx(float(paths["growth_true"].sel(key)))


FAMILY_CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "Normal": ({"mu": 1.0, "sigma": 2.0}, stats.norm(1, 2)),
    "LogNormal": ({"mu": -0.3, "sigma": 0.4}, stats.lognorm(0.4, scale=np.exp(-0.3))),
    "HalfNormal": ({"sigma": 0.7}, stats.halfnorm(scale=0.7)),
    "Beta": ({"alpha": 18.0, "beta": 2.0}, stats.beta(18, 2)),
    "Gamma": ({"alpha": 3.0, "beta": 2.0}, stats.gamma(3, scale=0.5)),
    "StudentT": ({"nu": 4.0, "mu": 1.0, "sigma": 2.0}, stats.t(4, 1, 2)),
    "Exponential": ({"lam": 2.0}, stats.expon(scale=0.5)),
    "Uniform": ({"lower": -1.0, "upper": 2.0}, stats.uniform(-1, 3)),
    "Dirichlet": ({"a": 2.0}, stats.beta(2, 2)),
}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_prior_draws_follow_the_family(family: str) -> None:
    parameters, law = FAMILY_CASES.get(family, ({"value": 0.2}, None))
    spec = PriorSpec("x", family, parameters, ("pair",), "r", "s", "real")
    shape = xr.Dataset({"x": (("chain", "draw", "pair"), np.zeros((1, 1, 2)))}, coords={"pair": ["a", "b"]})
    drawn = run_files.prior_draws(shape, Priors({"x": spec}), 0)["x"]
    assert drawn.sizes == {"chain": 1, "draw": 1000, "pair": 2}
    if law is None:
        assert (drawn == 0.2).all()
    else:
        for label in ("a", "b"):
            assert stats.kstest(drawn.sel(pair=label).values[0], law.cdf).pvalue > 1e-3
