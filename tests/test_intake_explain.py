"""From a file to a forecast to the reason why it moved."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from pathlib import Path

import pandas as pd
import pytest

from escalation_forecast import intake
from escalation_forecast.explain import explain
from escalation_forecast.intake.folder import csv_text
from escalation_forecast.panel import build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.store import Store
from whole_run import FUTURES, asked, stand_in, whole_run

EARLIER, LATER = "2026-07-06", "2026-07-10"
ASKED = ("tension-exceeds", "use-of-force")


@pytest.mark.slow
def test_a_forecast_moves_with_a_new_vintage_and_says_so(whole_store: Store, tmp_path: Path) -> None:
    """The press of May and June about Taiwan comes in between two runs and is what `explain` names."""
    rows = whole_store.latest("gpr_country", "TWN").iloc[[-1, -1]]
    start = pd.DatetimeIndex(["2026-05-01", "2026-06-01"]).as_unit("us")
    came = rows.assign(
        period_start=start, period_end=(start + pd.offsets.MonthEnd(0)).as_unit("us"), release="2026-07-08",
        value=[1.6, 2.2], published_at=pd.Timestamp("2026-07-08"), quality="reported",
    )  # fmt: skip
    file = tmp_path / "gpr.csv"
    file.write_text(csv_text(came))
    # So that nothing else is new between the two days.
    quiet = whole_store.observations["published_at"] <= pd.Timestamp(EARLIER)
    base = dataclasses.replace(
        whole_store,
        observations=whole_store.observations[quiet].reset_index(drop=True),
        where=whole_store.where[quiet].reset_index(drop=True),
    )
    place = tmp_path / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("escalation_forecast.war_paths.FUTURES", FUTURES)
        trace = stand_in(build_panel(base.as_of(EARLIER), pd.Timestamp(EARLIER)), Priors.default())
        first = whole_run(base.as_of(EARLIER), trace, tmp_path / "runs", ASKED, 6)
        taken = intake.update(file, to=place, base=base, received=dt.date(2026, 7, 9))
        assert len(taken.changes.rows) == 2
        store = base.with_files(observations=place)
        second = whole_run(store.as_of(LATER), trace, tmp_path / "runs", ASKED, 6)
        found = explain(
            tmp_path / "runs", second.folder.name, first.folder.name, store=store, questions=asked(ASKED),
            refit="never",
        )  # fmt: skip
    assert first.folder.name != second.folder.name
    parts = {(part.kind, part.label) for why in found.answers for part in why.parts}
    assert {label for kind, label in parts if kind in ("news", "revision")} == {"gpr_country"}
    tension = next(why for why in found.answers if why.answer.startswith("tension-exceeds/news_taiwan"))
    (news,) = [part.change for part in tension.parts if part.kind == "news"]
    assert news > 0
    assert math.fsum(part.change for part in tension.parts) == pytest.approx(tension.after - tension.before)
