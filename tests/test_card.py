"""The model card says what the summary says, of every run, and nothing in it can become markup."""

from __future__ import annotations

import datetime as dt
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from escalation_forecast import archive
from escalation_forecast.archive import Run
from escalation_forecast.card import CARD, Card, model_card, sentences, source_records
from escalation_forecast.card.card import prior_counts, reproduction
from escalation_forecast.cli import app
from escalation_forecast.scenario import levers
from escalation_forecast.schema import FIGURE_KEY
from escalation_forecast.store import Store
from run_folder import RUN, run_folder, summary_of

ROOT = Path(__file__).parents[1]
MITCHELL = (
    "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
    "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
)  # fmt: skip
EVIL = '<script>alert("x")</script> [a](javascript:1) ![b](c) | $x_{ * # `'


class Outline(HTMLParser):
    """Tags and text of a fragment."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def card(year_run: Run, known: Store) -> Card:
    return model_card(year_run, known)


def changed(run: Run, **changes: Any) -> Run:
    return Run(run.folder, run.summary | changes)


def test_a_run_keeps_its_card(year_run: Run, card: Card) -> None:
    kept = (year_run.folder / CARD).read_text(encoding="utf-8")
    assert kept == card.markdown()
    assert kept == model_card(year_run.folder).markdown()  # from disk, with the embedded catalogue


def test_headings_are_those_of_model_cards(card: Card) -> None:
    titles = [section.title for section in card.sections]
    assert [t for t in titles if t.startswith(MITCHELL)] == [
        next(t for t in titles if t.startswith(name)) for name in MITCHELL
    ]


def test_numbers_are_those_of_the_summary(year_run: Run, card: Card) -> None:
    summary, facts, text = year_run.summary, card.to_dict(), card.markdown()
    assert facts["run"]["seed"] == summary["seed"]
    assert facts["data"]["n_observations"] == summary["data"]["n_observations"]
    assert facts["data"]["last_month"] == max(summary["data"]["last_month"].values())
    assert facts["diagnostics"] == summary["diagnostics"]
    health = summary["diagnostics"]
    for said in (
        f"{health['r_hat_max']['value']:.3f}", f"{health['ess_bulk_min']['value']:.0f}",
        f"{health['e_bfmi_min']:.2f}", f"{health['total_seconds']:.0f} s", f"{health['peak_memory_mb']:,} MB",
        f"{summary['data']['n_observations']:,} figures", summary["data"]["content_hash"],
        f"{summary['horizon_months']} months",
    ):  # fmt: skip
        assert said in text
    labels = [q["prior_share"]["label"] for q in summary["questions"] if q["prior_share"]]
    assert labels
    for name in ("data-driven", "mixed", "prior-driven"):
        assert facts["prior_shares"]["by_label"][name] == labels.count(name)
        assert f"{labels.count(name)} {name}" in text
    assert f"Of {len(summary['questions'])} answers {len(labels)} are about" in text


def test_other_numbers_give_another_card(year_run: Run, card: Card) -> None:
    health = year_run.summary["diagnostics"]
    other = changed(
        year_run,
        diagnostics=health
        | {"divergences": 77, "e_bfmi_min": 0.123, "passed": False, "reasons": ["Too few."]},
        draft=False,
    )
    text = model_card(other).markdown()
    assert "| divergences | 77 |" in text
    assert "0.12" in text
    assert "- Too few." in text
    assert "not published: the fit did not pass its gates" in text
    assert "not published: the fit" not in card.markdown()


def test_changed_priors_are_told_with_old_and_new(year_run: Run, card: Card) -> None:
    assert "All priors are the defaults" in card.markdown()
    entry = {"name": "phi", "default": "Beta(30, 2)", "used": "Beta(9, 1)"}
    text = model_card(changed(year_run, priors_changed=[entry])).markdown()
    assert "One prior differs" in text
    assert "phi was Beta(30, 2) by default and is Beta(9, 1) here" in text
    assert f"--priors runs/{year_run.summary['run_id']}/priors.toml" in text


def test_headline_answers_are_those_for_a_year() -> None:
    def answer(name: str, label: str | None) -> dict[str, Any]:
        share = {"label": label} if label else None
        return {"id": name, "question": name.partition("/")[0], "probability": 0.1, "prior_share": share}

    found = prior_counts(
        [
            answer("wider-war/any/12m", "mixed"),
            answer("wider-war/any/3m", "prior-driven"),
            answer("war-joining/USA/12m", "prior-driven"),
            answer("fatal-clash/1/CHN-TWN/12m", "data-driven"),
            answer("arms-race-annual/2027", None),
        ]
    )
    assert [one["id"] for one in found["headline"]] == ["wider-war/any/12m", "war-joining/USA/12m"]
    assert found["by_label"] == {"data-driven": 1, "mixed": 1, "prior-driven": 2}
    assert (found["answers"], found["measured"]) == (5, 4)


def test_sources_are_counted_as_known_on_the_day(whole_store: Store, known: Store) -> None:
    now = {one["source"]: one for one in source_records(known)}
    rows = known.observations
    own = rows[rows["source"] == "sipri-milex"]
    assert now["sipri-milex"]["figures"] == len(own.drop_duplicates(list(FIGURE_KEY)))
    assert now["sipri-milex"]["newest"] == f"{own['published_at'].max():%Y-%m-%d}"
    assert now["sipri-milex"]["vintages"] == own.groupby(list(FIGURE_KEY)).size().max() > 5
    assert sum(one["figures"] for one in now.values()) == len(rows.drop_duplicates(list(FIGURE_KEY)))
    assert now["cow-wars"]["figures"] == 0  # read by the tables of history alone
    day = dt.date(2021, 6, 30)
    then = {one["source"]: one for one in source_records(whole_store.as_of(day))}
    assert all(one["newest"] <= day.isoformat() for one in then.values() if one["newest"])
    assert then["sipri-milex"]["vintages"] < now["sipri-milex"]["vintages"]
    assert "hur" not in then  # first spoke in 2024


def test_every_source_with_figures_is_named_with_its_terms(card: Card, known: Store) -> None:
    used = set(known.observations["source"])
    listed = {one["source"]: one for one in card.to_dict()["licences"]}
    assert used <= set(listed)
    assert all(listed[name]["terms"] and listed[name]["citation"] for name in used)


def test_a_run_without_sources_is_told_of_todays(year_run: Run, known: Store) -> None:
    data = {k: v for k, v in year_run.summary["data"].items() if k != "sources"}
    same = model_card(changed(year_run, data=data), known).to_dict()["data"]
    assert same["note"] == ""
    assert same["sources"] == model_card(year_run).to_dict()["data"]["sources"]
    other = model_card(changed(year_run, data=data | {"content_hash": "ab" * 32}), known)
    assert "differ from those of the run" in other.markdown()


def test_a_run_of_the_first_days_has_a_card(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    summary = json.loads((folder / archive.SUMMARY).read_text())
    summary["data"]["sources"] = []
    archive.write_summary(summary, folder)
    text = model_card(folder).markdown()
    assert RUN in text
    assert "No backtest has measured the questions of this run." in text


def test_limits_are_those_of_the_readme_and_the_page_on_validation() -> None:
    def bullets(file: Path, heading: str, end: str) -> tuple[str, ...]:
        part = file.read_text(encoding="utf-8").split(f"{heading}\n", 1)[1].split(end, 1)[0]
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", part).replace("*", "")
        return tuple(" ".join(one.split()) for one in re.split(r"^- ", plain, flags=re.MULTILINE)[1:])

    assert bullets(ROOT / "README.md", "\n## Limits", "\n## ") == sentences.LIMITS
    assert bullets(ROOT / sentences.VALIDATION, "\nWrong:", "\n## ") == sentences.FAILURES


def test_limits_that_the_code_sets_are_those_of_the_code(card: Card) -> None:
    assert sentences.LEVER_MONTHS == levers.LONGEST
    assert f"Scenarios beyond {levers.LONGEST} months: they are not answered." in card.markdown()
    # Where the day is typical rather than true the data say so; the card's sentence rests on it.
    assert any(one["pseudo"] == 1.0 for one in card.to_dict()["data"]["sources"])


def test_html_is_a_fragment_with_headings_from_the_third_level(card: Card) -> None:
    found = Outline(card.html())
    assert found.open == []
    assert found.tags[0] == "article"
    assert [tag for tag in found.tags if re.fullmatch("h[1-6]", tag)] == ["h3", *["h4"] * len(card.sections)]
    assert {"th", "td", "li", "pre"} <= set(found.tags)


def test_hostile_text_stays_text(year_run: Run) -> None:
    entry = {"name": EVIL, "default": EVIL, "used": EVIL}
    evil = changed(
        year_run, priors_changed=[entry], skill=[{"text": EVIL, "measured_on": EVIL, "page": EVIL}]
    )
    found = model_card(evil)
    assert "script" not in Outline(found.html()).tags
    assert any("<script>" in text for text in Outline(found.html()).texts)
    plain = found.markdown()
    assert "<script>" not in plain
    assert not re.search(r"(?<!\\)\[a(?<!\\)\]", plain)
    assert json.loads(json.dumps(found.to_dict()))["priors"]["changed"] == [entry]


def test_the_command_makes_the_run_again(year_run: Run) -> None:
    command = model_card(year_run).to_dict()["reproduce"]["command"].split()
    assert command[:2] == ["escalation-forecast", "forecast"]
    for option, value in (("--as-of", "as_of"), ("--horizon", "horizon_months"), ("--seed", "seed")):
        assert command[command.index(option) + 1] == str(year_run.summary[value])
    assert "--draft" in command
    done = CliRunner().invoke(app, [*command[1:], "--help"])
    assert done.exit_code == 0, done.output


def test_what_the_command_cannot_say_is_noted() -> None:
    summary = summary_of(questions=[{"question": "mine"}], settings={"draws": 7}, draft=False, seed=1)
    found = reproduction(summary)
    assert "--questions FILE" in found["command"]
    assert any("mine" in note for note in found["notes"])
    assert any("by hand" in note for note in found["notes"])


def test_command_prints_the_card_of_a_folder_or_an_id(year_run: Run, card: Card) -> None:
    runner = CliRunner()
    by_folder = runner.invoke(app, ["runs", "card", str(year_run.folder)])
    assert by_folder.stdout == card.markdown(), by_folder.output
    out, name = str(year_run.folder.parent), year_run.folder.name
    assert runner.invoke(app, ["runs", "card", name, "--files", out]).stdout == card.markdown()
    found = runner.invoke(app, ["runs", "card", name, "--files", out, "--json"])
    assert json.loads(found.stdout) == card.to_dict()
    assert runner.invoke(app, ["runs", "card", name, "--files", out, "--html"]).stdout == card.html()


def test_command_finds_a_run_of_the_archive(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "made")
    archived = ["--archive", f"sqlite:///{tmp_path}/a.sqlite", "--files", str(tmp_path / "files")]
    assert CliRunner().invoke(app, ["runs", "add", str(folder), *archived]).exit_code == 0
    done = CliRunner().invoke(app, ["runs", "card", "latest", *archived])
    assert f"# Model card of run {RUN}" in done.stdout, done.output
    wrong = CliRunner().invoke(app, ["runs", "card", "f" * 16, *archived])
    assert wrong.exit_code != 0
    assert "Traceback" not in wrong.output
