"""A card's text, heading by heading, from its facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from escalation_forecast.card import sentences as say
from escalation_forecast.card.parts import Code, Part, Section, Table
from escalation_forecast.fit import MAX_R_HAT, MAX_R_HAT_OTHER, MIN_E_BFMI, MIN_ESS
from escalation_forecast.report.layout import percent
from escalation_forecast.schema import STATES, THEATRE_LABELS, THEATRES
from escalation_forecast.war_summary import MIXED, PRIOR_DRIVEN

Facts = Mapping[str, Any]
NONE: Final = "-"


def all_sections(facts: Facts) -> tuple[Section, ...]:
    """The sections, under the headings of Mitchell et al. (2019)."""
    return (
        Section("Model details", _details(facts)),
        Section("Intended use", _use()),
        Section("Factors", _factors()),
        Section("Metrics", _list(say.METRICS, mixed=percent(MIXED), driven=percent(PRIOR_DRIVEN))),
        Section("Evaluation data and skill at past origins", _evaluation(facts)),
        Section("Training data", _data(facts["data"])),
        Section("Priors", _priors(facts["priors"]["changed"])),
        Section("Quantitative analyses", _analyses(facts)),
        Section("Ethical considerations", (say.ETHICS,)),
        Section(
            "Caveats and recommendations",
            (
                say.LIMITS,
                f"What the model gets wrong, from {say.VALIDATION}:",
                say.FAILURES,
                "What to do about it:",
                say.RECOMMENDATIONS,
            ),
        ),
        Section("Licences and attribution", _licences(facts["licences"])),
        Section("Reproduce and cite", _reproduce(facts)),
    )


def _list(lines: tuple[str, ...], **numbers: Any) -> tuple[Part, ...]:
    """One list, with numbers put into its sentences."""
    return (tuple(line.format(**numbers) for line in lines),)


def _details(facts: Facts) -> tuple[Part, ...]:
    run = facts["run"]
    if facts["diagnostics"].get("passed") is False and not run["draft"]:
        state = "not published: the fit did not pass its gates"
    elif run["draft"]:
        state = "a draft with short chains; never published"
    else:
        state = "published" if run["published"] else "not published"
    settings = ", ".join(f"{name} {value}" for name, value in sorted((run["settings"] or {}).items()))
    weight = run["spending_weight"]
    rows = [
        ("Run", str(run["run_id"])),
        ("State", state),
        ("As of", str(run["as_of"])),
        ("Made", str(run["created_at"] or NONE)),
        ("Horizon", f"{run['horizon_months']} months"),
        ("Model version", str(run["model_version"])),
        ("Sampler", settings or NONE),
        ("Seed", str(run["seed"])),
        ("Spending paths of the model itself", NONE if weight is None else percent(weight, ends=False)),
        ("Versions", ", ".join(f"{name} {v}" for name, v in sorted((run["versions"] or {}).items())) or NONE),
        ("Licence of the code", "Apache-2.0"),
    ]
    return say.ABOUT, Table(("", "this run"), tuple(rows), text=2)


def _use() -> tuple[Part, ...]:
    months = {"levers": say.LEVER_MONTHS}
    return (
        "For whom:",
        say.USERS,
        "Intended:",
        *_list(say.INTENDED, **months),
        "Not intended:",
        *_list(say.NOT_INTENDED, **months),
    )


def _factors() -> tuple[Part, ...]:
    theatres = ", ".join(THEATRE_LABELS[name] for name in THEATRES)
    return (
        f"Theatres ({len(THEATRES)}): {theatres}; and a global factor. States with military spending "
        f"({len(STATES)}): {', '.join(STATES)}.",
        say.FACTORS,
    )


def _evaluation(facts: Facts) -> tuple[Part, ...]:
    skill = facts["skill"]
    if not skill:
        return ("No backtest has measured the questions of this run.",)
    lines = tuple(f"{one['text']}; measured on {one['measured_on']}" for one in skill)
    return (
        "Forecasts at past origins, each with what had been published by then, against mixtures of simple "
        f"methods ({skill[0]['page']}; * could be chance):",
        lines,
        "What is not listed here has no skill measured at past origins. Wars and joining are too rare for "
        "that; their hazards are scored on two centuries of disputes and wars (`history check`).",
    )


def _data(data: Facts) -> tuple[Part, ...]:
    count = data["n_observations"]
    window = (
        f"Figures reach back to {data['first_month'] or NONE}; the newest month of an indicator is "
        f"{data['last_month'] or NONE}. {NONE if count is None else f'{count:,}'} figures of indicators "
        "enter the fit, each as it stood on the as-of day."
    )
    rows = tuple(
        (
            one["title"],
            f"{one['figures']:,}" if one["figures"] else "history",
            str(one["vintages"] or NONE),
            one["newest"] or NONE,
            f"{one['first']} to {one['last']}" if one["first"] else NONE,
            percent(one["pseudo"], ends=False) if one["pseudo"] else NONE,
        )
        for one in data["sources"]
    )
    header = ("source", "figures", "vintages", "newest publication", "months", "typical delay")
    parts: list[Part] = [window, Table(header, rows)]
    if data["note"]:
        parts.append(data["note"])
    parts.append(
        "Vintages: most releases of one figure. Typical delay: share of rows whose day of publication is "
        "assumed. History: read only by the hazards that priors come from. SHA-256 of the figures: "
        f"{data['content_hash'] or NONE}."
    )
    return tuple(parts)


def _priors(changed: list[Mapping[str, str]]) -> tuple[Part, ...]:
    if not changed:
        return ("All priors are the defaults of data/priors.toml and data/history_priors.toml.",)
    word = "One prior differs" if len(changed) == 1 else f"{len(changed)} priors differ"
    return (
        f"{word} from the default.",
        tuple(f"{one['name']} was {one['default']} by default and is {one['used']} here" for one in changed),
    )


def _analyses(facts: Facts) -> tuple[Part, ...]:
    health, shares = facts["diagnostics"], facts["prior_shares"]
    parts: list[Part] = [
        Table(("check of the fit", "value", "gate"), _gates(health), text=1),
        _cost(health),
    ]
    if reasons := health.get("reasons"):
        parts.append(tuple(reasons))
    parts.append(_shares(shares))
    if headline := shares["headline"]:
        rows = tuple((one["id"], percent(one["probability"]), one["label"]) for one in headline)
        parts.append(Table(("headline answer, 12 months", "probability", "how far it is prior"), rows))
    return tuple(parts)


def _gates(health: Facts) -> tuple[tuple[str, ...], ...]:
    def row(name: str, key: str, digits: int, gate: str) -> tuple[str, ...]:
        found = health.get(key) or {}
        value = found.get("value")
        text = NONE if value is None else f"{value:.{digits}f} ({found['quantity']})"
        return name, text, gate

    bfmi, divergences = health.get("e_bfmi_min"), health.get("divergences")
    return (
        row("R-hat, worst of what is shown", "r_hat_max", 3, f"below {MAX_R_HAT:g}"),
        row("R-hat, worst behind it", "r_hat_other", 3, f"below {MAX_R_HAT_OTHER:g}"),
        row("bulk ESS, least", "ess_bulk_min", 0, f"above {MIN_ESS:.0f}"),
        row("tail ESS, least", "ess_tail_min", 0, f"above {MIN_ESS:.0f}"),
        ("divergences", NONE if divergences is None else f"{divergences}", "none"),
        ("E-BFMI, least", NONE if bfmi is None else f"{bfmi:.2f}", f"above {MIN_E_BFMI:g}"),
    )


def _cost(health: Facts) -> str:
    total, memory = health.get("total_seconds"), health.get("peak_memory_mb")
    passed = health.get("passed")
    verdict = "Nothing is recorded of the gates" if passed is None else "The fit passed its gates"
    if passed is False:
        verdict = "The fit did not pass its gates"
    cost = f"; the run took {total:.0f} s" if total is not None else ""
    return verdict + cost + (f" and {memory:,} MB of memory at its peak" if memory else "") + "."


def _shares(shares: Facts) -> str:
    by = shares["by_label"]
    told = ", ".join(f"{count} {name}" for name, count in by.items())
    text = f"Of {shares['answers']} answers {shares['measured']} are about clashes and wars: {told}."
    driven = [one["id"] for one in shares["headline"] if one["label"] == "prior-driven"]
    if driven:
        text += f" Of the headline answers these are prior-driven: {', '.join(driven)}."
    elif shares["headline"]:
        text += " None of the headline answers is prior-driven."
    return text + " The others do not rest on the chain from clash to war, and carry no such share."


def _licences(sources: list[Mapping[str, str]]) -> tuple[Part, ...]:
    rows = tuple((one["title"] or one["source"], one["citation"], one["terms"]) for one in sources)
    return (
        "The code is under the Apache License 2.0. Figures belong to their originators; the strictest of "
        "these terms decides what may be done with the whole: not for commercial use.",
        Table(("source", "citation", "terms"), rows, text=3),
    )


def _reproduce(facts: Facts) -> tuple[Part, ...]:
    again, run = facts["reproduce"], facts["run"]
    version = (again["versions"] or {}).get("escalation-forecast", NONE)
    parts: list[Part] = [
        "With the same data, versions and seed the numbers are the same:",
        Code((again["command"],)),
    ]
    if again["notes"]:
        parts.append(tuple(again["notes"]))
    parts.append(
        f"Cite as: escalation-forecast {version}, model version {run['model_version']}, "
        f"run {run['run_id']}, as of {run['as_of']}; and the sources above that the answer rests on."
    )
    return tuple(parts)
