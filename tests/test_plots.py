"""Plots as objects: each says in words what it draws, gives the numbers, and takes any name as a name."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from escalation_forecast import plots
from escalation_forecast.archive import Run
from escalation_forecast.elicit.bounds import Bound
from escalation_forecast.elicit.check import Checked, PriorCheck
from escalation_forecast.elicit.prior_paths import QUANTITIES
from escalation_forecast.explain.result import Explanation, Part, Why
from escalation_forecast.history.base_rates import read_base_rates
from escalation_forecast.report import anatomy, war_plots
from escalation_forecast.report.layout import percent
from escalation_forecast.report.plot import Plot, listing
from escalation_forecast.report.plots import read_events
from escalation_forecast.report.tables import all_risk
from escalation_forecast.schema import CORE_FOUR, THEATRES, DataError
from escalation_forecast.skill.stored import load_skill
from escalation_forecast.store import Store

SOURCE = Path(__file__).parents[1] / "src" / "escalation_forecast"
DAY = pd.Timestamp("2026-06-15")
EVIL = '$x_{ <script>alert("1")</script> & \\frac{ % {0} ^'
STEPS = (
    Part("time", "passing", 0.004, 0.001), Part("news", "news_korea", 0.03, 0.002),
    Part("sampling", "", -0.001, 0.004),
)  # fmt: skip


class Tags(HTMLParser):
    """Tags of a fragment with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))


def lines_of(ax: Any) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata(), float) for line in ax.lines]


def drawn_as(values: pd.Series[Any], ax: Any) -> bool:
    """Whether some line of the panel has these heights."""
    wanted = values.to_numpy(float)
    return any(len(y) == len(wanted) and np.allclose(y, wanted) for y in lines_of(ax))


def words(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


# --- what goes in ---------------------------------------------------------------------------------------


def answers(scale: float = 1.0, name: str = "") -> list[dict[str, Any]]:
    """Answers about a wider war, joiners, pairs and years."""
    share = {"discount": 0.1, "slope": 0.12, "base": 0.09, "change": 0.3, "label": "mixed"}
    rate = {"events": 11, "trials": 62, "rate": 11 / 62, "reference_class": "years"}

    def one(identity: str, p: float, **more: Any) -> dict[str, Any]:
        question = identity.partition("/")[0]
        return {
            "id": identity, "question": question, "probability": scale * p, "mcse": 0.001, "base_rate": rate,
            "prior_share": share, "kind": "binary", "title": f"A title of {question}{name}",
            "target": identity.rpartition("/")[2], "distribution": None,
        } | more  # fmt: skip

    routes = ("any", "joining", "war", "two-theatres")
    found = [
        one(f"wider-war/{r}/{m}m", 0.01 * m / (k + 1)) for k, r in enumerate(routes) for m in (6, 12, 24)
    ]
    found += [one(f"war-joining/{name or 'USA'}/12m", 0.012), one("interstate-war/CHN-TWN/12m", 0.02)]
    found += [
        one(
            f"arms-race-{kind}/{year}",
            0.2 + 0.1 * k + 0.03 * (year - 2026),
            target=str(year),
            prior_share=None,
        )
        for k, kind in enumerate((f"regional{name}", "strict"))
        for year in (2026, 2027)
    ]
    return found


def summary_with(run: Run, questions: list[dict[str, Any]]) -> dict[str, Any]:
    return {**run.summary, "questions": questions}


def moved_table(name: str = "use-of-force/korea/12m", up: float = 0.1) -> pd.DataFrame:
    rows = [
        {"id": name, "kind": "binary", "before": 0.4, "after": 0.4 + up, "change": up, "change_mcse": 0.01},
        {"id": "arms-race/2027", "kind": "binary", "before": 0.2, "after": 0.17, "change": -0.03,
         "change_mcse": 0.01},
    ]  # fmt: skip
    return pd.DataFrame(rows)


def cases(panel: str = "Growth", shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    p = rng.uniform(0.05, 0.95, 120)
    came = (rng.random(120) < np.clip(p + shift, 0, 1)).astype(float)
    return pd.DataFrame({"panel": np.repeat([panel, "Force"], 60), "p": p, "outcome": came})


def loadings(name: str = "count_loading") -> pd.DataFrame:
    row = {"block": "count", "loading": name, "mean": 0.6, "low": 0.4, "high": 0.8}
    prior = {"prior_mean": 0.5, "prior_low": -0.2, "prior_high": 1.2}
    return pd.DataFrame(
        [row | prior, row | prior | {"loading": "other", "mean": 0.1, "low": -0.3, "high": 0.5}]
    )


def explanation(title: str = "Use of force", answer: str = "use-of-force/korea/12m") -> Explanation:
    why = Why(answer, title, "korea", "binary", 0.4, 0.433, STEPS)
    labels = {"news_korea": f"Press tension {title}"}
    return Explanation(
        "b" * 16, "a" * 16, "2026-11-27", "2026-11-20", (why,), pd.DataFrame(), (), labels=labels
    )


def waterfall(found: Explanation) -> Plot:
    return found.plot(found.answers[0].answer)


def check(label: str = "CHN", high: float = 10.0) -> PriorCheck:
    bound = Bound(next(iter(QUANTITIES)), "draws", 0.0, high, 0.05, "a reason", "a source")
    row = Checked(bound, {label: 0.01 if high > 5 else 0.5}, {label: (0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0)})
    return PriorCheck((row, row), 100, DAY)


def scenario(title: str = "Mediation", shift: float = 0.2) -> Any:
    """What the plots read of a `ScenarioResult`."""
    months = pd.date_range("2026-07-01", periods=12, freq="MS")
    quantiles = {f"before_{q}": v for q, v in (("0.1", -1.0), ("0.5", 0.0), ("0.9", 1.0))}
    after = {f"after_{q}": v - shift for q, v in (("0.1", -1.0), ("0.5", 0.0), ("0.9", 1.0))}
    change = SimpleNamespace(mean=-shift, low=-shift - 0.1, high=-shift + 0.1, settled=True, lowers=0.95)
    rows = tuple(
        SimpleNamespace(id=f"{kind}/korea/6m", unit=unit, before=0.4, change=change, conditional=None,
                        conditional_mcse=None, note="")
        for kind, unit in (("risk", "sd"), ("war", "probability"))
    )  # fmt: skip
    return SimpleNamespace(
        name=title, label="S", scenario=SimpleNamespace(title=title), rows=rows, readouts=rows,
        fans=pd.DataFrame({"theatre": "korea", "month": months, **quantiles, **after}),
        largest=lambda n: list(rows),
    )  # fmt: skip


def sweep(answer: str = "wider-war/any/12m", place: str = "scale", top: float = 0.02) -> pd.DataFrame:
    rows = [
        {"id": answer, "unit": "probability", "before": 0.1, "change": top * (x - 2 * y), "settled": x > y,
         place: float(x), "other": float(y)}
        for x in (1, 2, 3) for y in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def rises(event: str = "a crisis") -> pd.DataFrame:
    row = {"theatre": "Korean Peninsula", "event": event, "months": "2017-07", "real": True, "rise": 1.1,
           "low": 0.7, "high": 1.5, "global_part": 0.1}  # fmt: skip
    return pd.DataFrame([row, row | {"real": False, "rise": 0.4, "low": -0.1}])


def what_if(name: str = "wider-war/any/12m", top: float = 0.2) -> pd.DataFrame:
    return pd.DataFrame({"value": [0.1, 0.4, 0.8], "id": name, "after": [0.1, 0.15, top], "mcse": 0.002})


@pytest.fixture(scope="module")
def every(year_run: Run, known: Store) -> dict[str, Plot]:
    """Each plot once."""
    run = year_run
    curve = war_plots.wider_curve(run.forecast, step=6)
    path = pd.DataFrame(
        np.random.default_rng(2).normal(size=(400, len(THEATRES))),
        pd.date_range("1992-01-01", periods=400, freq="MS"), list(THEATRES),
    )  # fmt: skip
    swing = pd.DataFrame(
        {"theatre": ["korea", "taiwan"], "indicator": ["a", "b"], "low": [-0.4, 0.0], "high": [0.2, 0.6]}
    )
    base = np.random.default_rng(1).uniform(0.01, 0.2, 300)
    made: dict[str, Callable[[], Plot]] = {
        "plot_latent": lambda: plots.plot_latent(run),
        "plot_spending": lambda: plots.plot_spending(run),
        "plot_indicators": lambda: plots.plot_indicators(run),
        "plot_questions": lambda: plots.plot_questions(run),
        "plot_years": lambda: plots.plot_years(summary_with(run, answers())),
        "plot_routes": lambda: plots.plot_routes(summary_with(run, answers())),
        "plot_ladder": lambda: plots.plot_ladder(run),
        "plot_expected": lambda: plots.plot_expected(run, known),
        "plot_prior_posterior": lambda: plots.plot_prior_posterior(run, ["phi_global", "phi[taiwan]"]),
        "plot_beside": lambda: plots.plot_beside({"first": run, "second": run.forecast}, "taiwan", years=3),
        "plot_learned": lambda: plots.plot_learned({"posterior": run}, "phi", "taiwan"),
        "plot_releases": lambda: plots.plot_releases(known, CORE_FOUR),
        "plot_reports": lambda: plots.plot_reports(known, "dprk_troops_in_russia"),
        "plot_before_after": lambda: plots.plot_before_after(moved_table(), headline="Another prior"),
        "plot_moves": lambda: plots.plot_moves(
            pd.DataFrame({"prior": ["phi", "reaction"], "up": [0.05, -0.02], "down": [-0.04, 0.01],
                          "mcse": 0.001, "k": [0.3, 0.9]}), 0.3, headline="wider-war"),
        "plot_base_rates": lambda: plots.plot_base_rates(read_base_rates()),
        "plot_weights": lambda: plots.plot_weights({"clash": {1.0: base, 0.4: base * 2}, "war": {1.0: base}}),
        "plot_evidence": lambda: plots.plot_evidence(anatomy.evidence(known), DAY),
        "plot_loadings": lambda: plots.plot_loadings(loadings()),
        "plot_paths": lambda: plots.plot_paths({"all": path, "less": -path}),
        "plot_push": lambda: plots.plot_push(run, least=0.0),
        "plot_rises": lambda: plots.plot_rises(rises()),
        "plot_swings": lambda: plots.plot_swings(swing, least=0.0),
        "plot_window": lambda: plots.plot_window(
            run.forecast["risk"], read_events(), "korea", "2016-01", "2018-12",
            {"summits": ("2018-03", "2018-06")},
        ),
        "plot_by_tension": lambda: plots.plot_by_tension(run),
        "plot_prior_share": lambda: plots.plot_prior_share(answers()),
        "plot_steps": lambda: plots.plot_steps(run),
        "plot_what_if": lambda: plots.plot_what_if(what_if(), 0.4, "history_weight"),
        "plot_wider": lambda: plots.plot_wider(curve, answers()),
        "plot_calibration": lambda: plots.plot_calibration(cases()),
        "plot_skill": lambda: plots.plot_skill(),
        "plot_check": lambda: plots.plot_check(check()),
        "plot_changes": lambda: plots.plot_changes(scenario()),
        "plot_fans": lambda: plots.plot_fans(scenario()),
        "plot_heat": lambda: plots.plot_heat(sweep(), "wider-war/any/12m", "scale", "other"),
        "plot_waterfall": lambda: waterfall(explanation()),
    }  # fmt: skip
    return {name: draw() for name, draw in made.items()}


NAMES = sorted(name for name in plots.__all__ if name.startswith("plot_"))


# --- one interface --------------------------------------------------------------------------------------


def test_every_function_that_plots_has_the_one_interface() -> None:
    found = {}
    for file in SOURCE.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("plot_"):
                found[node.name] = ast.unparse(node.returns) if node.returns else ""
    assert sorted(found) == NAMES
    assert set(found.values()) == {"Plot"}


def test_names_of_the_module_are_there() -> None:
    module = importlib.import_module("escalation_forecast.plots")
    assert all(callable(getattr(module, name)) for name in module.__all__)
    assert set(dir(module)) >= set(NAMES)
    with pytest.raises(AttributeError, match="plot_nothing"):
        _ = module.plot_nothing


@pytest.mark.parametrize("name", NAMES)
def test_a_plot_says_what_it_draws(name: str, every: dict[str, Plot]) -> None:
    plot = every[name]
    assert isinstance(plot, Plot)
    assert isinstance(plot.figure, Figure)
    assert plot.alt.endswith(".")
    assert re.search(r"\d", plot.alt)
    assert not re.search(r"\bnan\b|\bNone\b|  |\binf\b", plot.alt)
    assert 40 < len(plot.alt) < 1300
    table = plot.table()
    assert len(table) > 0
    assert table.columns.is_unique
    table.iloc[:, 0] = table.iloc[0, 0]
    table.drop(index=table.index, inplace=True)  # noqa: PD002
    assert len(plot.table()) > 0


@pytest.mark.parametrize("name", ["plot_routes", "plot_waterfall", "plot_calibration"])
def test_pictures_carry_the_text(name: str, every: dict[str, Plot], tmp_path: Path) -> None:
    plot = every[name]
    png = plot.save(tmp_path / "one.png", dpi=60)
    assert Image.open(png).text["Description"] == plot.alt  # type: ignore[attr-defined]
    svg = ElementTree.parse(plot.save(tmp_path / "one.svg")).getroot()
    kind = "{http://www.w3.org/2000/svg}"
    assert svg.get("role") == "img"
    assert svg[0].tag == f"{kind}title"
    told = f"{svg[0].text}. {svg.findtext(f'{kind}desc')}"
    assert told == plot.alt
    assert [tag for tag, _ in Tags(plot.html(dpi=40)).found] == ["img"]
    assert Tags(plot.html(dpi=40)).found[0][1]["alt"] == plot.alt
    picture, kept = plot._repr_png_()
    assert Image.open(io.BytesIO(picture)).size[0] > 100
    assert kept == {"alt": plot.alt}
    assert plot.alt in repr(plot)


def test_a_notebook_keeps_picture_and_text(every: dict[str, Plot]) -> None:
    from IPython.core.formatters import DisplayFormatter

    plot = every["plot_skill"]
    content, about = DisplayFormatter().format(plot)
    assert Image.open(io.BytesIO(content["image/png"])).format == "PNG"
    assert about["image/png"] == {"alt": plot.alt}
    assert content["text/plain"] == f"<Plot: {plot.alt}>"


def test_the_same_plot_is_the_same_bytes(tmp_path: Path) -> None:
    for end in ("png", "svg"):
        one, two = (plots.plot_prior_share(answers()).save(tmp_path / f"{k}.{end}") for k in (1, 2))
        assert one.read_bytes() == two.read_bytes()


def test_a_name_without_a_picture_is_refused(tmp_path: Path, every: dict[str, Plot]) -> None:
    with pytest.raises(DataError, match=r"one\.jpg .* \.png or \.svg"):
        every["plot_routes"].save(tmp_path / "one.jpg")


# --- the text follows the numbers ----------------------------------------------------------------------


def test_the_text_on_tension_follows_the_paths(year_run: Run) -> None:
    paths = year_run.forecast
    for theatre in ("korea", "taiwan"):
        add = 9.0 * (paths["theatre"] == theatre)
        plot = plots.plot_latent(paths.assign(risk=paths["risk"] + add))
        now = pd.Timestamp(paths.attrs["first_forecast_month"]) - pd.DateOffset(months=1)
        median = np.median(all_risk(paths).sel(theatre=theatre, month=now)) + 9.0
        assert (
            f"highest in {'Korean Peninsula' if theatre == 'korea' else 'Taiwan Strait'}, at {median:+.1f}"
            in plot.alt
        )


def test_the_text_on_spending_follows_the_prints(year_run: Run) -> None:
    paths = year_run.forecast
    before = plots.plot_spending(paths)
    raised = plots.plot_spending(paths.assign(growth_print=paths["growth_print"] + 40.0))
    table = raised.table()
    coming = table[(table["measure"] == "three-year mean") & ~table["released"]]
    year = coming["year"].min()
    share = coming[(coming["year"] == year) & (coming["state"] == "CHN")]["at_threshold"].item()
    assert f"the mean of {year} reaches it is China {percent(share)}" in raised.alt
    assert before.alt != raised.alt


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda k: plots.plot_before_after(moved_table(up=0.1 * k)), ("50 %", "70 %")),
        (lambda k: plots.plot_prior_share(answers(scale=k)), ("12 %", "36 %")),
        (lambda k: plots.plot_what_if(what_if(top=0.2 * k), 0.4, "w"), ("20 %", "60 %")),
        (lambda k: plots.plot_heat(sweep("a", top=0.02 * k), "a", "scale", "other"), ("+6", "+18")),
        (lambda k: plots.plot_fans(scenario(shift=0.2 * k)), ("-0.20", "-0.60")),
        (lambda k: plots.plot_changes(scenario(shift=0.2 * k)), ("-20 points", "-60 points")),
        (lambda k: plots.plot_check(check(high=10.0 / k**2)), ("2 of 2 bounds", "0 of 2 bounds")),
        (lambda k: plots.plot_routes({"as_of": "2026", "questions": answers(scale=k)}), ("12 %", "36 %")),
        (lambda k: plots.plot_years({"as_of": "2026", "questions": answers(scale=k)}), ("20 %", "60 %")),
    ],
    ids=["before_after", "prior_share", "what_if", "heat", "fans", "changes", "check", "routes", "years"],
)  # fmt: skip
def test_the_text_follows_the_numbers(draw: Callable[[int], Plot], said: tuple[str, str]) -> None:
    one, three = draw(1).alt, draw(3).alt
    assert said[0] in one
    assert said[1] in three
    assert said[1] not in one


def test_the_text_on_skill_counts_what_is_clear() -> None:
    scores = load_skill()
    whole = plots.plot_skill(scores).alt
    table = plots.plot_skill(scores).table()
    assert f"{int((table['low'] > 0).sum())} of {len(table)} are clear of zero" in whole
    assert "No skill is stored" in plots.plot_skill({}).alt


# --- the table is what is drawn -----------------------------------------------------------------------


def test_tension_is_drawn_as_in_the_table(every: dict[str, Plot]) -> None:
    plot, table = every["plot_latent"], every["plot_latent"].table()
    for ax, (_, own) in zip(plot.axes, table.groupby("theatre", sort=False), strict=False):
        assert drawn_as(own[own["phase"] == "history"]["q50"], ax)
        band = ax.collections[0].get_paths()[0].vertices[:, 1]
        past = own[own["phase"] == "history"]
        assert (band.min(), band.max()) == pytest.approx((past["q10"].min(), past["q90"].max()))


def test_spending_is_drawn_as_in_the_table(every: dict[str, Plot]) -> None:
    plot, table = every["plot_spending"], every["plot_spending"].table()
    own = table[(table["state"] == "CHN") & table["released"] & (table["measure"] == "first print")]
    assert drawn_as(own["q50"], plot.axes[0])
    assert "5 %" in words(plot.axes[0])


def test_indicators_are_drawn_as_in_the_table(every: dict[str, Plot]) -> None:
    plot, table = every["plot_indicators"], every["plot_indicators"].table()
    for ax, (name, own) in zip(plot.axes, table.groupby("indicator", sort=False), strict=False):
        assert ax.get_title(loc="left") == name
        seen = own[own["phase"] == "observed"]["q50"]
        line = lines_of(ax)[0]
        assert np.allclose(line, seen.to_numpy(float), equal_nan=True)


def test_expected_figures_are_drawn_as_in_the_table(every: dict[str, Plot], panel: Any) -> None:
    plot, table = every["plot_expected"], every["plot_expected"].table()
    for ax, (name, own) in zip(plot.axes, table.groupby("indicator", sort=False), strict=False):
        assert ax.get_title(loc="left") == name
        assert drawn_as(own[own["inside"]]["observed"], ax)
        assert drawn_as(own[~own["inside"]]["observed"], ax)
    # In their own unit and their own month: what the panel holds.
    held = panel.history.set_index(["indicator", "month"])["value"]
    news = table[table["indicator"] == "news_world"]
    for row in news.to_dict("records"):
        assert row["observed"] == pytest.approx(held["news_world", row["month"]], rel=1e-6)
    counts = table[table["indicator"] == "launches_prk"]
    assert [held["launches_prk", m] for m in counts["month"]] == counts["observed"].tolist()


def test_routes_and_years_are_drawn_as_in_the_table(every: dict[str, Plot]) -> None:
    routes = every["plot_routes"]
    written = words(routes.axes[0])
    for p in routes.table()["probability"]:
        assert percent(p) in written
    assert len(routes.axes[0].patches) == len(routes.table())
    years = every["plot_years"]
    for ax, (_, own) in zip(years.axes, years.table().groupby(["question", "of"], sort=False), strict=False):
        assert [bar.get_height() for bar in ax.patches] == pytest.approx((100 * own["probability"]).tolist())
        assert any(text.startswith("base\n18 %") for text in words(ax))


def test_ladder_is_drawn_as_in_the_table(every: dict[str, Plot]) -> None:
    plot, table = every["plot_ladder"], every["plot_ladder"].table()
    for ax, (_, own) in zip(plot.axes, table.groupby("theatre", sort=False), strict=False):
        top = max(bar.get_y() + bar.get_height() for bar in ax.patches)
        rungs = own[["threat", "display", "use of force", "war"]].sum(axis=1)
        assert top == pytest.approx(rungs.max())
        assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(rungs.sum())


def test_densities_and_calibration_are_drawn_as_in_the_table(every: dict[str, Plot]) -> None:
    plot, table = every["plot_prior_posterior"], every["plot_prior_posterior"].table()
    for ax, (name, own) in zip(plot.axes, table.groupby("parameter", sort=False), strict=False):
        assert ax.get_title(loc="left") == name
        for _, curve in own.groupby("kind", sort=False):
            assert drawn_as(curve["density"], ax)
            assert np.trapezoid(curve["density"], curve["x"]) == pytest.approx(1.0, abs=0.08)
    plot, table = every["plot_calibration"], every["plot_calibration"].table()
    for ax, (_, own) in zip(plot.axes, table.groupby("panel", sort=False), strict=False):
        assert drawn_as(own["frequency"], ax)
        assert own["n"].sum() == 60


def test_bars_and_dots_are_drawn_as_in_the_table(every: dict[str, Plot]) -> None:
    push = every["plot_push"]
    bars = [bar.get_width() for ax in push.axes for bar in ax.patches]
    assert bars == pytest.approx(push.table()["push"].tolist())
    fall = every["plot_waterfall"]
    ax, table = fall.axes[0], fall.table()
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(table["change"].tolist())
    assert [bar.get_x() for bar in ax.patches] == pytest.approx(table["start"].tolist())
    wider = every["plot_wider"]
    for _, own in wider.table().groupby("route", sort=False):
        assert drawn_as(own["probability"], wider.axes[0])
    moved = every["plot_before_after"]
    full = [line.get_xdata()[0] for line in moved.axes[0].lines if line.get_marker() == "o"]
    table = moved.table()
    assert sorted(full) == pytest.approx(sorted(100 * pd.concat([table["before"], table["after"]])))


# --- names of any kind ---------------------------------------------------------------------------------


def hostile(run: Run) -> dict[str, Plot]:
    evil = summary_with(run, answers(name=EVIL))
    events = pd.DataFrame({"date": [pd.Timestamp("2017-09-03")], "theatre": ["korea"], "label": [EVIL]})
    renamed = run.forecast.assign_coords(
        indicator=[EVIL, *[str(name) for name in run.forecast["indicator"].values[1:]]]
    )
    moves = pd.DataFrame({"prior": [EVIL], "up": [0.1], "down": [-0.1], "mcse": [0.01], "k": [0.2]})
    path = pd.DataFrame(
        np.random.default_rng(2).normal(size=(60, 5)), pd.date_range("1992-01-01", periods=60, freq="MS"),
        list(THEATRES),
    )  # fmt: skip
    return {
        "latent": plots.plot_latent(run.forecast, events, run.summary),
        "indicators": plots.plot_indicators(renamed, run.summary),
        "questions": plots.plot_questions(evil),
        "years": plots.plot_years(evil),
        "routes": plots.plot_routes(evil),
        "beside": plots.plot_beside({EVIL: run}, "taiwan", years=2),
        "learned": plots.plot_learned({EVIL: run}, "phi", "taiwan"),
        "before_after": plots.plot_before_after(moved_table(EVIL), headline=EVIL),
        "moves": plots.plot_moves(moves, 0.3, headline=EVIL),
        "weights": plots.plot_weights({EVIL: {1.0: np.linspace(0.01, 0.2, 50)}}),
        "loadings": plots.plot_loadings(loadings(EVIL)),
        "paths": plots.plot_paths({EVIL: path, "other": -path}),
        "push": plots.plot_push([{"label": EVIL, "pushed_by": [{"indicator": EVIL, "push": 0.4}]}]),
        "rises": plots.plot_rises(rises(EVIL)),
        "window": plots.plot_window(
            run.forecast["risk"], events, "korea", "2016-01", "2018-12", {EVIL: ("2018-03", "2018-06")}
        ),
        "what_if": plots.plot_what_if(what_if(EVIL), 0.4, EVIL),
        "calibration": plots.plot_calibration(cases(EVIL), EVIL),
        "check": plots.plot_check(check(EVIL)),
        "changes": plots.plot_changes(scenario(EVIL)),
        "fans": plots.plot_fans(scenario(EVIL)),
        "heat": plots.plot_heat(sweep(EVIL, EVIL), EVIL, EVIL, "other"),
        "waterfall": waterfall(explanation(EVIL, EVIL)),
    }


def test_names_are_text_and_neither_formulas_nor_markup(year_run: Run) -> None:
    for name, plot in hostile(year_run).items():
        # As written, or cut short: what is a formula would be refused when it is drawn.
        shown = [text.get_text() for text in plot.figure.findobj(Text)]
        assert any("$x_{" in text for text in shown), name
        if name in ("routes", "moves", "waterfall"):
            svg = ElementTree.fromstring(plot.svg())
            assert not [node for node in svg.iter() if str(node.tag).endswith("script")], name
        assert [tag for tag, _ in Tags(plot.html(dpi=30)).found] == ["img"], name


def test_lists_read_as_people_write_them() -> None:
    assert [listing(part) for part in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "none", "a", "a and b", "a, b and c",
    ]  # fmt: skip


def test_expectations_of_other_data_are_refused(year_run: Run, known: Store) -> None:
    rows = known.observations
    less = dataclasses.replace(known, observations=rows[rows["source"] != "gpr"])
    with pytest.raises(DataError, match="are not those of run"):
        plots.plot_expected(year_run, less)
