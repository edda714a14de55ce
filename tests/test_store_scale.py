"""The store at scale: what is faster says the same as what was slow."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalation_forecast import store as store_module
from escalation_forecast import tables
from escalation_forecast.lateness import overdue
from escalation_forecast.schema import DataError
from escalation_forecast.store import SPENDING, Store
from escalation_forecast.tables import read_csv

FIGURES = 5_000_000


def plain_as_of(store: Store, day: dt.date) -> pd.DataFrame:
    """What was known on a day, row by row, and the first day on which anything could be forecast."""
    rows = store.observations.to_dict("records")
    read = set(store.indicators["series"])
    spending = min(row["published_at"] for row in rows if row["series"] == SPENDING)
    latent = min(row["published_at"] for row in rows if row["series"] in read)
    if pd.Timestamp(day) < max(spending, latent):
        raise DataError("too early")
    return pd.DataFrame([row for row in rows if row["published_at"] <= pd.Timestamp(day)])


@settings(max_examples=15, deadline=None)
@given(st.dates(dt.date(1988, 1, 1), dt.date(2027, 1, 1)), st.integers(0, 2**32 - 1))
def test_as_of_says_what_a_walk_over_the_rows_says(whole_store: Store, day: dt.date, seed: int) -> None:
    chosen = np.sort(np.random.default_rng(seed).choice(len(whole_store.observations), 60, replace=False))
    spending = np.flatnonzero(whole_store.observations["series"] == SPENDING)[:2]
    places = np.union1d(chosen, spending)
    some = dataclasses.replace(
        whole_store,
        observations=whole_store.observations.iloc[places].reset_index(drop=True),
        where=whole_store.where.iloc[places].reset_index(drop=True),
    )
    try:
        expected = plain_as_of(some, day)
    except DataError:
        with pytest.raises(DataError, match="the first possible date is"):
            some.as_of(day)
        return
    found = some.as_of(day).observations
    assert found.to_csv(index=False) == expected.to_csv(index=False)


def test_a_cut_that_leaves_everything_is_still_a_cut(whole_store: Store) -> None:
    cut = whole_store.as_of("2030-01-01")
    assert len(cut.observations) == len(whole_store.observations)
    assert (cut.as_of_date, whole_store.as_of_date) == (dt.date(2030, 1, 1), None)
    assert len(cut.as_of("2020-01-01").observations) < len(whole_store.observations)


def plain_rows(path: Path) -> list[list[str]]:
    """Rows with text, and the row of the sheet before each."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    kept = [(n, row) for n, row in enumerate(rows[1:], start=2) if len(row) == len(rows[0])]
    return [[str(n), *(cell.strip() for cell in row)] for n, row in kept if any(cell.strip() for cell in row)]


cell = st.text(st.sampled_from(list('ab ,"\n')), max_size=3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.lists(cell, min_size=3, max_size=3), st.lists(cell, max_size=4)), max_size=9))
def test_a_file_read_in_pieces_is_the_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["x", "y", "z"], *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "CHUNK", 2)
        frame, problems = read_csv(path, "a.csv", ("x", "y", "z"))
    assert frame[["row", "x", "y", "z"]].astype("str").to_numpy().tolist() == plain_rows(path)
    uneven = [row for row in rows if len(row) != 3 and any(row)]
    assert len(problems) == len(uneven)


def test_the_hash_does_not_depend_on_the_pieces(known: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of runs that exist are made of it."""
    rows = known.observations.head(300)
    few = dataclasses.replace(known, observations=rows)
    once = few.content_hash()
    monkeypatch.setattr(store_module, "CHUNK", 7)
    assert few.content_hash() == once
    digest = hashlib.sha256()
    for name, frame in (("observations", rows), ("indicators", known.indicators)):
        digest.update(f"\x1d{name}\x1e{'\x1f'.join(frame.columns)}\x1e".encode())
        digest.update("\x1e".join(sorted(store_module._canonical_rows(frame))).encode())
    assert digest.hexdigest() == once


# A series that another follows ---------------------------------------------------------------------------


@pytest.mark.parametrize("day", ["2022-09-20", "2022-12-01", "2023-06-01", "2024-05-01"])
def test_a_count_whose_definition_changed_is_not_late(whole_store: Store, day: str) -> None:
    late = {one.series for one in overdue(whole_store.as_of(day))}
    assert not {"pla_aircraft_adiz", "pla_days_adiz"} & late


def test_only_what_begins_after_it_follows_a_series(whole_store: Store) -> None:
    """Before its follower begins, and without one, the same series is late."""
    rows = whole_store.observations
    gone = (rows["series"] == "pla_aircraft_adiz") & (rows["period_start"] > "2021-03-01")
    early = dataclasses.replace(
        whole_store,
        observations=rows[~gone].reset_index(drop=True),
        where=whole_store.where[~gone].reset_index(drop=True),
    )
    assert "pla_aircraft_adiz" in {one.series for one in overdue(early.as_of("2021-06-15"))}
    beside = rows[rows["series"] == "pla_aircraft_adiz"].tail(1).assign(
        period_start=pd.Timestamp("2022-09-01"), period_end=pd.Timestamp("2022-09-30"),
        published_at=pd.Timestamp("2022-10-01"),
    )  # fmt: skip
    both = whole_store.with_figures(beside, "a figure after the other began")
    assert "pla_aircraft_adiz" in {one.series for one in overdue(both.as_of("2022-12-01"))}
    alone = whole_store.indicators[whole_store.indicators["indicator"] != "pla_aircraft_all"]
    lone = dataclasses.replace(whole_store, indicators=alone)
    assert "pla_aircraft_adiz" in {one.series for one in overdue(lone.as_of("2022-12-01"))}


# Five million --------------------------------------------------------------------------------------------


def many(store: Store, number: int) -> pd.DataFrame:
    """The embedded figures again and again, each time as later releases."""
    rows, times = store.observations, number // len(store.observations) + 1
    out = pd.concat([rows] * times, ignore_index=True).head(number)
    again = np.arange(number) // len(rows)
    out["release"] = out["release"] + "-" + pd.Series(again).astype("str")
    days = pd.to_timedelta(again, unit="D").astype("timedelta64[us]")
    return out.assign(published_at=out["published_at"] + days)


MEASURE = """
import dataclasses, resource, sys, time
import pandas as pd
from escalation_forecast.store import SORT_ORDER, Store
rows = pd.read_parquet(sys.argv[1]).sort_values(SORT_ORDER, ignore_index=True)
where = pd.DataFrame({"file": pd.Series("x.csv", index=rows.index, dtype="str"), "row": range(len(rows))})
whole = dataclasses.replace(Store.embedded(), observations=rows, where=where)

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e9

for day in ("2026-11-27", "2024-01-01"):
    times = []
    for _ in range(3):
        cut, before = None, held()
        start = time.process_time()
        cut = whole.as_of(day)
        times.append(time.process_time() - start)
    print(min(times), held() - before, len(cut.observations))
print(held())
"""


@pytest.mark.slow
def test_five_million_figures_are_cut_in_two_seconds_and_two_gigabytes(
    whole_store: Store, tmp_path: Path
) -> None:
    many(whole_store, FIGURES).to_parquet(tmp_path / "rows.parquet")
    out = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "rows.parquet")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    print(out)
    *cuts, held = (line.split() for line in out.splitlines())
    for seconds, gigabytes, _ in cuts:
        assert float(seconds) < 2.0
        assert float(gigabytes) < 2.0
    assert 0 < int(cuts[1][2]) < int(cuts[0][2])
    assert float(held[0]) < 4.0
