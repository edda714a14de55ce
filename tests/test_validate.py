"""What a sound data folder is, how a bad one is reported, and that the embedded one is sound."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from data_folder import FIGURE, INDICATOR, SERIES, SOURCES, SPENDING, cells, folder, write
from escalation_forecast import datapackage, store, tables
from escalation_forecast.schema import OBSERVATION_COLUMNS, DataError
from escalation_forecast.store import Store, data_root, validate


@pytest.fixture(scope="module")
def embedded() -> Store:
    return Store.embedded()


# --- what is wrong with a table

BAD_FIGURES = [
    ({"series": "gpr_contry"}, "unknown series `gpr_contry` (did you mean `gpr_country`?)"),
    ({"unit": "KRO"}, "unknown unit `KRO`"),
    ({"unit": "kor"}, "(did you mean `KOR`?)"),
    ({"unit": "PRK>RUZ"}, "`RUZ` is not an ISO 3166 alpha-3 code (did you mean `RUS`?)"),
    ({"unit": "RUS-PRK"}, "an undirected dyad is in alphabetical order, `PRK-RUS`"),
    ({"unit": "KOR>KOR"}, "a dyad needs two different states"),
    ({"unit": "taiwn"}, "(did you mean `taiwan`?)"),
    ({"source": "grp"}, "unknown source `grp` (did you mean `gpr`?)"),
    ({"quality": "reported;estimated"}, "unknown quality `estimated` (did you mean `estimate`?)"),
    ({"unit_of_measure": "index"}, "gpr_country is measured in `percent_of_articles`, not `index`"),
    ({"period_start": "31/01/2020"}, "period_start `31/01/2020` is not a date; write it as YYYY-MM-DD"),
    ({"published_at": "2020-02-30"}, "published_at `2020-02-30` is not a date"),
    ({"period_start": "2020-01-31", "period_end": "2020-01-01"}, "before it starts on 2020-01-31"),
    ({"period_end": "2020-02-01"}, "2020-01-01 to 2020-02-01 is not within one month"),
    ({"published_at": "2020-01-30"}, "published_at 2020-01-30 is before the period ends, 2020-01-31"),
    ({"value": "1,5"}, "value `1,5` is not a number"),
    ({"value": "NaN"}, "value `NaN` is not a number"),
    ({"high": "inf"}, "high `inf` is not a number"),
    ({"value": "100.5"}, "value 100.5 is outside what gpr_country can be, 0 to 100 percent_of_articles"),
    ({"low": "-1"}, "low -1 is outside what gpr_country can be"),
    ({"value": "", "low": "3", "high": "2"}, "low 3 is above high 2"),
    ({"value": "4", "low": "2", "high": "3"}, "value 4 is outside its own bounds, 2 to 3"),
    ({"value": "1", "low": "2"}, "value 1 is outside its own bounds"),
    ({"value": ""}, "there is no value and no bound"),
    ({"published_at": ""}, "published_at is blank"),
    ({"release": ""}, "release is blank"),
    ({"series": ""}, "series is blank"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD_FIGURES)
def test_one_bad_cell_is_one_sentence_with_file_and_row(
    tmp_path: Path, change: dict[str, str], sentence: str
) -> None:
    sound = FIGURE | {"release": "sound"}
    root = folder(tmp_path / "data", {"a": [sound, FIGURE | change], "b": [SPENDING]})
    (problem,) = validate(root)
    assert (problem.file, problem.row) == ("data/observations/a.csv", 3)
    text = str(problem)
    assert text.startswith("data/observations/a.csv, row 3: ")
    assert sentence in text
    assert "\n" not in text
    assert text.endswith(".")
    assert problem.remedy
    with pytest.raises(DataError, match="row 3"):
        Store.load(root)


def test_sound_variants_raise_no_problem(tmp_path: Path) -> None:
    rows = [
        FIGURE,
        FIGURE | {"value": "", "low": "0.1", "release": "at least"},
        FIGURE | {"value": "", "high": "0.9", "release": "up to"},
        FIGURE | {"value": "0.5", "low": "0.5", "high": "0.5", "release": "point"},
        FIGURE | {"source": "user", "release": "mine"},
        FIGURE | {"published_at": "2020-01-31", "release": "same day"},
    ]
    budget = SPENDING | {
        "series": "budget_growth", "unit_of_measure": "percent", "value": "5", "published_at": "2018-09-01"
    }  # fmt: skip
    assert validate(folder(tmp_path / "data", {"a": rows, "b": [SPENDING, budget]})) == []


def test_duplicate_figure_names_both_files_and_rows(tmp_path: Path) -> None:
    twin = FIGURE | {"value": "0.7", "published_at": "2020-03-05"}
    other = FIGURE | {"release": "other"}
    (problem,) = validate(
        folder(tmp_path / "data", {"a": [other, FIGURE], "b": [SPENDING, other, twin][::2]})
    )
    assert (problem.file, problem.row) == ("data/observations/b.csv", 3)
    assert "is already in row 3 of data/observations/a.csv" in problem.message


BAD_INDICATORS = [
    ({"family": "nuws"}, "unknown family `nuws` (did you mean `news`?)"),
    ({"series": "gpr_contry"}, "unknown series `gpr_contry` (did you mean `gpr_country`?)"),
    ({"units": "KOR+JPN"}, "gpr_country has no figures of unit `JPN`"),
    ({"theatre": "koria"}, "unknown theatre `koria` (did you mean `korea`?)"),
    ({"options": "trnd"}, "unknown option `trnd` (did you mean `trend`?)"),
    ({"options": "trend;sign=2"}, "the option `sign` is 1 or -1, not `2`"),
    ({"options": "group="}, "the option `group` needs a name"),
    ({"options": "memory=3"}, "the option `memory` takes no value"),
    ({"options": "drop=uncertian"}, "unknown quality `uncertian` (did you mean `uncertain`?)"),
    ({"family": "share"}, "a share needs the series it is a share of"),
    ({"exposure_series": "days_seen"}, "unknown exposure_series `days_seen`"),
    ({"indicator": "news_korea"}, "the indicator `news_korea` is already in row 2 of data/indicators.csv"),
    ({"start": "January 2020"}, "start `January 2020` is not a month or year"),
    ({"start": "2020-13"}, "start `2020-13` is not a month or year"),
    ({"end": "2019-12"}, "end 2019-12 comes before start 2020-01"),
    ({"start": ""}, "start is blank"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD_INDICATORS)
def test_one_bad_indicator_cell_is_one_sentence_with_file_and_row(
    tmp_path: Path, change: dict[str, str], sentence: str
) -> None:
    rows = [INDICATOR, INDICATOR | {"indicator": "second"} | change]
    (problem,) = validate(folder(tmp_path / "data", indicators=rows))
    assert (problem.file, problem.row) == ("data/indicators.csv", 3)
    assert sentence in str(problem)


def test_bad_catalogues_name_their_row(tmp_path: Path) -> None:
    series = [
        *SERIES,
        ["extra", "u", "W", "level", "false", "0", "1", "Weekly"],
        SERIES[0],
        ["turned", "u", "M", "level", "false", "2", "1", "Range"],
    ]
    sources = [*SOURCES, ["nameless", "", "Body", "Cite", "Terms", "-", "-", "-", "-"]]
    found = [str(problem) for problem in validate(folder(tmp_path / "data", series=series, sources=sources))]
    assert len(found) == 4
    assert "data/series.csv, row 5: frequency `W` is unknown; use one of D, M, Q, A." in found
    assert (
        "data/series.csv, row 6: the series `gpr_country` is listed twice; delete one of the rows." in found
    )
    assert "data/series.csv, row 7: min 2 is above max 1; exchange or correct them." in found
    assert "data/sources.csv, row 4: title is blank; fill it in." in found


HEADER = ",".join(OBSERVATION_COLUMNS)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "row 1: the file is empty"),
        (
            "series;unit\n",
            "row 1: the header has one cell, perhaps split by semicolons; save it with commas.",
        ),
        (HEADER.replace("published_at", "publishd_at") + "\n", "is missing (did you mean `publishd_at`?)"),
        (HEADER + ",colour\n", "row 1: unknown column `colour`"),
        (HEADER + ",note\n", "row 1: column `note` stands there twice"),
        (HEADER + "\n" + "a," * 20 + "\n", "row 2: 21 cells where the header has 13"),
        (HEADER + "\n" + "a,b\n", "row 2: 2 cells where the header has 13"),
        (HEADER + '\n"a"b,\n', "it is not a readable CSV file"),
    ],
)
def test_unreadable_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    root = folder(tmp_path / "data")
    (root / "observations" / "c.csv").write_text(text)
    found = [str(problem) for problem in validate(root)]
    assert all(line.startswith("data/observations/c.csv") for line in found)
    assert sentence in found[0]
    assert len(found) == 1


def test_wrong_encoding_and_missing_tables_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    (root / "observations" / "c.csv").write_bytes(b"\xff\xfe\x00")
    (root / "sources.csv").unlink()
    found = [str(problem) for problem in validate(root)]
    assert found == [
        "data/observations/c.csv: the text is not UTF-8; save it as CSV UTF-8.",
        "data/sources.csv: the file does not exist; create it or correct the path.",
    ]
    with pytest.raises(DataError, match="There is no data folder"):
        Store.load(tmp_path / "nowhere")


def test_load_lists_the_first_problems_and_their_number(tmp_path: Path) -> None:
    rows = [FIGURE | {"unit": "XXX", "release": f"r{i}"} for i in range(12)]
    root = folder(tmp_path / "data", {"a": rows, "b": [SPENDING]}, indicators=[])
    with pytest.raises(DataError) as caught:
        Store.load(root)
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("data/observations/a.csv, row 2: unknown unit `XXX`")
    assert lines[-1] == "... and 7 more (12 problems in all)."


def test_rows_are_counted_as_a_spreadsheet_does(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    path = root / "observations" / "a.csv"
    header, figure = path.read_text().splitlines()
    # a byte-order mark, Windows line ends and an empty line, as spreadsheets write them
    path.write_bytes("\r\n".join(["\ufeff" + header, figure, "", figure.replace("KOR", "KRO")]).encode())
    (problem,) = validate(root)
    assert problem.row == 4


def test_read_observations_returns_typed_columns_or_names_the_row(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", OBSERVATION_COLUMNS, cells([FIGURE], OBSERVATION_COLUMNS))
    frame = store.read_observations(path)
    assert tuple(frame.columns) == OBSERVATION_COLUMNS
    assert frame["published_at"].tolist() == [pd.Timestamp("2020-02-05")]
    write(path, OBSERVATION_COLUMNS, cells([FIGURE | {"low": "about 3"}], OBSERVATION_COLUMNS))
    with pytest.raises(DataError, match=r"x\.csv, row 2: low `about 3` is not a number"):
        store.read_observations(path)


# --- the embedded data


def test_embedded_data_are_sound() -> None:
    assert [str(problem) for problem in validate(data_root())] == []


def test_embedded_data_are_below_six_megabytes() -> None:
    assert sum(path.stat().st_size for path in data_root().rglob("*") if path.is_file()) < 6_000_000


def test_every_source_key_is_used_or_free_for_the_user(embedded: Store) -> None:
    tables = [pd.read_csv(path, dtype="str") for path in sorted((data_root() / "history").glob("*.csv"))]
    past = {key for table in tables if "source" in table for key in table["source"]}
    assert set(embedded.sources["source"]) == set(embedded.observations["source"]) | past | {"user"}


def test_readme_covers_every_series_and_source(embedded: Store) -> None:
    text = (data_root() / "README.md").read_text(encoding="utf-8")
    names = [*embedded.series["series"], *embedded.sources["source"]]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_datapackage_is_what_the_tables_say() -> None:
    root = data_root()
    stored = json.loads((root / datapackage.FILE).read_text(encoding="utf-8"))
    assert stored == datapackage.describe_package(root), "run datapackage.write_package on the data folder"
    assert {item["path"] for item in stored["resources"]} == {
        path.relative_to(root).as_posix() for path in root.rglob("*.csv")
    }
    for item in stored["resources"]:
        header = (root / item["path"]).read_text(encoding="utf-8").splitlines()[0].split(",")
        assert [field["name"] for field in item["schema"]["fields"]] == header


def test_datapackage_follows_a_new_file_and_a_new_source(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    before = datapackage.write_package(root).read_bytes()
    rows = [FIGURE | {"source": "sipri-milex", "release": "x"}]
    write(root / "observations" / "a.csv", OBSERVATION_COLUMNS, cells(rows, OBSERVATION_COLUMNS))
    shutil.copy(root / "observations" / "b.csv", root / "observations" / "c.csv")
    write(
        root / "extra.csv", ("day", "weight", "label"), [["2020-01-01", "0.5", "x"], ["2020-01-02", "2", ""]]
    )
    assert datapackage.write_package(root).read_bytes() != before
    resources = {item["name"]: item for item in datapackage.describe_package(root)["resources"]}
    assert [source["key"] for source in resources["observations-a"]["sources"]] == ["sipri-milex"]
    assert "observations-c" in resources
    fields = resources["extra"]["schema"]["fields"]
    assert [(field["type"], field["constraints"]["required"]) for field in fields] == [
        ("date", True), ("number", True), ("string", False),
    ]  # fmt: skip


def test_nearest_name_ignores_case_and_keeps_quiet_when_nothing_is_near() -> None:
    assert tables.nearest("GPR", ["gpr", "csis"]) == " (did you mean `gpr`?)"
    assert tables.nearest("zzz", ["gpr", "csis"]) == ""
