"""The page on skill says what the cases say, and nothing about what was not run."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from backtest_folders import ORIGINS, Said, ladder, spending, tension, write_cells
from escalation_forecast.cli import app
from escalation_forecast.model import MODEL_VERSION
from escalation_forecast.question_file import load_questions
from escalation_forecast.report import terminal
from escalation_forecast.report.markdown import escaped
from escalation_forecast.schema import CORE_FOUR, DataError
from escalation_forecast.score.cells import Cell, CellResult
from escalation_forecast.score.compare import skill_table
from escalation_forecast.score.spending_cases import origins
from escalation_forecast.skill import monthly
from escalation_forecast.skill.context import Context, load_notes
from escalation_forecast.skill.folders import Evidence, gather
from escalation_forecast.skill.headline import AIMS, headlines, kept_beside, reached
from escalation_forecast.skill.page import make_page, write_page
from escalation_forecast.skill.spending import ablations, past_forecasts, worst_misses
from escalation_forecast.skill.stored import (
    KINDS,
    RULE_KINDS,
    Score,
    lines,
    load_skill,
    sentence,
    write_skill,
)
from escalation_forecast.store import Store
from synthetic import synthetic_paths, synthetic_summary

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("backtests")
    spending(out)
    tension(out)
    ladder(out)
    return out


@pytest.fixture(scope="module")
def evidence(folder: Path) -> Evidence:
    return gather([folder])


@pytest.fixture(scope="module")
def scores(evidence: Evidence) -> dict[str, Score]:
    return headlines(evidence)


@pytest.fixture(scope="module")
def page(evidence: Evidence) -> str:
    return make_page(evidence)


@pytest.fixture(scope="module")
def growth(evidence: Evidence) -> pd.DataFrame:
    cases = evidence.tasks["spending"].cases
    return cases[(cases["question"] == "growth") & (cases["truth"] == "first_print")]


def table_under(page: str, heading: str) -> dict[str, list[str]]:
    """First table under a heading: cells by the text of the first column, without marks."""
    below = page.split(heading, 1)[1]
    found: dict[str, list[str]] = {}
    for line in below[below.index("| ") :].splitlines():
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        found[cells[0].strip("*`")] = cells[1:]
    return found


def test_scores_and_coverage_on_the_page_are_means_of_the_cases(page: str, growth: pd.DataFrame) -> None:
    core = growth[growth["state"].isin(CORE_FOUR)]
    table = table_under(page, "### Core four, combined8, first print")
    for model in ("pool", "joint", "mix4"):
        own = core[core["model"] == model].groupby("horizon")
        crps, *_, covered = table[model]
        assert crps == " / ".join(f"{v:.2f}" for v in own["crps"].mean())
        assert covered == " / ".join(f"{v:.2f}" for v in own["cov80"].mean())


def test_skill_on_the_page_is_computed_from_the_same_cases(page: str, growth: pd.DataFrame) -> None:
    core = growth[growth["state"].isin(CORE_FOUR)].set_index(["model", "horizon"])["crps"]
    table = table_under(page, "### Core four, combined8, first print")
    for step in (1, 2, 3):
        skill = 1.0 - core[("pool", step)].sum() / core[("mix4", step)].sum()
        assert table["pool"][step].replace("**", "").startswith(f"{skill:+.2f} (")
    assert table["mix4"][1] == "-"


def test_every_sample_and_truth_has_a_table(page: str) -> None:
    for states in ("Core four", "All 5 states"):
        for sample in ("real4", "pseudo4", "combined8"):
            for truth in ("first print", "release 2026"):
                assert f"{states}, {sample}, {truth}" in page


def test_what_a_part_brings_is_skill_against_the_model_without_it(evidence: Evidence, page: str) -> None:
    cases = evidence.tasks["spending"].cases
    found = ablations(cases)
    assert set(found["part"]) == {"announced budgets and programmes"}
    own = cases[cases["state"].isin(CORE_FOUR) & (cases["question"] == "growth")].set_index(
        ["truth", "model", "horizon"]
    )["crps"]
    said = next(line for line in page.splitlines() if line.startswith("- With **announced budgets"))
    for truth in ("first_print", "release_2026"):
        skill = 1 - own[(truth, "joint", 1)].sum() / own[(truth, "joint-no-budgets", 1)].sum()
        row = found[
            (found["truth"] == truth) & (found["states"] == "core4")
            & (found["sample"] == "combined8") & (found["horizon"] == 1)
        ]  # fmt: skip
        assert row["skill"].item() == pytest.approx(skill)
        assert f"{abs(100 * skill):.0f} % {'lower' if skill >= 0 else 'higher'} at 1" in said
    assert "a first print often *is* the budget" in said


def test_variant_run_at_fewer_origins_is_compared_there(tmp_path: Path) -> None:
    spending(tmp_path, ["joint", "mix4"])
    spending(tmp_path, ["joint-no-budgets"], ["2017", "2018"])
    found = ablations(gather([tmp_path]).tasks["spending"].cases)
    assert set(found["n_origins"]) == {2}
    assert set(found["sample"]) == {"real2"}


def test_chances_before_events_are_those_of_the_draws(evidence: Evidence, page: str) -> None:
    cases = evidence.tasks["spending"].cases
    events = cases[
        (cases["question"] == "rc") & (cases["kind"] == "real") & (cases["truth"] == "first_print")
        & (cases["outcome"] == 1.0)
    ]  # fmt: skip
    assert len(events)
    table = table_under(page, "### Chances given before the events of")
    for model, part in events.groupby("model"):
        in_order = part.sort_values(["target_year", "origin"])["p"]
        assert table[str(model)] == [f"{100 * p:.0f} %" for p in in_order]


def test_worst_misses_have_the_interval_of_their_draws(evidence: Evidence, growth: pd.DataFrame) -> None:
    measured = evidence.tasks["spending"]
    worst = worst_misses(measured, "pool", 3)
    own = growth[growth["model"] == "pool"].sort_values("crps", ascending=False).iloc[0]
    first = worst.iloc[0]
    assert (first["state"], first["target_year"], first["origin"]) == (
        own["state"],
        own["target_year"],
        own["origin"],
    )
    draws = measured.draws("pool", own["origin"])
    assert draws is not None
    values = draws["first_print"].sel(state=own["state"], horizon=own["horizon"]).values
    wanted = 100 * np.expm1(np.quantile(values.astype(float), [0.1, 0.5, 0.9]) / 100)
    assert [first["low"], first["median"], first["high"]] == pytest.approx(list(wanted))
    assert first["outcome"] == pytest.approx(100 * np.expm1(own["outcome"] / 100))
    assert not worst.duplicated(["state", "target_year"]).any()


def test_a_budget_counts_as_known_only_from_its_day() -> None:
    store = Store.embedded()
    context = Context(store, {origin.label: origin for origin in origins(store)})
    assert context.announced("CHN", 2023, "2023") == "budget +7.2 %"
    assert context.announced("CHN", 2024, "2023") == "none"
    assert context.announced("CHN", 2023, "2021") == "none"
    before = context.last_origin(pd.Timestamp(2022, 2, 24), {"2013p", "2020", "2021", "2023"})
    assert before is not None
    assert before.label == "2021"


def test_context_needs_the_figures_of_the_backtest(page: str) -> None:
    assert "as the backtest had other figures" in page
    assert "What the model said before" not in page


def test_past_forecasts_are_those_of_the_origin(evidence: Evidence) -> None:
    table = past_forecasts(evidence.tasks["spending"], "pool", "2017", ["RUS"])
    assert list(table["target_year"]) == [2017, 2018, 2019]
    assert (table["low"] < table["median"]).all()


def test_a_task_that_was_not_run_has_no_section(tmp_path: Path) -> None:
    tension(tmp_path)
    page = make_page(gather([tmp_path]))
    assert "## Press tension" in page
    for heading in (
        "Growth of spending\n",
        "## Use of force",
        "## Worst misses",
        "## Calibration",
        "skill_pit",
    ):
        assert heading not in page
    files = write_page(gather([tmp_path]), tmp_path / "docs")
    assert [path.name for path in files] == ["skill.md"]


def test_aims_are_compared_with_the_same_sample_only(evidence: Evidence, page: str) -> None:
    tasks = evidence.tasks
    assert [len(reached(aim, tasks)) for aim in AIMS[:5]] == [0] * 5  # 8 origins are not 21
    table = reached(AIMS[5], tasks)
    cases = tasks["tension"].cases
    wanted = cases[(cases["model"] == "pool") & (cases["horizon"] == 1)]["crps"].mean()
    assert table.loc["pool", 1] == pytest.approx(wanted)
    shown = table_under(page, "CRPS of press tension, mean of six")
    assert shown["aimed at"][0] == "≤ 0.233"
    assert shown["pool"][0] == f"{wanted:.3f}"


def test_a_missed_aim_is_said_to_be_missed() -> None:
    crps, ranked, cover = AIMS[0], AIMS[4], AIMS[3]
    assert crps.met(0, 1.6549)
    assert not crps.met(0, 1.6551)
    assert not ranked.met(0, 0.2521)
    assert ranked.met(0, 0.2509)
    assert [cover.met(0, v) for v in (0.74, 0.75, 0.85, 0.86)] == [False, True, True, False]


def test_use_of_force_is_scored_with_the_pool_of_forecasts(
    evidence: Evidence, page: str, tmp_path: Path
) -> None:
    scores = monthly.ladder_scores(evidence.tasks["ladder"])
    assert "pool" in set(scores["method"])
    joint = scores[(scores["method"] == "joint") & (scores["horizon"] == 1)]["brier"].item()
    assert table_under(page, "## Use of force")["joint"][0].startswith(f"{joint:.3f} / ")
    ladder(tmp_path, ["mix", "decay12"])
    assert "pool" not in set(monthly.ladder_scores(gather([tmp_path]).tasks["ladder"])["method"])


def test_headlines_are_of_the_models_that_answer(
    scores: dict[str, Score], growth: pd.DataFrame, tmp_path: Path
) -> None:
    assert set(scores) == {"spending", "rule", "clash", "tension"}
    own = scores["spending"]
    assert (own.model, own.reference, own.horizons, set(own.origins)) == ("pool", "mix4", (1, 2, 3), {8})
    table = skill_table(growth, reference="mix4", models=["pool"], order=list(ORIGINS))
    assert own.skill == pytest.approx(tuple(table["skill"]), abs=1e-5)
    assert scores["tension"].model == "joint"
    spending(tmp_path, ["joint", "mix4"])
    assert headlines(gather([tmp_path])) == {}


def test_scores_of_other_tasks_stay_stored(scores: dict[str, Score], tmp_path: Path) -> None:
    tension(tmp_path, ["pool", "mix_har_harlocal_ses"])
    kept = kept_beside(scores, gather([tmp_path]))
    assert set(kept) == {"spending", "rule", "clash"}  # tension was run again, without the model that answers


def test_few_origins_are_no_headline(tmp_path: Path) -> None:
    spending(tmp_path, ["pool", "mix4"], ["2017", "2018", "2020"])
    assert headlines(gather([tmp_path])) == {}


def test_skill_file_is_read_as_written(scores: dict[str, Score], tmp_path: Path) -> None:
    path = write_skill(scores, tmp_path / "skill.toml")
    assert load_skill(path) == scores
    assert load_skill(tmp_path / "none.toml") == {}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("[spending]", "[spendings]"), "did you mean `spending`"),
        (("skill = [", "skill = [0.99, "), "not one number for each"),
        (('score = "CRPS"', 'score = "luck"'), "[spending] score"),
        (('unit = "year"', "unit = year"), "is not TOML"),
        (("[spending]", "[spending]\nluck = 1"), "[spending] luck"),
    ],
)
def test_a_wrong_skill_file_is_refused(
    scores: dict[str, Score], tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    path = write_skill(scores, tmp_path / "skill.toml")
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(DataError, match=re.escape(complaint)):
        load_skill(path)


def test_skill_that_does_not_follow_from_its_scores_is_refused(scores: dict[str, Score]) -> None:
    own = scores["spending"]
    with pytest.raises(ValueError, match="is not 1 - "):
        Score.model_validate(own.model_dump() | {"skill": tuple(s + 0.1 for s in own.skill)})


def test_the_embedded_skill_file_is_valid() -> None:
    assert set(load_skill()) <= set(KINDS)


def test_only_kinds_that_are_asked_and_measured_are_quoted(scores: dict[str, Score]) -> None:
    assert [line["kind"] for line in lines(scores, ["growth", "wider-war"], "1")] == ["spending"]
    assert lines({}, ["growth"], "1") == []
    assert lines(scores, ["growth"], "1", pooled_spending=False) == []
    (old,) = lines(scores, ["growth"], "2")
    assert old["text"].endswith("model version 1")
    assert {question.rule for question in load_questions()} >= set(RULE_KINDS)


def test_sentence_says_better_worse_and_uncertain() -> None:
    score = Score(
        model="pool", reference="mix4", score="CRPS", about="growth", unit="year", horizons=(1, 2),
        value=(0.82, 1.05), reference_value=(1.0, 1.0), skill=(0.18, -0.05), low=(0.1, -0.2), high=(0.2, 0.1),
        origins=(21, 20), cases=(84, 80), measured_on="2026-11-27", digest="0" * 16, model_version="1",
    )  # fmt: skip
    assert sentence("spending", score) == (
        "Growth of spending: CRPS 18 % better at 1 year, 5 % worse* at 2 (20 to 21 origins)"
    )


def test_the_terminal_shows_a_line_for_each_kind(scores: dict[str, Score]) -> None:
    summary: dict[str, Any] = synthetic_summary(synthetic_paths())
    quoted = lines(scores, [q.rule for q in load_questions()], MODEL_VERSION)
    assert len(quoted) == 4
    text = []
    for entries in (quoted, []):
        console = Console(width=160, file=io.StringIO(), force_terminal=False)
        terminal.print_summary({**summary, "skill": entries}, console)
        text.append(console.file.getvalue())  # type: ignore[attr-defined]
    assert all(entry["text"] in text[0] for entry in quoted)
    assert "docs/skill.md" in text[0]
    assert "docs/skill.md" not in text[1]


def test_torn_and_failed_cells_are_left_out_and_counted(tmp_path: Path) -> None:
    own = spending(tmp_path, ["joint", "mix4"], ["2017", "2018"])
    (own / "cells" / "spending__joint__2017.parquet").write_bytes(b"torn")
    (own / "cells" / "spending__joint__2018.json").write_text("{")
    measured = gather([tmp_path]).tasks["spending"]
    assert measured.unusable == 2
    assert measured.models == ["mix4"]
    assert "2 cells failed or are torn" in make_page(gather([tmp_path]))


def test_names_cannot_break_out_of_their_cell(tmp_path: Path) -> None:
    own = spending(tmp_path, ["joint", "mix4"], ["2017", "2018"])
    evil = "<img src=x> | `a` |\n## Won"
    frame = pd.read_parquet(own / "cells" / "spending__mix4__2017.parquet").assign(model=evil)
    shutil.rmtree(own)
    spending(tmp_path, ["joint", "mix4"], ["2017"])
    write_cells(
        tmp_path, Said("spending", {"data": "made up"}), {Cell("spending", evil, "2017"): CellResult(frame)}
    )
    page = make_page(gather([tmp_path]))
    assert "<img" not in page
    assert "\n## Won" not in page
    rows = [line for line in page.splitlines() if "&lt;img" in line and line.startswith("|")]
    assert rows
    assert escaped(evil) in rows[0]
    whole = table_under(page, "### Core four, real1, first print")
    assert len({len(cells) for cells in whole.values()}) == 1


@pytest.mark.parametrize("text", ["no json", "[1]", '{"task": "spending"}'])
def test_a_foreign_identity_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "identity.json").write_text(text)
    with pytest.raises(DataError, match=r"identity\.json"):
        gather([tmp_path])


def test_cases_of_another_version_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"task": ["spending"], "model": ["joint"], "origin": ["2017"]})
    write_cells(tmp_path, Said("spending"), {Cell("spending", "joint", "2017"): CellResult(frame)})
    with pytest.raises(DataError, match="lacks the columns horizon"):
        gather([tmp_path])


def test_an_empty_folder_and_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No backtest with a finished cell"):
        gather([tmp_path])
    with pytest.raises(DataError, match="There is no folder"):
        gather([tmp_path / "none"])


def test_of_several_backtests_in_a_folder_the_last_counts(tmp_path: Path) -> None:
    first = spending(tmp_path, ["joint"], ["2017"], {"data": "old"})
    for record in (first / "cells").glob("*.json"):
        text = re.sub(r'"finished_at": "\d{4}', '"finished_at": "2001', record.read_text())
        record.write_text(text)
    last = spending(tmp_path, ["mix4"], ["2017"], {"data": "new"})
    evidence = gather([tmp_path])
    assert evidence.tasks["spending"].digest == last.name
    assert first.name in evidence.left_out[0]
    with pytest.raises(DataError, match="Two backtests of spending"):
        gather([first, last])


def test_cells_in_several_folders_count_once(tmp_path: Path) -> None:
    spending(tmp_path / "a", ["joint", "mix4"], ["2017", "2018"])
    spending(tmp_path / "b", ["mix4"], ["2018", "2020"])
    measured = gather([tmp_path / "a", tmp_path / "b"]).tasks["spending"]
    assert sorted(measured.cells["origin"][measured.cells["model"] == "mix4"]) == ["2017", "2018", "2020"]
    assert not measured.cases.duplicated(["model", "origin", "question", "state", "horizon", "truth"]).any()


def test_archived_runs_are_shown_by_their_day(tmp_path: Path) -> None:
    summary: dict[str, Any] = synthetic_summary(synthetic_paths())
    spending(tmp_path / "b", ["joint"], ["2017"])
    for day in ("2022-01-31", "2014-01-31"):
        folder = tmp_path / "runs" / day
        folder.mkdir(parents=True)
        own = {**summary, "as_of": day, "run_id": day}
        (folder / "summary.json").write_text(json.dumps(own, default=str))
    page = make_page(gather([tmp_path / "b", tmp_path / "runs"]))
    assert page.index("As of 2014-01-31") < page.index("As of 2022-01-31")
    korea = next(e for e in summary["theatres"] if e["theatre"] == "korea")
    assert (
        f"{korea['now']['median']:+.1f}" in table_under(page, "### As of 2014-01-31")["Korean Peninsula"][0]
    )


def test_seconds_are_the_runners(evidence: Evidence, page: str) -> None:
    cells = evidence.tasks["spending"].cells
    assert set(cells["seconds"]) == {2.0}  # the forecaster claims 99
    assert table_under(page, "`spending`: backtest")["joint"][:3] == ["8", "2.0", "16"]


def test_notes_are_checked(tmp_path: Path) -> None:
    notes = load_notes()
    assert ("RUS", 2017) in notes
    assert all(source.startswith("http") for _, source in notes.values())
    path = tmp_path / "skill_notes.csv"
    path.write_text("state,year,note,source\nRUZ,2017,fell,https://a.example\nRUS,2017,fell,somewhere\n")
    with pytest.raises(DataError, match=r"row 2.*RUZ(.|\n)*row 3"):
        load_notes(path)


def test_the_command_writes_page_and_figures(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "docs"
    done = CliRunner().invoke(app, ["skill", "--from", str(folder), "--out", str(out)])
    assert done.exit_code == 0, done.output
    text = (out / "skill.md").read_text(encoding="utf-8")
    shown = re.findall(r"\]\((images/\S+)\)", text)
    assert len(shown) == 4
    for name in shown:
        assert (out / name).read_bytes().startswith(b"\x89PNG")
        assert (out / name).stat().st_size < 200_000
    for link in re.findall(r"\]\(([\w/-]+\.md)\)", text):
        assert (ROOT / "docs" / link).exists() or link == "skill.md"
    done = CliRunner().invoke(app, ["skill", "--from", str(folder), "--json", "--out", str(tmp_path / "no")])
    assert set(json.loads(done.stdout)["backtests"]) == {"spending", "tension", "ladder"}
    assert not (tmp_path / "no").exists()
    assert CliRunner().invoke(app, ["skill", "--from", str(tmp_path / "none")]).exit_code == 2


def test_the_readme_points_to_the_page() -> None:
    assert "(docs/skill.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
