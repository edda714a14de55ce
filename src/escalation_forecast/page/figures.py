"""What the forecast stands on: newest figure of each indicator, its source and age; measured skill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from escalation_forecast.page.material import Material
from escalation_forecast.page.safety import link
from escalation_forecast.page.words import age, day, place
from escalation_forecast.skill.stored import KINDS, load_skill

if TYPE_CHECKING:
    from escalation_forecast.lateness import Overdue

# Read by the model and no indicator of the latent.
BESIDE: Final[dict[str, str]] = {
    "milex_constant": "Military spending", "budget_growth": "Announced budgets",
    "programme_growth": "Multi-year programmes", "gdp_growth": "Economic growth",
    "dprk_troops_in_russia": "North Korean troops in Russia",
}  # fmt: skip

QUALITY: Final = {"pseudo_vintage": "typical day of publication"}


def indicators(material: Material) -> dict[str, Any]:
    """Every indicator with its newest figure as known on the as-of day; late ones first named."""
    from escalation_forecast.lateness import overdue

    store = material.store
    late = {(one.series, one.unit): one for one in overdue(store, material.as_of)}
    series = store.series.set_index("series")
    by_source = store.sources.set_index("source")
    told = by_source["title"].to_dict(), by_source["url_or_repository"].to_dict()
    newest = _newest(store.observations)
    rows = []
    for row in store.indicators.to_dict("records"):
        units = str(row["units"]).split("+")
        rows.append(
            _row(material, str(row["indicator"]), str(row["series"]), units, newest, late, told, series)
            | {"what": material.described.get(str(row["indicator"]), ""), "of": place(str(row["theatre"]))}
        )
        if row["end"]:
            rows[-1]["ended"] = str(row["end"])
    for name, what in BESIDE.items():
        units = sorted(newest[newest["series"] == name]["unit"]) if len(newest) else []
        if units:
            rows.append(
                _row(material, name, name, units, newest, late, told, series) | {"what": what, "of": "states"}
            )
    return {
        "rows": rows,
        "late": sum(bool(row["late"]) for row in rows),
        "n": len(rows),
    }


def _newest(observations: pd.DataFrame) -> pd.DataFrame:
    """The newest period of each series and unit, in its first release."""
    ordered = observations.sort_values(["period_end", "published_at"], kind="stable")
    ends = ordered.groupby(["series", "unit"])["period_end"].transform("max")
    return ordered[ordered["period_end"] == ends].drop_duplicates(["series", "unit"], keep="last")


def _row(
    material: Material, name: str, series: str, units: list[str], newest: pd.DataFrame, late: dict[Any, Any],
    told: tuple[dict[Any, Any], dict[Any, Any]], known: pd.DataFrame,
) -> dict[str, Any]:  # fmt: skip
    titles, addresses = told
    own = newest[(newest["series"] == series) & newest["unit"].isin(units)]
    base = {"indicator": name, "series": series, "late": "", "ended": "", "figure": "none", "period": "",
            "published": "", "age": "", "source": "", "link": "", "quality": ""}  # fmt: skip
    if own.empty:
        return base
    # Of several units the one that is furthest behind tells how old the indicator is.
    figure = own.sort_values(["period_end", "published_at"]).iloc[0]
    overdue = [late[(series, unit)] for unit in units if (series, unit) in late]
    days = (pd.Timestamp(material.as_of) - figure["period_end"]).days
    several = f" ({place(str(figure['unit']))})" if len(units) > 1 else ""
    return base | {
        "figure": f"{_number(figure)} {str(figure['unit_of_measure']).replace('_', ' ')}{several}",
        "period": _period(figure),
        "published": day(figure["published_at"]),
        "age": age(max(days, 0)),
        "source": str(titles.get(figure["source"], figure["source"])),
        "link": link(str(addresses.get(figure["source"], ""))),
        "quality": ", ".join(QUALITY.get(q, q) for q in str(figure["quality"]).split(";")),
        "late": _late(overdue, len(units)),
        "what_series": str(known["description"].get(series, "")),
    }


def _late(overdue: list[Overdue], n: int) -> str:
    if not overdue:
        return ""
    since = f"due by {day(min(one.due for one in overdue))}"
    return since if len(overdue) == n else f"{len(overdue)} of {n} units, {since}"


def _number(figure: pd.Series) -> str:
    value = figure["value"]
    if value != value:
        ends = [f"{v:,.4g}" for v in (figure["low"], figure["high"]) if v == v]
        return " to ".join(ends) if len(ends) == 2 else f"bound {ends[0]}" if ends else "open"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _period(figure: pd.Series) -> str:
    start, end = figure["period_start"], figure["period_end"]
    days = (end - start).days
    if days > 300:
        return f"{end:%Y}"
    return f"{end:%B %Y}" if days > 25 else day(end)


def skill(material: Material) -> dict[str, Any]:
    """What the run quotes, and the stored figures of the same kinds."""
    quoted = [str(entry["text"]) for entry in material.summary.get("skill") or []]
    kinds = [str(entry["kind"]) for entry in material.summary.get("skill") or []]
    scores = load_skill()
    rows: list[dict[str, Any]] = []
    for kind in kinds:
        score = scores.get(kind)
        if score is None:
            continue
        for n, horizon in enumerate(score.horizons):
            chance = score.low[n] <= 0.0 <= score.high[n]
            rows.append(
                {
                    "kind": KINDS[kind],
                    "horizon": f"{horizon} {score.unit}{'s' * (horizon != 1)}",
                    "score": score.score,
                    "skill": f"{100 * score.skill[n]:+.1f} %".replace("-", "\u2212"),
                    "ends": f"{100 * score.low[n]:+.1f} to {100 * score.high[n]:+.1f}".replace("-", "\u2212"),
                    "chance": "could be chance" if chance else "",
                    "origins": str(score.origins[n]),
                    "at": {"low": score.low[n], "mean": score.skill[n], "high": score.high[n]},
                }
            )
    ends = [0.0, *(v for row in rows for v in row["at"].values())]
    width = (max(ends) - min(ends)) or 1.0
    for row in rows:
        row["at"] = {k: (v - min(ends)) / width for k, v in (row["at"] | {"zero": 0.0}).items()}
    return {"quoted": quoted, "rows": rows}
