"""Rules about the core four: by hand, and the protocol's own probabilities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from escalation_forecast.schema import CORE_FOUR
from escalation_forecast.score import spending_rules as rules
from escalation_forecast.score.proper import brier, log_score, ranked_probability_score
from escalation_forecast.score.spending_baselines import as_dataset, baseline
from escalation_forecast.score.spending_cases import KnownSpending, known_spending, origins, select_origins
from escalation_forecast.store import Store
from made_up import compound, make_store, news_rows, spending_rows

# Protocol figures: rule, origin, method, probabilities one and two years ahead.
RECORDS = [
    ("rc", "2003p", "base_rate", 0.0417, 0.0417), ("rc", "2003p", "markov", 0.0455, 0.0661),
    ("rc", "2017", "persistence", 0.1, 0.1), ("rc", "2017", "markov", 0.0625, 0.0794),
    ("rc", "2025", "base_rate", 0.0735, 0.0735), ("rc", "2025", "persistence", 0.9, 0.9),
    ("rc", "2025", "markov", 0.3333, 0.1632), ("R1_2of4_1y5", "2003p", "base_rate", 0.2083, 0.2083),
    ("R1_2of4_1y5", "2017", "markov", 0.25, 0.2708), ("R1_2of4_1y5", "2025", "markov", 0.3846, 0.3577),
]  # fmt: skip


@pytest.mark.parametrize(("name", "label", "method", "one", "two"), RECORDS)
def test_records_of_a_rule_have_the_protocol_figures(
    whole_store: Store, name: str, label: str, method: str, one: float, two: float
) -> None:
    (origin,) = select_origins(whole_store, label)
    known = known_spending(whole_store, origin, CORE_FOUR)
    found = rules.simple_probabilities(known, rules.RULES[name])[method]
    assert found[:2] == pytest.approx([one, two], abs=6e-5)


def test_scores_of_mix4_and_the_chain_have_the_protocol_figures(whole_store: Store) -> None:
    rows = []
    for origin in select_origins(whole_store, "combined21"):
        known = known_spending(whole_store, origin)
        draws = baseline("mix4")(known, 2)
        truth = rules.rule_outcomes(whole_store, origin)
        truth = truth[truth["truth"] == "first_print"].set_index(["question", "horizon"])["outcome"]
        counts = rules.count_probabilities(draws)
        for h in (1, 2, 3):
            if (rules.COUNT, h) in truth.index:
                y = np.array([truth[rules.COUNT, h]])
                rows.append((h, "count", "rps", float(ranked_probability_score(counts[[h - 1]], y)[0])))
        for name in ("rc", "R1_2of4_1y5"):
            rule = rules.RULES[name]
            forecasts = {
                "mix4": rules.rule_probabilities(draws, rule),
                "markov": rules.simple_probabilities(known, rule)["markov"],
            }
            for method, p in forecasts.items():
                for h in (1, 2, 3):
                    if (name, h) in truth.index:
                        one, y = p[h - 1 : h], np.array([truth[name, h]])
                        rows.append((h, f"{name} {method}", "brier", float(brier(one, y)[0])))
                        rows.append((h, f"{name} {method}", "log_score", float(log_score(one, y)[0])))
    means = pd.DataFrame(rows, columns=["h", "what", "score", "value"])
    means = means.groupby(["what", "score", "h"])["value"].mean()
    exact = {
        ("rc markov", "brier"): (0.12378, 0.14214, 0.10036),
        ("rc markov", "log_score"): (0.44411, 0.50893, 0.37484),
        ("R1_2of4_1y5 markov", "brier"): (0.28210, 0.29559, 0.31295),
    }
    drawn = {
        ("rc mix4", "brier"): (0.06833, 0.11745, 0.10266),
        ("R1_2of4_1y5 mix4", "brier"): (0.23520, 0.26237, 0.27940),
        ("R1_2of4_1y5 mix4", "log_score"): (0.66565, 0.72212, 0.75674),
        ("count", "rps"): (0.26985, 0.36259, 0.40693),
    }
    for table, tolerance in ((exact, 2e-5), (drawn, 0.012)):
        for key, values in table.items():
            assert means[key].to_list() == pytest.approx(values, abs=tolerance)


def test_a_rule_needs_its_number_of_states_and_counts_the_border() -> None:
    growth = np.array([[5.0, 5.0, 5.0], [15.0, 0.0, 0.0], [4.9, 5.0, 5.0], [20.0, -5.0, 0.1]])
    # three-year means 5, 5, 4.97 and 5.03
    assert rules.RULES["rc"].qualifies(growth) == 3
    assert rules.Rule(2, 5.0, 1).qualifies(growth) == 3
    assert rules.RULES["RC3"].qualifies(growth) == 4


def test_probabilities_use_simple_growth_of_the_window(whole_store: Store) -> None:
    (origin,) = select_origins(whole_store, "2018")
    known = known_spending(whole_store, origin, CORE_FOUR)
    # log growth of 5 points is 5.13 per cent; 4.9 log points are 5.02, 4.8 are 4.92
    values = {"CHN": 5.0, "JPN": 4.9, "KOR": 4.8, "TWN": 4.8}
    half = {s: np.vstack([np.full((50, 3), v), np.full((50, 3), -9.0)]) for s, v in values.items()}
    draws = as_dataset(half, known)
    assert rules.rule_probabilities(draws, rules.Rule(2, 5.0, 1)) == pytest.approx([0.5] * 3)
    assert rules.rule_probabilities(draws, rules.Rule(3, 5.0, 1)) == pytest.approx([0.0] * 3)
    assert rules.count_probabilities(draws)[2] == pytest.approx([0.5, 0.0, 0.5, 0.0, 0.0])


def made_up_store() -> Store:
    quick, slow = [6.0] * 12, [1.0] * 12
    levels = {
        "CHN": compound(quick, 1989), "JPN": compound(quick, 1989),
        "KOR": compound([1.0] * 6 + [6.0] * 6, 1989), "TWN": compound(slow, 1989),
    }  # fmt: skip
    early = {s: {y: v for y, v in table.items() if y < 1999} for s, table in levels.items()}
    return make_store(
        [*spending_rows("1999", early), *spending_rows("2002", levels), *news_rows([1.0], "1990-01-01")]
    )


def known_level(known: KnownSpending, state: str, year: int) -> float:
    rows = rules.origin_levels(known)
    return float(rows[(rows["state"] == state) & (rows["year"] == year)]["value"].iloc[0])


def test_record_of_a_rule_by_hand() -> None:
    store = made_up_store()
    known = known_spending(store, origins(store)[0])
    # Korea grows from 1996, so three of four have a three-year mean of 5 or more from 1998 on
    levels = np.array([[known_level(known, s, y) for s in CORE_FOUR] for y in range(1989, 1999)])
    counts = rules.counts_by_year(rules.simple_growth(levels), 1990, rules.RULES["rc"])
    assert counts == {1992: 2, 1993: 2, 1994: 2, 1995: 2, 1996: 2, 1997: 2, 1998: 3}
    found = rules.simple_probabilities(known, rules.RULES["rc"])
    assert found["base_rate"] == pytest.approx([1.5 / 8] * 3)
    assert found["persistence"] == pytest.approx([0.9] * 3)
    # six years off, one switch; none yet after a year on
    stay, switch = 1 / 2, 1.5 / 7
    two = stay * stay + (1 - stay) * switch
    assert found["markov"] == pytest.approx([stay, two, two * stay + (1 - two) * switch])


def test_outcomes_of_rules_by_hand() -> None:
    store = made_up_store()
    table = rules.rule_outcomes(store, origins(store)[0]).set_index(["question", "truth", "horizon"])
    table = table.sort_index()
    assert table.loc[("rc", "first_print"), "outcome"].to_list() == [1.0, 1.0, 1.0]
    assert table.loc[("count", "release_2002"), "outcome"].to_list() == [3.0, 3.0, 3.0]
    assert table.loc[("RC3", "first_print", 3), "target_year"] == 2001
    assert not table.loc[("rc", "first_print", 1), "strict"]
    assert table.loc[("rc", "first_print", 3), "strict"]


def test_a_year_without_all_four_states_has_no_outcome_and_no_record() -> None:
    store = made_up_store()
    observations = store.observations
    taiwan = (observations["unit"] == "TWN") & (observations["period_start"] >= "1998-01-01")
    from dataclasses import replace

    cut = replace(
        store,
        observations=observations[~taiwan].reset_index(drop=True),
        where=store.where[~taiwan].reset_index(drop=True),
    )
    assert rules.rule_outcomes(cut, origins(cut)[0]).empty
    assert rules.simple_probabilities(known_spending(cut, origins(cut)[0]), rules.RULES["rc"]) == {}


def test_a_rise_from_100_to_105_is_five_per_cent() -> None:
    growth = rules.simple_growth(np.array([[100.0] * 4, [105.0] * 4]))
    assert rules.counts_by_year(growth, 2001, rules.Rule(2, 5.0, 1)) == {2001: 4}
