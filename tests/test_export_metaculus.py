"""Distribution functions and payloads that keep the rules of Metaculus."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from escalation_forecast import export
from escalation_forecast.archive import Run, load_run
from escalation_forecast.export.cdf import Axis, broken_rules, continuous_cdf, empirical
from escalation_forecast.export.inert import original
from escalation_forecast.schema import DataError
from exported import changed, without_wars

BINARY = "use-of-force--korea--3m.json"
GROWTH = "spending-growth--CHN--2026.json"


def accepted(values: np.ndarray, axis: Axis) -> bool:
    """The site's rules in the order of its documentation, apart from the code under test."""
    bins = axis.count
    steps = [round(b - a, 10) for a, b in pairwise(values)]
    return (
        len(values) == bins + 1
        and min(steps) >= round(0.01 / bins, 10)
        and max(steps) <= round(min(0.2 * 200 / bins, 1), 10)
        and (values[0] >= 0.001 if axis.open_low else values[0] == 0)
        and (values[-1] <= 0.999 if axis.open_high else values[-1] == 1)
    )


def posterior(rng: np.random.Generator, kind: int) -> np.ndarray:
    """Draws of many shapes: narrow, wide, point masses, two modes, heavy tails, all out of range."""
    n = int(rng.choice([1, 2, 30, 400, 4000]))
    middle, width = rng.normal(0, 4), rng.gamma(1, 2) + 1e-6
    shapes: list[Callable[[], np.ndarray]] = [
        lambda: rng.normal(middle, width, n),
        lambda: np.full(n, middle),
        lambda: np.where(rng.random(n) < 0.3, middle, rng.normal(middle, width, n)),
        lambda: np.concatenate([rng.normal(-4, 0.05, n), rng.normal(4, width, n)]),
        lambda: 10 * rng.standard_cauchy(n),
        lambda: rng.normal(1e6, 1, n),
        lambda: rng.normal(-1e6, 1, n),
        lambda: np.exp(rng.normal(0, 2, n)),
        lambda: rng.choice([-10.0, 10.0, -9.95, 0.0], n),
    ]
    return shapes[kind % len(shapes)]()


def axes(rng: np.random.Generator) -> Axis:
    zero = rng.choice([None, -10.5, 25.0])
    bins = int(rng.choice([200, 200, 200, 5, 1, 2, 80]))
    return Axis(-10.0, 10.0, bool(rng.random() < 0.5), bool(rng.random() < 0.5), bins, zero)


def test_a_thousand_posteriors_keep_every_rule_and_stay_close() -> None:
    rng = np.random.default_rng(7)
    for k in range(1000):
        draws, axis = posterior(rng, k), axes(rng)
        values, shares = continuous_cdf(draws, axis), empirical(draws, axis)
        assert accepted(values, axis), (k, axis)
        assert broken_rules(values, axis) == []
        steps = np.diff(shares)
        ends = (not axis.open_low or shares[0] > 0.002) and (not axis.open_high or shares[-1] < 0.998)
        away = np.abs(values - shares).max()
        if ends and steps.min() >= 1.01 * axis.least and steps.max() <= 0.99 * axis.most:
            assert away < 1e-8, "no rule binds, so nothing may move"
        elif steps.max() <= axis.most:
            # Only least steps and the open ends bind: at most what they ask for in all.
            assert away <= 0.01 + 0.001 + 1e-6, (k, axis)


@pytest.mark.parametrize("kind", range(9))
def test_no_admissible_function_is_closer_to_the_draws(kind: int) -> None:
    """A linear programme finds the least largest distance, bounds at the ends included."""
    rng = np.random.default_rng(kind)
    axis = Axis(-10.0, 10.0, count=40)
    shares = empirical(posterior(rng, kind), axis)
    n = axis.count + 1
    eye, step = np.eye(n), np.eye(n, k=1)[:-1] - np.eye(n)[:-1]
    ones = np.ones((n, 1))
    a = np.block([[eye, -ones], [-eye, -ones], [step, np.zeros((n - 1, 1))], [-step, np.zeros((n - 1, 1))]])
    b = np.concatenate([shares, -shares, np.full(n - 1, axis.most), np.full(n - 1, -axis.least)])
    bounds = [(0.001, None), *[(None, None)] * (n - 2), (None, 0.999), (0, None)]
    best = linprog(np.eye(n + 1)[-1], a, b, bounds=bounds)
    away = np.abs(continuous_cdf(posterior(np.random.default_rng(kind), kind), axis) - shares).max()
    assert away == pytest.approx(best.fun, abs=1e-6)


def test_points_of_a_logarithmic_axis_are_the_sites() -> None:
    axis = Axis(1.0, 1000.0, zero_point=0.0)
    np.testing.assert_allclose(axis.points, np.geomspace(1, 1000, 201))
    draws = np.exp(np.random.default_rng(0).uniform(0, np.log(1000), 100_000))
    np.testing.assert_allclose(continuous_cdf(draws, axis)[[50, 100, 150]], [0.25, 0.5, 0.75], atol=0.006)
    below = Axis(0.0, 100.0, zero_point=110.0)
    assert np.all(np.diff(below.points) > 0)
    assert below.points[-1] == pytest.approx(100)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 1.0, "high": 1.0}, "no room"),
        ({"low": 0.0, "high": np.inf}, "no room"),
        ({"low": 0.0, "high": 1.0, "count": 0}, "at least one"),
        ({"low": 0.0, "high": 1.0, "zero_point": 0.5}, "zero point"),
    ],
)
def test_axes_that_are_none_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Axis(**given)


@pytest.fixture(scope="module")
def run(year_run: Run) -> Run:
    return load_run(year_run.folder)


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metaculus") / "out"
    export.metaculus(run, folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(made, tmp_path / "out"))


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def index(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "index.csv").set_index("id")


def test_every_answer_has_a_payload_in_the_sites_form(made: Path, run: Run) -> None:
    assert export.check_metaculus(made) == []
    listed = index(made)
    assert set(listed.index) == {entry["id"] for entry in run.summary["questions"]}
    for entry in run.summary["questions"]:
        row = listed.loc[entry["id"]]
        payload = read(made / row["file"])
        assert set(payload) == {
            "question", "probability_yes", "probability_yes_per_category", "continuous_cdf"
        }  # fmt: skip
        if entry["kind"] == "binary":
            assert payload["continuous_cdf"] is None
            assert payload["probability_yes"] == min(max(entry["probability"], 0.001), 0.999)
            assert row["probability_unclipped"] == entry["probability"]
            assert row["clipped"] == (not 0.001 <= entry["probability"] <= 0.999)
        elif entry["kind"] == "count":
            steps = np.diff(payload["continuous_cdf"])
            assert payload["continuous_cdf"][0] == 0
            assert payload["continuous_cdf"][-1] == 1
            np.testing.assert_allclose(steps, list(entry["distribution"].values()), atol=0.011)
        else:
            # The median read off the payload is that of the answer, to a bin.
            bins = np.linspace(row["range_min"], row["range_max"], 201)
            middle = np.interp(0.5, payload["continuous_cdf"], bins)
            assert middle == pytest.approx(entry["distribution"]["median"], abs=0.6)


def test_clipped_answers_say_so(run: Run, tmp_path: Path) -> None:
    def sure(summary: dict[str, Any]) -> None:
        for entry, p in zip(summary["questions"], (0.0, 1.0, 0.0004), strict=False):
            entry |= {"kind": "binary", "probability": p, "distribution": None}

    export.metaculus(changed(run, tmp_path / "run", sure), tmp_path / "out")
    few = index(tmp_path / "out").iloc[:3]
    assert few["probability_yes"].tolist() == [0.001, 0.999, 0.001]
    assert few["probability_unclipped"].tolist() == [0.0, 1.0, 0.0004]
    assert few["clipped"].tolist() == [True, True, True]


def test_questions_file_gives_numbers_and_axes(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "questions.toml"
    file.write_text(
        '[[question]]\nid = "spending-growth/CHN/2026"\nquestion = 4711\nrange_min = 0\nrange_max = 30\n'
        "open_lower_bound = false\nzero_point = -1\n\n"
        '[[question]]\nid = "use-of-force/korea/3m"\nquestion = 12\n'
    )
    export.metaculus(run, tmp_path / "out", questions=file)
    assert export.check_metaculus(tmp_path / "out") == []
    payload = read(tmp_path / "out" / GROWTH)
    assert payload["question"] == 4711
    assert payload["continuous_cdf"][0] == 0
    assert payload["continuous_cdf"][-1] <= 0.999
    row = index(tmp_path / "out").loc["spending-growth/CHN/2026"]
    assert (row["range_min"], row["range_max"], row["zero_point"]) == (0, 30, -1)
    assert read(tmp_path / "out" / BINARY)["question"] == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[question]]\nid = "use-of-force/korea/4m"', r"no answer `use-of-force/korea/4m` \(did you mean"),
        ('[[question]]\nid = "a"\nrange_mix = 1', "did you mean `range_min`"),
        ("[[question]]", "`id`"),
        ("[question", "not TOML"),
        ("[questions]", r"\[\[question\]\]"),
    ],
)
def test_faults_of_the_questions_file_are_one_sentence(
    run: Run, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "q.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        export.metaculus(run, tmp_path / "out", questions=tmp_path / "q.toml")
    assert not (tmp_path / "out").exists()


def test_run_without_wars_and_quantities_without_draws(run: Run, tmp_path: Path) -> None:
    def change(summary: dict[str, Any]) -> None:
        without_wars(summary)
        last = next(entry for entry in summary["questions"] if entry["kind"] == "continuous")
        # A rule of one's own whose quantity is not growth.
        last["distribution"]["median"] += 1

    export.metaculus(changed(run, tmp_path / "run", change), tmp_path / "out")
    assert export.check_metaculus(tmp_path / "out") == []
    listed = index(tmp_path / "out")
    without = listed[listed["file"].isna()]
    assert without["note"].str.contains("no draws").all()
    assert len(without) == 1


def edited(name: str, edit: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def work(folder: Path) -> None:
        payload = read(folder / name)
        edit(payload)
        (folder / name).write_text(json.dumps(payload))

    return work


def put(place: int, value: float) -> Callable[[dict[str, Any]], Any]:
    return lambda payload: payload["continuous_cdf"].__setitem__(place, value)


BROKEN: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "probability": ("probability-range", edited(BINARY, lambda p: p.update(probability_yes=0.9999))),
    "not clipped from it": ("probability-clip", edited(BINARY, lambda p: p.update(probability_yes=0.5))),
    "both": ("payload-kind", edited(BINARY, lambda p: p.update(continuous_cdf=[0, 1]))),
    "keys": ("payload-keys", edited(BINARY, lambda p: p.pop("probability_yes"))),
    "torn": ("payload-json", lambda f: (f / BINARY).write_text("{")),
    "gone": ("payload-missing", lambda f: (f / BINARY).unlink()),
    "stray": ("not-in-index", lambda f: (f / "stray.json").write_text("{}")),
    "no index": ("index-missing", lambda f: (f / "index.csv").unlink()),
    "few points": ("cdf-points", edited(GROWTH, lambda p: p["continuous_cdf"].pop())),
    "flat step": ("cdf-least-step", edited(GROWTH, lambda p: put(1, p["continuous_cdf"][0])(p))),
    "large step": ("cdf-most-step", edited(GROWTH, lambda p: put(100, p["continuous_cdf"][99] + 0.21)(p))),
    "open below": ("cdf-open-bound", edited(GROWTH, put(0, 0.0005))),
    "open above": ("cdf-open-bound", edited(GROWTH, put(-1, 0.9995))),
    "closed below": ("cdf-closed-bound", edited("arms-race-count--2026.json", put(0, 0.001))),
    "closed above": ("cdf-closed-bound", edited("arms-race-count--2026.json", put(-1, 0.999))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_payloads_are_refused_by_the_name_of_the_rule(folder: Path, name: str) -> None:
    rule, work = BROKEN[name]
    work(folder)
    found = export.check_metaculus(folder)
    assert rule in {one.rule for one in found}, found


def test_text_of_the_index_is_inert(run: Run, tmp_path: Path) -> None:
    evil = '=HYPERLINK("http://example.org")'
    named = changed(run, tmp_path / "run", lambda s: s["questions"][0].update(title=evil, resolves_on="@x"))
    export.metaculus(named, tmp_path / "out")
    first = index(tmp_path / "out").iloc[0]
    assert first["title"] == "'" + evil
    assert original(first["title"]) == evil
    assert first["resolves_on"] == "'@x"
