"""Priors learned from history: the stored file, the default priors, and the commands."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from escalation_forecast.cli import app
from escalation_forecast.history import fits, steps
from escalation_forecast.history.sampling import HistoryFitError
from escalation_forecast.history.stored import (
    Fitted,
    Provenance,
    StoredPriors,
    read_stored,
    spec,
    store_fit,
)
from escalation_forecast.history.tables import load_history
from escalation_forecast.prior_spec import PriorSpec
from escalation_forecast.priors import HISTORY_FILE, Priors
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.store import data_root

DYADS = ("CHN-TWN", "KOR-PRK")


def logit(name: str = "dyad_logit", dyads: tuple[str, ...] = DYADS) -> PriorSpec:
    return spec(
        name,
        "Normal",
        {"mu": {dyad: -1.234567 - k for k, dyad in enumerate(dyads)}, "sigma": 0.5},
        dims=("dyad",),
        labels={"dyad": dyads},
        support="real",
        reason='Log odds, "quoted" and \\ slashed',
        source="Somebody 2000",
    )


def share(name: str = "share") -> PriorSpec:
    alpha = {theatre: 1.0 + k for k, theatre in enumerate(THEATRES)}
    parameters: dict[str, Any] = {"alpha": alpha, "beta": 20.0}
    return spec(name, "Beta", parameters, dims=("theatre",), support="unit", reason="Why", source="s")


def origin(*names: str, **given: Any) -> Provenance:
    fixed = {
        "data": ("disputes",),
        "years": "1816-2014",
        "rows": 10,
        "events": 2,
        "fitted_on": dt.date(2026, 1, 2),
    }
    return Provenance(names, **{**fixed, **given})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / HISTORY_FILE
    store_fit("onset", [logit()], origin("dyad_logit", r_hat_max=1.00123, ess_min=812.3, divergences=0), path)
    store_fit("steps", [share()], origin("share", note="in closed form"), path)
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


# --- the file


def test_what_is_stored_is_read_back(file: Path) -> None:
    stored = read_stored(file)
    assert list(stored.priors) == ["dyad_logit", "share"]
    assert stored.priors["dyad_logit"].parameters == {
        "mu": {"CHN-TWN": -1.235, "KOR-PRK": -2.235},
        "sigma": 0.5,
    }
    assert stored.priors["dyad_logit"].reason == logit().reason
    assert stored.priors["dyad_logit"].labels == {"dyad": DYADS}
    assert stored.priors["share"].parameters == share().parameters
    assert stored.fits["onset"] == origin("dyad_logit", r_hat_max=1.001, ess_min=812.3, divergences=0)
    assert stored.fits["steps"] == origin("share", note="in closed form")


def test_storing_again_gives_the_same_bytes(file: Path) -> None:
    before, stored = file.read_bytes(), read_stored(file)
    for name, where in stored.fits.items():
        store_fit(name, [stored.priors[prior] for prior in where.priors], where, file)
    assert file.read_bytes() == before


def test_a_refit_replaces_its_own_priors_alone(file: Path) -> None:
    store_fit("onset", [logit("other_logit")], origin("other_logit"), file)
    stored = read_stored(file)
    assert set(stored.priors) == {"other_logit", "share"}
    assert stored.fits["steps"] == origin("share", note="in closed form")


def test_fits_stand_in_the_order_asked_for(file: Path) -> None:
    store_fit("steps", [share()], origin("share"), file, order=("steps", "onset"))
    assert list(read_stored(file).fits) == ["steps", "onset"]


def test_two_fits_cannot_own_one_prior(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(DataError, match="prior 'share' belongs to fit 'steps'"):
        store_fit("onset", [share()], origin("share"), file)
    with pytest.raises(DataError, match="dim 'dyad' different labels"):
        store_fit("third", [logit("third", ("CHN-JPN", "KOR-PRK"))], origin("third"), file)
    flat = spec("flat", "Beta", {"alpha": 0.0, "beta": 1.0}, support="unit", reason="r", source="s")
    with pytest.raises(DataError, match="cannot be normalised"):
        store_fit("third", [flat], origin("flat"), file)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('priors = ["share"]', 'priors = ["shares"]', "prior 'shares' of fit 'steps' is not in the file"),
        ('priors = ["share"]', "priors = []", "prior 'share' belongs to no fit"),
        ("rows = 10\n", "", "provenance 'onset' has no 'rows'"),
        ("rows = 10", "row = 10", "provenance 'onset' has unknown keys"),
        ("parameters.sigma = 0.5", "parameters.sigma = 0", "prior 'dyad_logit'.*cannot be normalised"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(file: Path, old: str, new: str, said: str) -> None:
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=said):
        read_stored(file)


# --- the default priors


def test_default_priors_are_those_of_both_files() -> None:
    own, stored = Priors.load(data_root() / "priors.toml"), read_stored()
    default = Priors.default()
    assert set(default) == set(own) | set(stored.priors)
    assert not set(own) & set(stored.priors)
    assert default.dim_labels["dyad"] == tuple(stored.priors["dyad_force_logit"].labels["dyad"])
    changed = default.override({"dyad_force_logit": {"parameters": {"mu": {"CHN-TWN": -1.0}}}})
    assert [row["name"] for row in changed.changed(default)] == ["dyad_force_logit"]


def test_a_name_may_stand_in_one_file_only(file: Path) -> None:
    learned = Priors.load(file)
    with pytest.raises(DataError, match=r"prior 'dyad_logit' is in priors\.toml too"):
        learned.joined(learned, "h.toml")
    other = Priors({}, {"dyad": ("A-B",)})
    with pytest.raises(DataError, match="dim 'dyad' has other labels"):
        learned.joined(other, "h.toml")


def test_provenance_is_for_the_learned_priors_and_not_for_a_users_file(file: Path) -> None:
    with pytest.raises(DataError, match="unknown table 'provenance'"):
        Priors.load(file).override(file)


def test_every_stored_fit_passed_its_gates() -> None:
    for name, where in read_stored().fits.items():
        assert where.events > 0, name
        if where.r_hat_max is not None:
            assert where.ess_min is not None
            assert where.r_hat_max < 1.01, name
            assert where.ess_min > 400, name
            assert where.divergences == 0, name


# --- commands


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    shutil.copytree(data_root(), root)
    return root


def test_show_prints_every_stored_prior() -> None:
    shown = run("history", "show")
    assert shown.exit_code == 0, shown.output
    stored: StoredPriors = read_stored()
    for name, where in stored.fits.items():
        assert name in shown.output
        assert all(prior in shown.output for prior in where.priors)
    found = json.loads(run("history", "show", "--json").output)
    assert found["force"]["events"] == 2107
    assert found["force"]["priors"]["dyad_force_logit"]["reason"].startswith("Log odds")


def test_priors_commands_know_the_learned_ones() -> None:
    listed = {row["name"] for row in json.loads(run("priors", "list", "--json").output)}
    assert {"phi", "dyad_force_logit", "war_given_fatal"} <= listed
    shown = run("priors", "show", "war_given_fatal", "--json")
    assert json.loads(shown.output)["family"] == "Beta"


def test_check_counts_without_a_refit() -> None:
    found = json.loads(run("history", "check", "--quick", "--json").output)
    rows = [row for row in found["base_rates"] if row["event"] == "war_both" and row["years"] == "1991-2014"]
    assert {"events": 4, "trials": 42395}.items() <= rows[0].items()
    assert {row["theatre"] for row in found["since_2015"]} == set(THEATRES)


def test_fit_of_one_rewrites_its_priors_and_keeps_the_rest(folder: Path) -> None:
    before = read_stored(folder / HISTORY_FILE)
    history = load_history(folder)
    clashes = history.clashes
    ends = pd.read_csv(folder / "history" / "clashes.csv", dtype=str)
    ends.loc[(ends["dyad"] == "KOR-PRK") & (ends["month"] == "1999-06"), "fatal"] = "0"
    ends.to_csv(folder / "history" / "clashes.csv", index=False)
    done = run("history", "fit", "--only", "fatal_months", "--data", folder, "--json")
    assert done.exit_code == 0, done.output
    after = read_stored(folder / HISTORY_FILE)
    assert len(json.loads(done.output)["fatal_months"]) == 8 < len(clashes)
    assert "8 in 8 episodes" in after.priors["fatal_months_per_episode"].reason
    same = set(before.priors) - {"fatal_months_per_episode"}
    assert {n: before.priors[n] for n in same} == {n: after.priors[n] for n in same}


def test_an_unknown_fit_is_refused_with_its_neighbour(folder: Path) -> None:
    kept = (folder / HISTORY_FILE).read_bytes()
    failed = run("history", "fit", "--only", "fatal_month", "--data", folder)
    assert failed.exit_code == 2
    assert "There is no fit `fatal_month` (did you mean `fatal_months`?)" in failed.output
    assert (folder / HISTORY_FILE).read_bytes() == kept


def test_a_fit_that_did_not_converge_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = (folder / HISTORY_FILE).read_bytes()

    def stuck(history: object) -> Fitted:
        raise HistoryFitError("The chains of the history model have not mixed.")

    first = {"fatal_months": steps.fatal_months_per_episode, "stuck": stuck}
    monkeypatch.setattr(fits, "FITS", first)
    failed = run("history", "fit", "--data", folder)
    assert failed.exit_code == 3
    assert "have not mixed" in failed.output
    assert (folder / HISTORY_FILE).read_bytes() == kept


def test_show_before_any_fit_says_what_to_do(folder: Path) -> None:
    (folder / HISTORY_FILE).unlink()
    failed = run("history", "show", "--data", folder)
    assert failed.exit_code == 2
    assert "run `escalation-forecast history fit` first" in failed.output
