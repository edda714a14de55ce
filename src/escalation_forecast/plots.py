"""Every plot of the package under one name, loaded when first used::

    from escalation_forecast import load_run, plots

    plot = plots.plot_latent(load_run("runs/0123456789abcdef"))
    plot  # in a notebook: the picture, which keeps its text alternative
    plot.alt, plot.table(), plot.save("latent.png")

Each takes a run or parts of one and returns a `Plot`; docs/plots.md shows them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

_HOMES: Final[dict[str, tuple[str, ...]]] = {
    "report.plot": ("Plot",),
    "report.plots": ("plot_indicators", "plot_latent", "plot_questions", "plot_spending", "read_events"),
    "report.year_plot": ("plot_years",),
    "report.route_plot": ("plot_routes",),
    "report.ladder_plot": ("plot_ladder",),
    "report.expected_plot": ("plot_expected",),
    "report.prior_plot": ("plot_prior_posterior",),
    "report.compare_plots": ("plot_beside", "plot_learned"),
    "report.known_plots": ("plot_releases", "plot_reports"),
    "report.moved_plots": ("plot_before_after", "plot_moves"),
    "report.history_plots": ("plot_base_rates", "plot_weights"),
    "report.anatomy": (
        "plot_evidence", "plot_loadings", "plot_paths", "plot_push", "plot_rises", "plot_swings",
        "plot_window",
    ),
    "report.war_plots": (
        "plot_by_tension", "plot_prior_share", "plot_steps", "plot_what_if", "plot_wider",
    ),
    "skill.calibration_plot": ("calibration_cases", "plot_calibration", "plot_skill"),
    "elicit.plots": ("plot_check",),
    "scenario.plots": ("plot_changes", "plot_fans", "plot_heat"),
    "explain.plots": ("plot_waterfall",),
}  # fmt: skip
_HOME: Final[dict[str, str]] = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"escalation_forecast.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
