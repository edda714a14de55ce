"""Wars by participant in three codings and one coded by hand; defence pacts, nuclear powers, NATO.

Days of the month that the originators leave open are the 15th where somebody enters (the day of
leaving, if that is earlier) and the last where somebody leaves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.sources._common import month_end, read_table

COW_FOLDER, COW_FILE = "cow-interstate-war", "cow_interstate_war_v4.0_participants.csv"
COW_ROLES: Final = frozenset({"originator", "early_joiner_1_7d", "joiner_gt7d", "re_entry_or_side_switch"})
# coding -> source key, folder, participants, disputes
DISPUTES: Final[dict[str, tuple[str, str, str, str]]] = {
    "mid5": ("cow-mid5", "cow-mid5", "mid5_participants_1816_2014.csv", "mid5_disputes_1816_2014.csv"),
    "gml": ("gml-mid", "gml-mid", "gml_2.2.1_participants_1816_2010.csv", "gml_2.2.1_disputes_1816_2010.csv"),
}
WAR_LEVEL: Final = 5
# A war that goes on when its coding ends has no exit.
CODED_TO: Final = {"mid5": "2014-12-31", "gml": "2010-12-31"}
LAG: Final = pd.Timedelta(days=30)
ATOP_FOLDER, ATOP_FILE = "alliances-atop", "atop_dyad_year_core_1945_2018.csv"
LAST_PACT: Final = 2018
HAND: Final = "history-coding"
RECALLED: Final = "general-knowledge"

OWN_NAME: Final = "Russia-Ukraine"
# state, ISO 3166 alpha-3, side, entry, joiner, public on
OWN_ROWS: Final = (
    (365, "RUS", 1, "2022-02-24", 0, "2022-02-24"),
    (369, "UKR", 2, "2022-02-24", 0, "2022-02-24"),
    # Sent in October 2024 (UCDP: secondary party in 2024), in combat by the report of the day given.
    (731, "PRK", 1, "2024-10", 1, "2024-11-13"),
)
# a, b, start, note; those that the list of pacts, which ends in 2018, lacks
HAND_PACTS: Final = (
    (365, 731, "2024-06-19", "Treaty signed 2024-06-19, in force from 2024-12"),
    (2, 341, "2017-06-05", "NATO accession of Montenegro"),
    (2, 343, "2020-03-27", "NATO accession of North Macedonia"),
    (2, 375, "2023-04-04", "NATO accession of Finland"),
    (2, 380, "2024-03-07", "NATO accession of Sweden"),
)
NUCLEAR: Final = (
    (2, "1945-07-16", "first test"), (365, "1949-08-29", "first test"), (200, "1952-10-03", "first test"),
    (220, "1960-02-13", "first test"), (710, "1964-10-16", "first test"),
    (666, "1967-01-01", "undeclared; year as usually given"),
    (750, "1974-05-18", "first test; weapons tested in 1998"), (770, "1998-05-28", "first test"),
    (731, "2006-10-09", "first test"),
)  # fmt: skip
NATO: Final[dict[str, tuple[int, ...]]] = {
    "1949-04-04": (2, 20, 200, 210, 211, 212, 220, 235, 325, 385, 390, 395),
    "1952-02-18": (350, 640),
    "1955-05-06": (255, 260),
    "1982-05-30": (230,),
    "1999-03-12": (290, 310, 316),
    "2004-03-29": (317, 349, 355, 360, 366, 367, 368),
    "2009-04-01": (339, 344),
    "2017-06-05": (341,),
    "2020-03-27": (343,),
    "2023-04-04": (375,),
    "2024-03-07": (380,),
}
WEST_GERMANY_ENDS: Final = "1990-10-02"
NAMES: Final = (
    "coding", "war", "name", "state", "iso3", "side", "entry", "exit", "lag_days", "originator", "joiner",
    "source", "published_at",
)  # fmt: skip


def read(raw: Path) -> dict[str, pd.DataFrame]:
    """Tables of ``data/history`` by name: wars, pacts, nuclear, groups."""
    wars = pd.concat([_cow(raw), *(_disputes(raw, coding) for coding in DISPUTES), _own()], ignore_index=True)
    return {"wars": wars, "pacts": _pacts(raw), "nuclear": _nuclear(), "groups": _groups()}


def _days(text: pd.Series[Any], *, last: bool) -> pd.Series[Any]:
    """Dates YYYY-MM-DD, or YYYY-MM completed to the last day or to the 15th of the month."""
    cells = text.astype("object").where(text.notna(), "")
    days = [
        month_end(cell) if last and len(cell) == 7 else pd.Timestamp(cell + "-15" if len(cell) == 7 else cell)
        for cell in cells.replace("", None).fillna("NaT")
    ]
    return pd.Series(days, index=text.index, dtype="datetime64[us]")


def _cow(raw: Path) -> pd.DataFrame:
    """A second stay in the war is a row of its own and neither an originator's nor a joiner's."""
    columns = [
        "warnum", "war_name", "ccode", "iso3", "side", "start_date", "end_date", "start_date_2", "end_date_2",
        "join_lag_days", "role",
    ]  # fmt: skip
    table = read_table(raw, COW_FOLDER, COW_FILE, columns, text=[name for name in columns if "_date" in name])
    if odd := set(table["role"]) - COW_ROLES:
        raise DataError(f"File '{COW_FOLDER}/{COW_FILE}' has the role '{min(odd)}'; adapt the reader.")
    first = pd.DataFrame(
        {
            "war": table["warnum"].astype(int),
            "name": table["war_name"],
            "state": table["ccode"].astype(int),
            "iso3": table["iso3"],
            "side": table["side"].astype(int),
            "entry": _days(table["start_date"], last=False),
            "exit": _days(table["end_date"], last=True),
            "originator": table["role"].isin(["originator", "early_joiner_1_7d"]).astype(int),
            "joiner": (table["role"] == "joiner_gt7d").astype(int),
        }
    )
    again = first.assign(
        entry=_days(table["start_date_2"], last=False),
        exit=_days(table["end_date_2"], last=True),
        originator=0,
        joiner=0,
    )
    return _finished("cow", "cow-wars", pd.concat([first, again[again["entry"].notna()]]))


def _disputes(raw: Path, coding: str) -> pd.DataFrame:
    """Disputes that reached war; a joiner is whoever is no originator."""
    source, folder, people, disputes = DISPUTES[coding]
    columns = ["dispnum", "ccode", "iso3", "start_date", "end_date", "sidea", "orig"]
    table = read_table(raw, folder, people, columns, text=["start_date", "end_date"])
    levels = read_table(raw, folder, disputes, ["dispnum", "hostlev"])
    table = table[table["dispnum"].isin(levels.loc[levels["hostlev"] == WAR_LEVEL, "dispnum"])]
    frame = pd.DataFrame(
        {
            "war": table["dispnum"].astype(int),
            "name": "Dispute " + table["dispnum"].astype(int).astype("str"),
            "state": table["ccode"].astype(int),
            "iso3": table["iso3"],
            "side": 2 - table["sidea"].astype(int),
            "entry": _days(table["start_date"], last=False),
            "exit": _days(table["end_date"], last=True),
            "originator": table["orig"].astype(int),
            "joiner": 1 - table["orig"].astype(int),
        }
    )
    return _finished(coding, source, frame)


def _own() -> pd.DataFrame:
    names = ["state", "iso3", "side", "entry", "joiner", "published_at"]
    frame = pd.DataFrame(OWN_ROWS, columns=names).assign(war=1, name=OWN_NAME)
    frame["entry"] = _days(frame["entry"], last=False)
    frame["exit"] = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")
    frame["originator"] = 1 - frame["joiner"]
    return _finished("own", HAND, frame)


def _finished(coding: str, source: str, frame: pd.DataFrame) -> pd.DataFrame:
    """With lags from the war's first day, in stable order."""
    late = frame["entry"] > frame["exit"]
    frame = frame.assign(entry=frame["entry"].where(~late, frame["exit"]))
    start = frame.groupby("war")["entry"].transform("min")
    published = frame["published_at"] if "published_at" in frame else frame["exit"] + LAG
    if coding in CODED_TO:
        frame = frame.assign(exit=frame["exit"].where(frame["exit"] < CODED_TO[coding]))
    frame = frame.assign(
        coding=coding, source=source, lag_days=(frame["entry"] - start).dt.days, published_at=published
    )
    frame["iso3"] = frame["iso3"].astype("object").fillna("")
    frame["published_at"] = pd.to_datetime(frame["published_at"])
    return frame[list(NAMES)].sort_values(["war", "entry", "state"], kind="stable", ignore_index=True)


def _pacts(raw: Path) -> pd.DataFrame:
    """Unbroken years with a duty of defence as one row; those of the last year listed have no end."""
    table = read_table(raw, ATOP_FOLDER, ATOP_FILE, ["cow_a", "cow_b", "year", "atop_defense"])
    table = table[table["atop_defense"] == 1]
    pairs = pd.DataFrame(
        {
            "a": table[["cow_a", "cow_b"]].min(axis=1).astype(int),
            "b": table[["cow_a", "cow_b"]].max(axis=1).astype(int),
            "year": table["year"].astype(int),
        }
    ).drop_duplicates()
    pairs = pairs.sort_values(["a", "b", "year"], ignore_index=True)
    broken = pairs.groupby(["a", "b"])["year"].diff().ne(1)
    spells = pairs.groupby(["a", "b", broken.cumsum().rename("spell")])["year"].agg(["min", "max"])
    spells = spells.reset_index()
    listed = pd.DataFrame(
        {
            "a": spells["a"],
            "b": spells["b"],
            "start": pd.to_datetime(spells["min"].astype("str") + "-01-01"),
            "end": pd.to_datetime(spells["max"].astype("str") + "-12-31").where(spells["max"] < LAST_PACT),
            "source": "atop",
            "note": np.where(spells["max"] < LAST_PACT, "", f"carried forward from {LAST_PACT}"),
        }
    )
    open_pairs = set(zip(*(listed.loc[listed["end"].isna(), name] for name in ("a", "b")), strict=True))
    by_hand = [
        (a, b, pd.Timestamp(start), pd.NaT, HAND, f"by hand: {note}")
        for a, b, start, note in HAND_PACTS
        if (a, b) not in open_pairs
    ]
    names = ["a", "b", "start", "end", "source", "note"]
    frame = pd.concat([listed, pd.DataFrame(by_hand, columns=names)], ignore_index=True)
    frame["published_at"] = frame["start"]
    return frame.sort_values(["a", "b", "start"], ignore_index=True)[
        ["a", "b", "start", "end", "source", "published_at", "note"]
    ]


def _nuclear() -> pd.DataFrame:
    frame = pd.DataFrame(NUCLEAR, columns=["state", "start", "note"])
    frame["start"] = pd.to_datetime(frame["start"])
    frame = frame.assign(source=RECALLED, published_at=frame["start"])
    return frame.sort_values("start", ignore_index=True)[["state", "start", "source", "published_at", "note"]]


def _groups() -> pd.DataFrame:
    rows = [(state, pd.Timestamp(day)) for day, states in NATO.items() for state in states]
    # 260 is West Germany, a member from 1955; 255 took its place on unification
    frame = pd.DataFrame(rows, columns=["state", "start"])
    west, whole = frame["state"] == 260, frame["state"] == 255
    frame["end"] = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")
    frame.loc[west, "end"] = pd.Timestamp(WEST_GERMANY_ENDS)
    frame.loc[whole, "start"] = pd.Timestamp(WEST_GERMANY_ENDS) + pd.Timedelta(days=1)
    frame = frame.assign(group="nato", source=RECALLED, published_at=frame["start"])
    return frame.sort_values(["start", "state"], ignore_index=True)[
        ["group", "state", "start", "end", "source", "published_at"]
    ]
