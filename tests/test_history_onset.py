"""The onset model and the steps to war: closed forms, recovery of known parameters, scores."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import beta, nbinom

from escalation_forecast.history import onset
from escalation_forecast.history.onset import OnsetFit
from escalation_forecast.history.onset_scores import BARS, onset_scores, since_2015
from escalation_forecast.history.sampling import HistoryFitError, _gate
from escalation_forecast.history.steps import as_beta, fatal_months_per_episode, pooled_shares
from escalation_forecast.history.stored import read_stored
from escalation_forecast.history.tables import History, load_history
from escalation_forecast.history.today import theatre_rows
from escalation_forecast.schema import DataError

STRUCTURE = {"land": 1.2, "one_major": 0.5, "ever": 0.8}
LEVEL, PEACE, DYAD_SD = -4.6, -0.4, 0.8


@pytest.fixture(scope="module")
def history() -> History:
    return load_history()


def made_up(n_dyads: int = 600, years: int = 40, seed: int = 4) -> tuple[pd.DataFrame, np.ndarray]:
    """Dyad-years 1946 on whose onsets follow the model, and the effects of the dyads."""
    rng = np.random.default_rng(seed)
    effects = rng.gamma(DYAD_SD**-2, DYAD_SD**2, n_dyads)
    basis = onset.smooth_basis(onset.PEACE_BANDS, onset.PEACE_TERMS)[:, 0]
    rows = []
    for dyad in range(n_dyads):
        land, major, last, ever = dyad % 2, (dyad // 2) % 2, 1945, 0
        for year in range(1946, 1946 + years):
            peace = year - last - 1
            band = np.searchsorted(onset.PEACE_BANDS, peace, side="right") - 1
            log_chance = LEVEL + PEACE * basis[band] + STRUCTURE["land"] * land
            log_chance += STRUCTURE["one_major"] * major + STRUCTURE["ever"] * ever
            # one major power and a land border never meet in the model's interaction here
            log_chance -= 0.6 * land * major
            hit = int(rng.random() < effects[dyad] * np.exp(log_chance))
            rows.append((year, 1, 2 + dyad, land, major, peace, ever, hit))
            if hit:
                last, ever = year, 1
    names = ["year", "a", "b", "land", "majors", "peace_force", "ever_any", "force"]
    frame = pd.DataFrame(rows, columns=names).assign(sea=0, recent_force=0)
    return frame, effects


@pytest.fixture(scope="module")
def known() -> tuple[pd.DataFrame, np.ndarray]:
    return made_up()


@pytest.fixture(scope="module")
def fit(known: tuple[pd.DataFrame, np.ndarray]) -> OnsetFit:
    return onset.fit_onset(known[0], "force", seed=3)


# --- pure functions


def test_basis_of_a_smooth_term_is_orthogonal_and_rises() -> None:
    basis = onset.smooth_basis(onset.PEACE_BANDS, 3)
    assert_allclose(basis.T @ basis, np.eye(3) * len(basis), atol=1e-9)
    assert_allclose(basis.sum(axis=0), 0, atol=1e-9)
    assert (np.diff(basis[:, 0]) > 0).all()


def test_cells_keep_every_year_and_every_onset(known: tuple[pd.DataFrame, np.ndarray]) -> None:
    cells = onset.cells_of(known[0], "force")
    assert cells["years"].sum() == len(known[0])
    assert cells["onsets"].sum() == known[0]["force"].sum()
    assert len(cells) < len(known[0]) / 2


def test_density_is_the_negative_binomial_of_each_dyad() -> None:
    """With one pattern of covariates a dyad's onsets are negative binomial: scipy is the oracle."""
    years, totals = np.array([10, 25, 40]), np.array([0, 3, 7])
    flat = dict.fromkeys(onset.FEATURES, 0) | {"era": 2}
    cells = pd.DataFrame({"a": 1, "b": [2, 3, 4], **flat, "years": years, "onsets": totals})
    model = onset.onset_model(cells)
    logp = model.compile_logp(vars=model.potentials)
    zeros = {"peace": np.zeros(3), "recent": np.zeros(2), "structure": np.zeros(6), "level": 0.0}

    def density(level: float, sd: float) -> float:
        given = {"era_level": np.array([level]), "dyad_sd_log__": np.log(sd), "era_sd_log__": 0.0}
        return float(logp({**zeros, **given}))

    def oracle(level: float, sd: float) -> float:
        size = sd**-2
        return float(nbinom.logpmf(totals, size, size / (size + years * np.exp(level))).sum())

    here, there = (-1.5, 0.8), (-2.2, 0.4)
    assert density(*here) - density(*there) == pytest.approx(oracle(*here) - oracle(*there), rel=1e-6)


def test_beta_of_equal_moments() -> None:
    draws = beta(4, 60).rvs(200_000, random_state=1)
    alpha, other = as_beta(draws)
    assert (alpha, other) == (pytest.approx(4, rel=0.03), pytest.approx(60, rel=0.03))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"r_hat_max": 1.02, "ess_min": 900, "divergences": 0}, "not mixed.*1.020"),
        ({"r_hat_max": 1.001, "ess_min": 390, "divergences": 0}, "too few independent draws.*390"),
        ({"r_hat_max": 1.001, "ess_min": 900, "divergences": 3}, "3 of 4,000 draws diverged"),
        ({"r_hat_max": float("nan"), "ess_min": 900, "divergences": 0}, "not mixed"),
    ],
)
def test_draws_that_cannot_be_trusted_are_refused(found: dict[str, float], said: str) -> None:
    with pytest.raises(HistoryFitError, match=said):
        _gate(found, 4000)


# --- recovery


def test_known_parameters_come_back(fit: OnsetFit) -> None:
    posterior = fit.posterior.stack(sample=("chain", "draw"))
    structure = posterior["structure"].transpose("structure_term", "sample")
    truth = {
        "dyad_sd": (posterior["dyad_sd"].values, DYAD_SD),
        "peace": (posterior["peace"].transpose("peace_term", "sample").values[0], PEACE),
        **{name: (structure.sel(structure_term=name).values, value) for name, value in STRUCTURE.items()},
        "land_and_major": (structure.sel(structure_term="land_and_major").values, -0.6),
    }
    for name, (draws, value) in truth.items():
        low, high = np.quantile(draws, (0.005, 0.995))
        assert low < value < high, f"{name}: {value} outside {low:.2f} to {high:.2f}"
        assert high - low < 1.5, f"{name} is hardly informed"


def test_effects_of_dyads_come_back(fit: OnsetFit, known: tuple[pd.DataFrame, np.ndarray]) -> None:
    frame, effects = known
    last = frame[frame["year"] == frame["year"].max()]
    # The same covariates for all, so that only the effect differs.
    plain = last.assign(land=0, majors=0, ever_any=0, peace_force=0)
    found = onset.chance_draws(fit, plain, seed=2).mean(axis=1)
    assert np.corrcoef(np.log(found), np.log(effects))[0, 1] > 0.55


def test_an_unseen_dyad_is_like_the_population(fit: OnsetFit, known: tuple[pd.DataFrame, np.ndarray]) -> None:
    row = known[0].iloc[[0]].assign(a=998, b=999)
    rates = onset.chance_draws(fit, pd.concat([row] * 3), seed=1)
    assert_allclose(rates[0], rates[2]), "one dyad has one effect"
    spread = np.std(rates[0]) / np.mean(rates[0])
    assert 0.5 < spread < 1.0, "as wide as dyads differ"


def test_chances_are_calibrated_on_what_was_fitted(
    fit: OnsetFit, known: tuple[pd.DataFrame, np.ndarray]
) -> None:
    chance = onset.mean_probability(fit, known[0])
    assert chance.mean() == pytest.approx(known[0]["force"].mean(), rel=0.1)
    assert chance[known[0]["land"] == 1].mean() > chance[known[0]["land"] == 0].mean()


def test_shares_are_pulled_together_by_little_data() -> None:
    draws, _ = pooled_shares(["much", "little"], [40, 0], [100, 2], typical=0.2)
    much, little = draws.mean(axis=1)
    assert much == pytest.approx(0.4, abs=0.03)
    assert 0.1 < little < 0.4, "not zero of two"


def test_fatal_months_in_closed_form(history: History) -> None:
    fitted = fatal_months_per_episode(history)
    parameters = fitted.specs[0].parameters
    alpha, rate = parameters["alpha"], parameters["beta"]
    assert isinstance(alpha, float)
    assert isinstance(rate, float)
    assert alpha / rate == pytest.approx(1 + 0.5 / 9)
    assert alpha / rate**2 == pytest.approx(0.5 / 81)


# --- what is stored, and how well it forecasts


def test_stored_chances_order_the_dyads_as_the_record_does(history: History) -> None:
    spec = read_stored().priors["dyad_force_logit"]
    mu = spec.parameters["mu"]
    assert isinstance(mu, dict)
    assert list(mu) == theatre_rows(history, 2026)["dyad"].to_list()
    chance = {dyad: 1 / (1 + np.exp(-value)) for dyad, value in mu.items()}
    assert chance["KOR-PRK"] > chance["CHN-TWN"] > chance["USA-PRK"] > chance["CHN-BRN"]
    assert 0.1 < chance["KOR-PRK"] < 0.4
    assert max(chance["TWN-MYS"], chance["CHN-BRN"]) < 0.02
    table = since_2015(history, pd.Series(mu))
    assert 0.4 < table["expected"].sum() / table["coded"].sum() < 2.5


def test_without_scikit_learn_it_says_what_to_install(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError, match=r"scikit-learn, which is not installed; run `pip install .*backtest"):
        onset_scores(history)


@pytest.mark.slow
def test_scores_reach_the_bars(history: History) -> None:
    found = onset_scores(history, "gml", dispute_wide=True).set_index(["event", "method"])
    for event, _, auc, _, _, log_score in BARS:
        model, simple = found.loc[(event, "model")], found.loc[(event, "peace and recent")]
        assert model["auc"] > auc
        assert model["log_score"] < simple["log_score"]
        if not np.isnan(log_score):
            assert model["log_score"] < log_score * 1.015
    assert found.loc[("fatal", "model"), "events"] == 169


@pytest.mark.slow
def test_refitting_gives_what_is_stored(history: History) -> None:
    from escalation_forecast.history.onset_priors import chances

    stored = read_stored().priors["dyad_force_logit"]
    year = int("".join(c for c in stored.reason.split(".")[0] if c.isdigit()))
    found = chances(history, "force", year=year)
    # Two machines may differ in the last bits and so in the draws: Monte Carlo error is allowed.
    assert_allclose(found.logit.mean(axis=1), stored.array("mu"), atol=0.08)
    assert_allclose(found.logit.std(axis=1), stored.array("sigma"), rtol=0.15)
