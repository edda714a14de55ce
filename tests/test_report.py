from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from escalation_forecast.report import plots, style, tables, terminal
from escalation_forecast.schema import CORE_FOUR, STATES, THEATRES, DataError
from synthetic import synthetic_paths, synthetic_summary

EVENTS = Path(__file__).parents[1] / "data" / "events.csv"


@pytest.fixture(scope="module")
def paths() -> xr.Dataset:
    return synthetic_paths()


@pytest.fixture(scope="module")
def summary(paths: xr.Dataset) -> dict[str, Any]:
    return synthetic_summary(paths)


def shown(summary: dict[str, Any], width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    terminal.print_summary(summary, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_theatre_summary_agrees_with_direct_computation(paths: xr.Dataset) -> None:
    entry = tables.theatre_summaries(paths)[THEATRES.index("taiwan")]
    draws = paths["risk"].sel(theatre="taiwan").stack(s=("chain", "draw")).transpose("s", "month")
    now = draws.sel(month="2026-06-01").values
    assert entry["now"]["month"] == "2026-06"
    assert entry["year_ago"]["month"] == "2025-06"
    assert entry["forecast"]["month"] == "2027-06"
    assert [entry["now"][k] for k in ("low", "median", "high")] == pytest.approx(
        np.quantile(now, [0.1, 0.5, 0.9])
    )
    change = now - draws.sel(month="2025-12-01").values
    assert entry["trend"]["change_6m"] == pytest.approx(np.median(change))
    assert entry["trend"]["probability_up"] == pytest.approx((change > 0).mean())
    past = draws.sel(month=slice("1990-01-01", "2026-05-01")).values
    assert entry["percentile"] == pytest.approx(100 * np.median((past < now[:, None]).mean(axis=1)))


def test_percentile_is_hundred_at_the_highest_month_and_ignores_the_forecast(paths: xr.Dataset) -> None:
    high = paths.copy(deep=True)
    month = high["month"]
    high["risk"] = high["risk"].where(month != np.datetime64("2026-06-01"), 50.0)
    high["risk"] = high["risk"].where(month <= np.datetime64("2026-06-01"), 90.0)
    assert tables.theatre_summaries(high)[0]["percentile"] == 100.0


def test_global_factor_comes_last_and_everything_is_plain_json(summary: dict[str, Any]) -> None:
    assert [e["theatre"] for e in summary["theatres"]] == [*THEATRES, "global"]
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_spending_summary_marks_released_years_and_missing_prints(paths: xr.Dataset) -> None:
    found = {(e["state"], e["year"]): e for e in tables.spending_summaries(paths)}
    assert set(found) == {(s, int(y)) for s in STATES for y in paths["year"].values}
    assert found["CHN", 2025]["released"]
    assert not found["CHN", 2026]["released"]
    assert found["CHN", 2018]["print"] == {"median": None, "low": None, "high": None}
    assert found["CHN", 2018]["released"]
    past, ahead = found["TWN", 2025]["print"], found["TWN", 2026]["print"]
    assert past["low"] == past["median"] == past["high"]
    assert ahead["low"] < ahead["median"] < ahead["high"]
    direct = paths["growth_print"].sel(state="TWN", year=2026, age=0).values.ravel()
    assert ahead["high"] == pytest.approx(np.quantile(direct, 0.9))


def test_released_follows_the_draws_and_falls_back_on_the_date(paths: xr.Dataset) -> None:
    def known(data: xr.Dataset) -> list[int]:
        out = tables.released(data)
        return [int(y) for y in out["year"].values[out.values]]

    assert known(paths)[-1] == 2025
    assert known(synthetic_paths(as_of="2026-04-10"))[-1] == 2024
    one = paths.isel(chain=[0], draw=[0])
    assert known(one)[-1] == 2025
    assert known(one.assign_attrs(as_of="2026-04-29"))[-1] == 2024


def test_three_year_mean_stays_within_one_release(paths: xr.Dataset) -> None:
    mean = tables.three_year_mean(paths).sel(state="JPN", year=2026)
    within = paths["growth_print"].sel(state="JPN", year=2026, age=slice(0, 2)).mean("age")
    xr.testing.assert_allclose(mean, within)
    gap = paths.copy(deep=True)
    gap["growth_print"].loc[{"state": "JPN", "year": 2026, "age": 2}] = np.nan
    assert tables.three_year_mean(gap).sel(state="JPN", year=2026).isnull().all(), "missing is not left out"


def test_tables_have_the_documented_columns(paths: xr.Dataset, summary: dict[str, Any]) -> None:
    levels = ["q05", "q10", "q25", "q50", "q75", "q90", "q95"]
    documented = tables.__doc__ or ""
    made = {
        "theatres": tables.theatre_table(paths),
        "latent": tables.latent_table(paths),
        "spending": tables.spending_table(paths),
        "questions": tables.question_table(summary),
    }
    assert list(made["latent"]) == ["month", "theatre", "phase", "mean", *levels]
    assert list(made["spending"]) == [
        "state", "year", "measure", "released", "mean", *levels, "probability_5",
    ]  # fmt: skip
    assert list(made["theatres"]) == list(tables.THEATRE_COLUMNS)
    assert list(made["questions"]) == list(tables.QUESTION_COLUMNS)
    for table in made.values():
        assert all(column in documented for column in table.columns)


def test_latent_table_quantiles_belong_to_their_month_and_theatre(paths: xr.Dataset) -> None:
    table = tables.latent_table(paths).set_index(["month", "theatre"])
    row = table.loc[(pd.Timestamp("2022-02-01"), "ukraine_nato")]
    draws = paths["risk"].sel(month="2022-02-01", theatre="ukraine_nato").values
    assert row["q90"] == pytest.approx(np.quantile(draws, 0.9))
    assert row["mean"] == pytest.approx(draws.mean())
    assert row["phase"] == "history"
    assert table.loc[(pd.Timestamp("2026-07-01"), "global"), "phase"] == "forecast"


def test_spending_table_values_belong_to_their_row(paths: xr.Dataset) -> None:
    table = tables.spending_table(paths).set_index(["state", "year", "measure"])
    mean = paths["growth_print"].sel(state="KOR", year=2027, age=slice(0, 2)).mean("age").values
    row = table.loc[("KOR", 2027, "three_year_mean")]
    assert row["probability_5"] == pytest.approx((mean >= 5).mean())
    assert row["q25"] == pytest.approx(np.quantile(mean, 0.25))
    assert row["mean"] == pytest.approx(mean.mean())
    assert not row["released"]
    assert table.loc[("KOR", 2018, "print"), ["mean", "q50", "probability_5"]].isna().all()


def test_written_tables_read_back_equal_from_both_formats(
    paths: xr.Dataset, summary: dict[str, Any], tmp_path: Path
) -> None:
    files = tables.write_tables(paths, summary, tmp_path / "tables")
    assert sorted(f.name for f in files) == sorted(
        f"{n}.{e}" for n in ("theatres", "latent", "spending", "questions") for e in ("csv", "parquet")
    )
    parquet = pd.read_parquet(tmp_path / "tables" / "latent.parquet")
    csv = pd.read_csv(tmp_path / "tables" / "latent.csv", parse_dates=["month"])
    pd.testing.assert_frame_equal(csv, parquet, check_dtype=False, rtol=1e-4, atol=1e-6)
    questions = pd.read_parquet(tmp_path / "tables" / "questions.parquet").set_index("id")
    assert questions.loc["arms-race-regional/2026", "base_events"] == 3
    assert json.loads(str(questions.loc["arms-race-count/2026", "distribution"]))["2"] == 0.36


@pytest.mark.parametrize("width", [80, 100])
def test_summary_fits_the_width_and_has_every_part(summary: dict[str, Any], width: int) -> None:
    text = shown(summary, width)
    assert max(len(line) for line in text.splitlines()) <= width
    for part in ("Korean Peninsula", "41 %", "± 0.6", "18 % (3 of", "Fit passed", "R-hat 1.006"):
        assert part in text
    for state in CORE_FOUR:
        assert state in text
    assert "DRAFT" not in text


def test_theatre_rows_take_one_line_per_push_at_hundred_columns(summary: dict[str, Any]) -> None:
    lines = shown(summary).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("Korean Peninsula"))
    assert "news_korea" in lines[start]
    assert lines[start + 1].split() == ["+0.1", "launches_prk"]
    assert lines[start + 2].startswith("Taiwan Strait")


def test_draft_and_changed_priors_are_loud(summary: dict[str, Any]) -> None:
    text = shown({**summary, "draft": True})
    assert "DRAFT" in text.splitlines()[1]
    assert "phi: Beta(alpha=18, beta=2) -> Beta(alpha=9, beta=2)" in text
    assert "prior" not in shown({**summary, "priors_changed": []})


def test_failed_fit_says_why(summary: dict[str, Any]) -> None:
    broken = copy.deepcopy(summary)
    broken["diagnostics"] |= {"passed": False, "reasons": ["R-hat 1.04 of phi[korea] is above 1.01"]}
    text = shown(broken)
    assert "Fit FAILED" in text
    assert "R-hat 1.04 of phi[korea]" in text


def test_empty_parts_do_not_break_the_summary(summary: dict[str, Any]) -> None:
    bare = {**summary, "questions": [], "theatres": [], "spending": [], "priors_changed": []}
    assert "Fit passed" in shown(bare)


@pytest.mark.parametrize(
    ("probability", "text"),
    [(None, "-"), (0.0, "<0.1 %"), (0.034, "3.4 %"), (0.412, "41 %"), (0.995, "99.5 %"), (1.0, ">99.9 %")],
)
def test_percent_has_the_digits_a_reader_can_use(probability: float | None, text: str) -> None:
    assert terminal.percent(probability) == text


def test_base_rate_of_nothing_seen_is_nought_and_class_is_cut_at_its_qualification() -> None:
    about = "years 1992-2025 by the same rule on the release 2026; figures as revised"
    rate = {"rate": 0.0, "events": 0, "trials": 34, "reference_class": about}
    assert terminal.rate_text(rate) == "0 % (0 of 34 years 1992-2025)"
    months = rate | {"reference_class": "months 1990-01 to 2026-04 by the same rule"}
    assert terminal.rate_text(months) == "0 % (0 of 34 months 1990-2026)"


def test_common_title_keeps_whole_words_that_all_share() -> None:
    def titled(*titles: str) -> str:
        return terminal.common_title([{"title": t} for t in titles])

    assert titled("Use of force in korea", "Use of force in taiwan") == "Use of force"
    assert titled("A war, by any route") == "A war, by any route"
    assert titled("One thing", "Another") == ""


def test_trend_arrow_needs_certainty() -> None:
    arrows = [
        terminal.trend_text({"change_6m": 0.2, "probability_up": p}).plain[0]
        for p in (0.95, 0.8, 0.5, 0.2, 0.02)
    ]
    assert arrows == ["↑", "↗", "→", "↘", "↓"]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(0, 1000, allow_nan=False), st.floats(20, 250, allow_nan=False)),
        max_size=9,
        unique_by=lambda pair: round(pair[0] / 8),
    )
)
def test_labels_of_events_never_overlap(pairs: list[tuple[float, float]]) -> None:
    flags = style.place_flags([p[0] for p in pairs], [p[1] for p in pairs], 0, 1000)
    for n, a in enumerate(flags):
        assert a.end - a.start == pytest.approx(pairs[n][1])
        for b in flags[n + 1 :]:
            assert a.tier != b.tier or a.end <= b.start or b.end <= a.start


def test_crowded_events_still_get_places_quickly() -> None:
    flags = style.place_flags([500.0 + n for n in range(40)], [200.0] * 40, 0, 1000)
    assert len({flag.tier for flag in flags}) == 40


def test_events_file_is_dated_sourced_and_short() -> None:
    events = plots.read_events(EVENTS)
    assert set(events["theatre"]) == {*THEATRES, "global"}
    assert (events["label"].str.len() <= 40).all()
    assert (events["source"].str.len() > 5).all()
    assert not events.duplicated(["date", "theatre"]).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,theatre,label\n2020-01-01,korea,x\n", "column 'source' is missing"),
        ("date,theatre,label,source\nMay 2020,korea,x,y\n", "YYYY-MM-DD"),
        ("day,theatre,label,source\n2020-01-01,korea,x,y\n", "needs a 'date'"),
    ],
)
def test_broken_events_file_is_refused_by_name(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        plots.read_events(file)
    assert str(file) in str(caught.value)


def test_latent_plot_annotates_each_event_once_in_its_own_panel(
    paths: xr.Dataset, summary: dict[str, Any]
) -> None:
    events = plots.read_events(EVENTS)
    figure = plots.plot_latent(paths, events, summary)
    for ax, theatre in zip(figure.axes, [*THEATRES, "global"], strict=True):
        labels = [text.get_text() for text in ax.texts]
        assert labels == events.loc[events["theatre"] == theatre, "label"].tolist()
        boxes = [text.get_window_extent() for text in ax.texts]
        overlaps = [(a, b) for n, a in enumerate(boxes) for b in boxes[n + 1 :] if a.overlaps(b)]
        assert not overlaps
        frame = ax.get_window_extent()
        assert all(box.x0 >= frame.x0 - 1 and box.x1 <= frame.x1 + 1 for box in boxes)


def test_latent_plot_leaves_out_events_after_the_horizon(paths: xr.Dataset) -> None:
    events = pd.DataFrame(
        {
            "date": pd.to_datetime(["1985-01-01", "2035-01-01"]),
            "theatre": "korea",
            "label": "x",
            "source": "y",
        }
    )
    assert not plots.plot_latent(paths, events).axes[0].texts


def test_spending_plot_names_the_probability_it_shows(paths: xr.Dataset, summary: dict[str, Any]) -> None:
    figure = plots.plot_spending(paths, summary)
    mean = paths["growth_print"].sel(state="CHN", year=2026, age=slice(0, 2)).mean("age").values
    expected = terminal.percent(float((mean >= 5).mean()))
    assert f"in 2026: {expected}" in figure.axes[0].texts[0].get_text()


def test_questions_plot_shows_every_probability_with_its_target(summary: dict[str, Any]) -> None:
    figure = plots.plot_questions(summary)
    written = [text.get_text() for ax in figure.axes for text in ax.texts]
    binary = [q for q in summary["questions"] if q["probability"] is not None]
    for q in binary:
        assert terminal.target_text(q["target"]) in written
    assert sum(text.endswith("%") for text in written) >= len(binary)
    assert plots.plot_questions({**summary, "questions": []}).axes is not None


def test_draft_is_marked_on_every_plot(paths: xr.Dataset, summary: dict[str, Any]) -> None:
    draft = {**summary, "draft": True}
    for figure in (plots.plot_spending(paths, draft), plots.plot_questions(draft)):
        assert "DRAFT" in [text.get_text() for text in figure.texts]
    assert "DRAFT" not in [text.get_text() for text in plots.plot_questions(summary).texts]


def test_saved_plots_are_images_and_the_same_each_time(
    paths: xr.Dataset, summary: dict[str, Any], tmp_path: Path
) -> None:
    events = plots.read_events(EVENTS)
    files = plots.save_plots(paths, summary, tmp_path / "one", events)
    again = plots.save_plots(paths, summary, tmp_path / "two", events)
    assert [f.name for f in files] == ["latent.png", "spending.png", "questions.png", "indicators.png"]
    for a, b in zip(files, again, strict=True):
        assert a.read_bytes().startswith(b"\x89PNG")
        assert a.read_bytes() == b.read_bytes()


def test_paths_of_one_draw_can_be_shown(paths: xr.Dataset) -> None:
    one = paths.isel(chain=[0], draw=[0])
    summary = synthetic_summary(one)
    plots.plot_latent(one, plots.read_events(EVENTS), summary)
    plots.plot_spending(one, summary)
    assert "Korean Peninsula" in shown(summary)


def test_plots_leave_pyplot_alone() -> None:
    code = (
        "import sys; import escalation_forecast.report.plots, escalation_forecast.priors; "
        "late = {'matplotlib.pyplot', 'pymc', 'preliz', 'pymc_extras'} & set(sys.modules); "
        "sys.exit(str(late) if late else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
