"""Questions: binding, probabilities, base rates, resolution, and what errors say."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from escalation_forecast import questions, realised, rules
from escalation_forecast.question_file import read_question
from escalation_forecast.questions import bind, evaluate, load_questions, resolve
from escalation_forecast.schema import (
    CORE_FOUR,
    STATES,
    THEATRES,
    DataError,
)
from escalation_forecast.store import Store
from made_up import (
    BY_ID,
    FIRST,
    FLAT,
    compound,
    figure,
    growth_paths,
    ladder_rows,
    make_store,
    month_paths,
    news_rows,
    spending_rows,
)

# Binding and evaluation


def forecast_store() -> Store:
    """Flat spending to 2025, quiet news with one loud month after the as-of date, a calm ladder."""
    quiet = [1.0 + 0.01 * (k % 10) for k in range(76)]
    return make_store(
        [
            *spending_rows("2026", FLAT),
            *news_rows([*quiet, 50.0]),
            *ladder_rows([0.0] * 70 + [4.0, 0.0], "2020-05-01"),
        ]
    )


def forecast_paths(n_draws: int = 400, chains: int = 4) -> xr.Dataset:
    rng = np.random.default_rng(3)
    years = np.arange(2020, 2029)
    values = rng.normal(5.0, 4.0, (chains, n_draws, len(STATES), len(years), 6))
    paths = month_paths(chains, n_draws, months=36)
    spending = growth_paths(values, years, STATES)
    return xr.merge([paths, spending], combine_attrs="override")


def test_file_covers_the_promised_questions() -> None:
    promised = {
        "arms-race-regional", "arms-race-annual", "arms-race-count", "arms-race-dyadic", "arms-race-strict",
        "arms-race-acceleration", "spending-growth", "use-of-force", "troops-exceed", "tension-exceeds",
    }  # fmt: skip
    assert promised <= set(BY_ID)
    targets = {item.target for item in bind(BY_ID.values(), Store.embedded(), as_of="2026-05-01")}
    assert {
        "2026",
        "any 2026-2028",
        "all 2026-2028",
        "korea, 6 months",
        "CHN 2026",
        "KOR-JPN 2028",
    } <= targets
    assert {part for part, _ in BY_ID["use-of-force"].parts()} == {(("theatre", name),) for name in THEATRES}


@pytest.mark.parametrize(
    ("as_of", "years"),
    [
        ("2026-04-26", (2025, 2026, 2027, 2028)),
        ("2026-05-01", (2026, 2027, 2028)),
        ("2026-03-31", (2025, 2026, 2027)),
        ("2024-06-01", (2024, 2025, 2026)),
    ],
)
def test_one_file_serves_every_origin(as_of: str, years: tuple[int, ...]) -> None:
    (item,) = [
        i for i in bind([BY_ID["arms-race-regional"]], Store.embedded(), as_of=as_of) if i.combine == "any"
    ]
    assert item.years == years
    assert str(years[-1] + 1) in item.resolves_on


def test_parts_beyond_the_horizon_are_left_out() -> None:
    items = bind([BY_ID["use-of-force"]], forecast_store(), as_of="2026-05-15", horizon=6)
    assert {len(item.months) for item in items} == {3, 6}
    assert items[0].months[0] == pd.Timestamp(FIRST)


def test_threshold_knows_nothing_of_the_future() -> None:
    store = forecast_store()
    item = bind([BY_ID["tension-exceeds"].model_copy(update={"over": {"indicator": ("news_korea",)}})], store,
                as_of="2026-05-15")[0]  # fmt: skip
    known = [1.0 + 0.01 * (k % 10) for k in range(76)]
    assert item.params.threshold == pytest.approx(np.percentile(known, 95))
    leaked = realised.indicator_history(store, "news_korea")
    assert np.percentile(leaked, 99.9) > 10 > item.params.threshold


def test_evaluation_gives_the_entries_of_the_summary() -> None:
    only = [
        BY_ID[name] for name in ("arms-race-regional", "arms-race-count", "spending-growth", "use-of-force")
    ]
    paths = forecast_paths()
    answers = {answer.item.id: answer for answer in evaluate(only, paths, forecast_store())}
    entry = answers["use-of-force/korea/6m"].as_dict()
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry
    window = pd.date_range(FIRST, periods=6, freq="MS")
    hits = (paths["ladder"].sel(theatre="korea", month=window) >= 4).any("month")
    assert entry["probability"] == float(hits.mean())
    p = entry["probability"]
    assert entry["mcse"] == pytest.approx(np.sqrt(p * (1 - p) / hits.size), rel=0.15)
    assert entry["ess"] == pytest.approx(hits.size, rel=0.25)
    assert entry["r_hat"] == pytest.approx(1, abs=0.02)
    count = answers["arms-race-count/2027"].distribution
    assert count is not None
    assert sum(count.values()) == pytest.approx(1)
    regional = answers["arms-race-regional/2027"].probability
    assert regional == pytest.approx(count["3"] + count["4"])
    growth = answers["spending-growth/JPN/2026"].distribution
    assert growth is not None
    assert growth["low"] < growth["median"] < growth["high"]
    values = paths["growth_print"].sel(state="JPN", year=2026, age=0).to_numpy()
    assert growth["high"] == pytest.approx(np.quantile(values, 0.9))


@pytest.mark.parametrize(("level", "probability"), [(0.0, 0.0), (4.0, 1.0)])
def test_unanimous_draws_get_the_rule_of_three(level: float, probability: float) -> None:
    paths = forecast_paths()
    paths["ladder"][:] = level
    answer = evaluate([BY_ID["use-of-force"]], paths, forecast_store())[0]
    assert answer.probability == probability
    assert answer.mcse == 3 / 1600
    assert answer.ess is None
    assert "rule of three" in answer.note


def test_chains_that_disagree_show() -> None:
    paths = forecast_paths()
    paths["ladder"][:] = 0.0
    paths["ladder"][0, ::2] = 4.0
    answer = evaluate([BY_ID["use-of-force"]], paths, forecast_store())[0]
    naive = np.sqrt(answer.probability * (1 - answer.probability) / 1600)  # type: ignore[operator]
    assert answer.r_hat is not None
    assert answer.r_hat > 1.05
    assert answer.mcse is not None
    assert answer.mcse > 2 * naive


def test_evaluation_says_what_the_paths_lack() -> None:
    store, paths = forecast_store(), forecast_paths()
    with pytest.raises(DataError, match="no `ladder`"):
        evaluate([BY_ID["use-of-force"]], paths.drop_vars("ladder"), store)
    holes = paths.copy(deep=True)
    holes["ladder"][:, :, :, 1] = np.nan
    with pytest.raises(DataError, match=r"do not settle `use-of-force/korea/3m`"):
        evaluate([BY_ID["use-of-force"]], holes, store)


def test_indicator_in_another_unit_is_refused() -> None:
    store, paths = forecast_store(), forecast_paths(20)
    question = BY_ID["tension-exceeds"].model_copy(update={"over": {"indicator": ("news_korea",)}})
    known = realised.indicator_history(store.as_of("2026-05-15"), "news_korea")
    months = known.index.append(pd.DatetimeIndex(paths["month"].values))
    wide = paths.reindex(month=months.unique())
    wide["indicator_level"].loc[{"month": known.index}] = known.to_numpy()
    assert evaluate([question], wide, store)[0].base_rate is not None
    with pytest.raises(DataError, match="own unit"):
        evaluate([question], wide.assign(indicator_level=np.log(wide["indicator_level"])), store)


# Base rates


def test_base_rate_of_a_rule_for_years_counts_years_and_windows() -> None:
    growth = [0.0] * 6 + [9.0, 9.0, 9.0, 0.0, -9.0, -9.0]
    levels = {state: compound(growth, 2013) for state in CORE_FOUR}
    store = make_store([*spending_rows("2026", levels), *news_rows([1.0])]).as_of("2026-05-15")
    items = {item.combine: item for item in bind([BY_ID["arms-race-regional"]], store)}
    # Three-year means: 3 in 2020, 6, 9 and 6 in 2021 to 2023, 0 in 2024.
    rates = {how: questions.base_rate(item, store) for how, item in items.items()}
    each, any_, all_ = (rates[how] for how in ("each", "any", "all"))
    assert each is not None
    assert (each.events, each.trials) == (3, 13)
    assert any_ is not None
    # 2014-16, 2017-19, 2020-22, 2023-25
    assert (any_.events, any_.trials) == (2, 4)
    assert all_ is not None
    assert (all_.events, all_.trials) == (0, 4)
    assert "2026" in each.reference_class


def test_base_rate_of_force_counts_windows_and_leaves_open_ones_out() -> None:
    # The first month is the rest that fills no window.
    levels = [4, 0, 0, 4, 0, 0, 0, 4, 4, 4, 0, np.nan, 0, 0, np.nan, 4, 3, 3, 3]
    rows = [*spending_rows("2026", FLAT), *news_rows([1.0]), *ladder_rows(levels, "2024-09-01")]
    store = make_store(rows).as_of("2026-06-30")
    item = next(i for i in bind([BY_ID["use-of-force"]], store) if i.id == "use-of-force/korea/3m")
    rate = questions.base_rate(item, store)
    assert rate is not None
    assert (rate.events, rate.trials) == (3, 5)
    assert "1 without an event left out" in rate.reference_class
    assert "2024-10 to 2026-03" in rate.reference_class


def test_base_rate_uses_only_what_was_known() -> None:
    calm, loud = [0.0] * 24, [4.0] * 24
    rows = [*spending_rows("2023", FLAT), *news_rows([1.0]), *ladder_rows([*calm, *loud], "2022-01-01")]
    paths = forecast_paths(20).assign_attrs(as_of="2024-02-15", first_forecast_month=FIRST)
    answer = evaluate([BY_ID["use-of-force"]], paths, make_store(rows))[0]
    assert answer.base_rate is not None
    assert answer.base_rate.events == 0


def test_troops_say_why_there_is_no_base_rate() -> None:
    answer = evaluate([BY_ID["troops-exceed"]], forecast_paths(20), forecast_store())[0]
    assert answer.base_rate is None
    assert "one such deployment" in answer.note


# Resolution


@pytest.fixture(scope="module")
def embedded() -> Store:
    return Store.embedded()


def test_regional_rule_on_the_editions_held(embedded: Store) -> None:
    found = resolve(BY_ID["arms-race-regional"], embedded, years=[2023, 2024, 2025])
    each = [(r.item.target, r.status, r.releases) for r in found if r.item.combine == "each"]
    assert each == [("2023", "false", ("2024",)), ("2024", "true", ("2025",)), ("2025", "true", ("2026",))]
    assert found[1].published_at == dt.date(2025, 4, 28)
    assert {state: round(value, 2) for state, _, value in found[1].figures} == {
        "CHN": 6.0, "JPN": 10.19, "KOR": -0.02, "TWN": 8.27,
    }  # fmt: skip
    assert "true on release 2025" in str(found[1])


def test_base_rates_on_the_data_held(embedded: Store) -> None:
    known = embedded.as_of("2026-05-01")
    expected = {"arms-race-regional": (3, 34), "arms-race-annual": (13, 34)}
    for name, counts in expected.items():
        rate = questions.base_rate(bind([BY_ID[name]], known)[0], known)
        assert rate is not None
        assert (rate.events, rate.trials) == counts


def test_growth_never_crosses_editions_and_the_first_edition_decides() -> None:
    old = {state: compound([0.0] * 8 + [9.0] * 3, 2012, start=100.0) for state in CORE_FOUR}
    rebased = {state: compound([0.0] * 12, 2012, start=5_000.0) for state in CORE_FOUR}
    store = make_store([*spending_rows("2024", old), *spending_rows("2025", rebased)])
    first, second = resolve(BY_ID["arms-race-annual"], store, years=[2023, 2024])
    assert (first.status, first.releases) == ("true", ("2024",))
    assert (second.status, second.releases) == ("false", ("2025",))
    assert max(abs(value) for _, _, value in second.figures) < 1e-9


def test_open_years_stay_open_until_they_cannot_matter() -> None:
    growth = [0.0] * 8 + [9.0] * 3
    store = make_store(spending_rows("2024", {state: compound(growth, 2012) for state in CORE_FOUR}))
    late = {
        r.item.combine: r.status for r in resolve(BY_ID["arms-race-regional"], store, years=[2023, 2024])[1:]
    }
    assert late == {"each": "unresolved", "any": "true", "all": "unresolved"}
    early = {
        r.item.combine: r.status for r in resolve(BY_ID["arms-race-regional"], store, years=[2016, 2024])[1:]
    }
    assert early == {"each": "unresolved", "any": "unresolved", "all": "false"}


def test_a_missing_state_does_not_qualify() -> None:
    levels = {state: compound([9.0] * 11, 2012) for state in CORE_FOUR}
    full = make_store(spending_rows("2024", levels))
    del levels["KOR"][2021], levels["TWN"][2020]
    gaps = make_store(spending_rows("2024", levels))
    assert resolve(BY_ID["arms-race-regional"], full, years=[2023])[0].status == "true"
    assert resolve(BY_ID["arms-race-regional"], gaps, years=[2023])[0].status == "false"
    assert resolve(BY_ID["arms-race-count"], gaps, years=[2023])[0].value == 2


def force(levels: Sequence[float], months: int) -> str:
    rows = [*spending_rows("2026", FLAT), *news_rows([1.0]), *ladder_rows(levels, "2026-06-01")]
    found = resolve(BY_ID["use-of-force"], make_store(rows), as_of="2026-05-15")
    return next(r.status for r in found if r.item.id == f"use-of-force/korea/{months}m")


def test_force_is_resolved_early_by_a_yes_and_late_by_a_no() -> None:
    assert force([0, 4], 6) == "true"
    assert force([0, 0, 3], 6) == "unresolved"
    assert force([0, 0, 3], 3) == "false"
    assert force([0, np.nan, 3], 3) == "unresolved"
    assert force([4, np.nan, 3], 3) == "true"


def troops(reports: Sequence[tuple[str, str, float]], known_until: str) -> str:
    rows = [*spending_rows("2026", FLAT), *news_rows([1.0])]
    rows += [
        figure(
            "dprk_troops_in_russia",
            "PRK>RUS",
            f"{month}-01",
            value,
            f"{month}-{source}-{k}",
            f"{month}-20",
            source=source,
        )
        for k, (month, source, value) in enumerate(reports)
    ]
    rows.append(figure("gpr_country", "JPN", "2026-05-01", 1.0, "r", known_until))
    found = resolve(BY_ID["troops-exceed"], make_store(rows), as_of="2026-05-15")
    return next(r.status for r in found if r.item.id == "troops-exceed/10000/6m")


def test_troop_reports_by_the_median_body_and_in_due_time() -> None:
    assert troops([("2026-07", "nis", 12_000), ("2026-07", "hur", 11_000)], "2026-08-01") == "true"
    assert troops([("2026-07", "nis", 10_000)], "2027-02-01") == "false"
    assert troops([("2026-07", "nis", 10_000)], "2026-12-15") == "unresolved"
    assert troops([], "2027-02-01") == "unresolved"
    lone = [("2026-07", "hur", 30_000), ("2026-07", "nis", 8_000), ("2026-07", "press", 9_000)]
    assert troops(lone, "2027-02-01") == "false"
    part_then_whole = [("2026-07", "nis", 12_000), ("2026-07", "nis", 3_000)]
    assert troops(part_then_whole, "2026-08-01") == "true"


def test_tension_is_judged_by_the_threshold_of_its_time() -> None:
    store = forecast_store()
    question = BY_ID["tension-exceeds"].model_copy(update={"over": {"indicator": ("news_korea",)}})
    rows = [*spending_rows("2026", FLAT), *news_rows([1.0 + 0.01 * (k % 10) for k in range(77)] + [1.2])]
    later = make_store(rows)
    found = {r.item.target: r.status for r in resolve(question, later, as_of="2026-05-15")}
    assert found == {
        "news_korea, 1 month": "true",
        "news_korea, 3 months": "true",
        "news_korea, 6 months": "true",
        "news_korea, 12 months": "true",
    }
    assert {r.status for r in resolve(question, store, as_of="2026-05-15")} == {"unresolved"}


def test_relative_windows_need_the_date_of_the_question() -> None:
    with pytest.raises(DataError, match=r"`arms-race-annual` is relative.*pass as_of"):
        resolve(BY_ID["arms-race-annual"], forecast_store())


# The file, and what errors say

GOOD: dict[str, Any] = {
    "id": "q", "title": "t", "text": "x", "rule": "ladder-reaches", "over": {"theatre": ["korea"]},
    "window": {"within_months": [3]}, "resolves_on": "the ladder up to {end}", "missing": "stays_open",
    "resolver": "me",
}  # fmt: skip


def test_the_good_question_is_good() -> None:
    assert read_question(GOOD, "f.toml, question `q`").id == "q"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "ladder-reachs"}, "unknown rule `ladder-reachs` (did you mean `ladder-reaches`?)"),
        ({"rule": "wider-wor"}, "unknown rule `wider-wor` (did you mean `wider-war`?)"),
        ({"over": {"theatre": ["korea", "taiwn"]}}, "unknown theatre `taiwn` (did you mean `taiwan`?)"),
        ({"params": {"levle": 4}}, "unknown key `levle` (did you mean `level`?)"),
        ({"titel": "t"}, "unknown key `titel` (did you mean `title`?)"),
        ({"window": {"within_month": [3]}}, "unknown key `within_month` (did you mean `within_months`?)"),
        ({"window": {"within_months": [3], "years": "forecast"}}, "exactly one of"),
        ({"window": {"years": "forecast"}}, "asked of months, but the window gives years"),
        ({"window": {"years": "forcast"}}, "`window.years` is 'forcast'"),
        ({"missing": "does_not_qualify"}, "works by `stays_open`"),
        ({"resolves_on": "up to {ende}"}, "unknown placeholder `ende` (did you mean `end`?)"),
        ({"params": {"theatre": "korea"}}, "`theatre` is in params and in over"),
        ({"over": {}}, "the key `theatre` is missing"),
    ],
)
def test_errors_name_file_question_and_nearest_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_question(GOOD | change, "mine.toml, question `q`")
    text = str(caught.value)
    assert text.startswith("mine.toml, question `q`: ")
    assert message in text
    assert "\n" not in text


def test_errors_of_the_file_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    for text, message in (
        ("[[question]\n", "mine.toml is not valid TOML"),
        ("[[questions]]\n", "unknown table `questions` (did you mean `question`?)"),
        ("", "holds no question"),
        ('[[question]]\nid = "a"\nrule = "grwth"\n', "mine.toml, question `a`: the key"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=r"mine\.toml") as caught:
            load_questions(file)
        assert message in str(caught.value)
    with pytest.raises(DataError, match="no such file"):
        load_questions(tmp_path / "none.toml")


def test_unknown_indicator_is_named_before_anything_is_sampled() -> None:
    question = BY_ID["tension-exceeds"].model_copy(update={"over": {"indicator": ("news_koera",)}})
    with pytest.raises(
        DataError, match=r"question `tension-exceeds`.*`news_koera` \(did you mean `news_korea`\?\)"
    ):
        bind([question], forecast_store(), as_of="2026-05-15")


def test_a_rule_is_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_RULES", dict(rules._RULES))

    class Calm(rules.Params):
        theatre: rules.Theatre

    @rules.register("stays-calm", window="months", params=Calm)
    def stays_calm(paths: xr.Dataset, params: Calm, months: pd.DatetimeIndex) -> xr.DataArray:
        return (paths["ladder"].sel(theatre=params.theatre, month=months) < 4).all("month").astype(float)

    question = read_question(GOOD | {"rule": "stays-calm"}, "f")
    force_ = read_question(GOOD, "f")
    paths, store = forecast_paths(50), forecast_store()
    calm, loud = evaluate([question, force_], paths, store)
    assert calm.probability == pytest.approx(1 - loud.probability)  # type: ignore[operator]
    with pytest.raises(ValueError, match="registered already"):
        rules.register("stays-calm", window="months", params=Calm)(stays_calm)
