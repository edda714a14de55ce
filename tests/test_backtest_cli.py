"""The command ``backtest``, the ladder as a task, and what the document says of both."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from dask_cluster import Cluster, forget_the_source
from escalation_forecast.cli import app
from escalation_forecast.cli import backtest as command
from escalation_forecast.priors import Priors
from escalation_forecast.schema import OBSERVATION_COLUMNS, DataError
from escalation_forecast.score import cluster, ladder_task, spending_task, tasks, tension_task
from escalation_forecast.score.cells import CASE_COLUMNS, Cell, Task, usable_cores
from escalation_forecast.score.ladder_backtest import run_backtest as run_ladder
from escalation_forecast.score.ladder_baselines import baseline_probabilities
from escalation_forecast.score.ladder_cases import CASE, brier, outcomes, read_ladder
from escalation_forecast.score.ladder_task import LadderTask
from escalation_forecast.score.runner import load_cells, run_backtest
from escalation_forecast.score.tasks import Kind, Wanted, make_task
from escalation_forecast.store import Store
from toy_task import ToyTask

DOCS = Path(__file__).resolve().parents[1] / "docs" / "backtest.md"
RUN = CliRunner()


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy as a task of the command, with the models and origins asked for."""

    def make(wanted: Wanted) -> Task:
        return ToyTask(tuple(wanted.models or ("mean",)), tuple((wanted.origins or "2001").split(",")))

    def report(cases: pd.DataFrame) -> dict[str, pd.DataFrame]:
        return {"scores": cases.groupby("model", as_index=False)["error"].mean()}

    monkeypatch.setitem(tasks.TASKS, "toy", Kind(make, report))


def run(*arguments: str) -> tuple[int, str, str]:
    found = RUN.invoke(app, ["backtest", *arguments])
    return found.exit_code, found.stdout, found.stderr


@pytest.mark.usefixtures("toy")
def test_a_dry_run_lists_the_cells_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ("--task", "toy", "--models", "mean,raise", "--origins", "2001,2002", "--out", str(out))
    code, said, _ = run(*line, "--dry-run", "--json")
    assert code == 0
    assert [(cell["model"], cell["origin"], cell["state"]) for cell in json.loads(said)] == [
        (model, origin, "to do") for origin in ("2001", "2002") for model in ("mean", "raise")
    ]
    assert not out.exists()
    assert run(*line, "--limit", "2", "--workers", "1", "--json")[0] == 1
    code, said, _ = run(*line, "--dry-run")
    assert code == 0
    assert "4 cells, 1 finished in" in said
    assert "ValueError: the third number is odd" in said


@pytest.mark.usefixtures("toy")
def test_a_failed_cell_is_in_the_exit_code_and_the_rest_in_the_report(tmp_path: Path) -> None:
    line = ("--task", "toy", "--models", "mean,raise", "--out", str(tmp_path), "--workers", "1")
    code, said, progress = run(*line, "--json")
    found = json.loads(said)
    assert code == 1
    assert progress == ""
    assert found["cells"] == {"done": 1, "skipped": 0, "failed": 1, "left": 0}
    assert found["failed"][0]["model"] == "raise"
    kept = pd.read_csv(Path(found["folder"]) / "report_scores.csv")
    assert_allclose(kept["error"], [row["error"] for row in found["report"]["scores"]], rtol=1e-5)
    code, said, progress = run(*line)
    assert code == 1
    assert re.search(r"mean +0 +1 +0 +0 ", said)
    assert re.search(r"raise +0 +0 +1 +0 ", said)
    assert "2/2 toy raise 2001: failed" in progress


@pytest.mark.usefixtures("toy")
def test_wrong_input_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, said = run("--task", "tensoin")
    assert code == 2
    assert "There is no task `tensoin` (did you mean `tension`?); choose from" in said
    assert run("--task", "ladder", "--models", "clim")[0] == 2
    code, _, said = run("--task", "ladder", "--states", "CHN")
    assert code == 2
    assert "leave out --states" in said
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)
    code, _, said = run("--task", "toy", "--dask", "tcp://127.0.0.1:9", "--out", str(tmp_path))
    assert code == command.FAILED
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in said


# --- the ladder as a task


def test_months_are_read_as_words() -> None:
    assert len(LadderTask.of().origins) == 144
    assert LadderTask.of(at="3").origins == ("2002-12", "2008-12", "2014-11")
    assert LadderTask.of(at="2005-06, 2004-01").origins == ("2005-06", "2004-01")
    for wrong in ("2005", "1999-01", "june"):
        with pytest.raises(DataError, match=r"YYYY-MM|no origin"):
            LadderTask.of(at=wrong)
    with pytest.raises(DataError, match=r"no model of the ladder `jont` \(did you mean `joint`\?\)"):
        LadderTask.of(models=["jont"])


def test_simple_methods_are_those_of_the_protocol(whole_store: Store, tmp_path: Path) -> None:
    """Cell by cell the same probabilities as all at once, and the scores that follow from them."""
    task = LadderTask.of(models=["mix", "markov12"], at="2003-01,2003-06")
    cases = run_backtest(task, tmp_path, executor="here", progress=False).cases(task)
    ladder = read_ladder(whole_store)
    until = ladder.until(pd.Timestamp("2004-06-01"))
    whole = baseline_probabilities(until, last=pd.Timestamp("2004-06-01"))
    named = cases.assign(origin=pd.to_datetime(cases["origin"], format="%Y-%m"))
    both = named.merge(whole, left_on=[*CASE, "model"], right_on=[*CASE, "method"])
    assert len(both) == len(cases) == 80
    assert_allclose(both["probability"], both["p"], rtol=1e-12)
    truth = named.merge(outcomes(ladder), on=list(CASE))
    assert (truth["outcome"] == truth["y"]).all()
    assert_allclose(cases["brier"], brier(cases["probability"].to_numpy(), cases["outcome"].to_numpy()))


def test_the_digest_of_the_ladder_follows_its_data(tmp_path: Path) -> None:
    task = LadderTask.of(models=["mix"])
    extra = tmp_path / "extra.csv"
    extra.write_text(
        ",".join(OBSERVATION_COLUMNS)
        + "\nladder,korea,2010-01-01,2010-01-31,5,,,level,user,mine,2010-03-01,coded,a change\n"
    )
    other = LadderTask.of(models=["mix"], source=ladder_task.Source(vintages=extra))
    one, two = task.identity(), other.identity()
    assert one.pop("data") != two.pop("data")
    assert one == two


@pytest.mark.slow
def test_the_joint_model_of_a_cell_is_that_of_the_ladder_backtest(whole_store: Store, tmp_path: Path) -> None:
    task = LadderTask.of(models=["joint"], at="2009-12")
    found = run_backtest(task, tmp_path, progress=False)
    assert found.failed.empty
    whole = run_ladder(whole_store, Priors.default(), [pd.Timestamp("2009-12-01")], tmp_path / "ladder")
    cases = found.cases(task)
    both = cases.assign(origin=pd.Timestamp("2009-12-01")).merge(whole, on=list(CASE))
    assert_allclose(both["probability"], both["p"], rtol=1e-5)
    draws = found.draws(task, Cell("ladder", "joint", "2009-12"))
    assert dict(draws.sizes) == {"chain": 2, "draw": 150, "theatre": 5, "horizon": 4}


# --- real cells on a cluster


def pace(times: pd.DataFrame, workers: int) -> float:
    """Seconds from one finished cell to the next, from when every worker has finished one."""
    at = pd.to_datetime(times["finished_at"])
    firsts = at.groupby(times["worker"]).min()
    assert len(firsts) == workers, "not every worker took part"
    after = at[at >= firsts.max()]
    return float((after.max() - after.min()).total_seconds() / (len(after) - 1))


@pytest.mark.slow
def test_two_workers_halve_the_time_of_sampled_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU-bound cells, one core each: the hierarchical model of spending."""
    if usable_cores() < 2 or os.getloadavg()[0] > usable_cores() / 2:
        pytest.skip("other work on this machine would decide the times")
    monkeypatch.setattr(cluster, "own_versions", cluster.own_versions)
    forget_the_source()
    warm = make_task("spending", Wanted(models=["hier"], origins="2003p,2004p,2005p"))
    task = make_task("spending", Wanted(models=["hier"], origins="combined21"))
    found = {}
    with Cluster(tmp_path) as dask:
        for n in (1, 2):
            dask.worker(ESCALATION_FORECAST_CORES="1")
            dask.wait_for(n)
            for seed in range(2, 5):  # until both have compiled the model
                run_backtest(warm, tmp_path / f"{n}", seed=seed, dask=dask.address, progress=False)
            done = run_backtest(task, tmp_path / f"{n}", dask=dask.address, progress=False)
            assert done.counts()["done"] == 21
            found[n] = pace(load_cells(tmp_path / f"{n}", task), n)
    assert found[2] < 0.6 * found[1], found


# --- the document


def test_the_document_has_the_columns_of_every_task() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name, module in (("spending", spending_task), ("tension", tension_task), ("ladder", ladder_task)):
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` | `"))
        assert set(re.findall(r"`(\w+)`", row)) - {name} == set(module.COLUMNS) - set(CASE_COLUMNS), name
    assert set(tasks.TASKS) == set(re.findall(r"^\| `(\w+)` \| [^`]", text, re.MULTILINE)) & set(tasks.TASKS)


def test_the_document_names_options_that_there_are() -> None:
    text = DOCS.read_text(encoding="utf-8")
    given = {
        option
        for line in re.findall(r"escalation-forecast backtest (.*)", text)
        for option in re.findall(r"--[a-z-]+", line)
    }
    known = RUN.invoke(app, ["backtest", "--help"]).stdout
    assert {"--dask", "--dry-run", "--vintages"} <= given
    assert not {option for option in given if option not in known}
