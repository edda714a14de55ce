"""A run as a round of a hubverse hub, and files that break one rule each."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hubdata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hubdata.create_target_data_schema import TargetType

from escalation_forecast import export
from escalation_forecast.archive import Run, load_run
from escalation_forecast.export import hub_tasks
from escalation_forecast.export.hub_tasks import LEVELS, chosen, target_id
from escalation_forecast.schema import DataError
from exported import changed, published, without_wars

DAY = "2026-06-15"
MODEL = "escalation-draft"
FILE = f"model-output/{MODEL}/{DAY}-{MODEL}.parquet"
TASKS = "hub-config/tasks.json"


@pytest.fixture(scope="module")
def run(year_run: Run) -> Run:
    return load_run(year_run.folder)


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "hub"
    files = export.hub(run, folder)
    assert files[-1] == folder / FILE
    return folder


@pytest.fixture(scope="module")
def made_small(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With few samples, for tests by the dozen."""
    folder = tmp_path_factory.mktemp("hub") / "hub"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub_tasks, "SAMPLES", 6)
        export.hub(run, folder)
    return folder


@pytest.fixture
def small(made_small: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(made_small, tmp_path / "hub"))


@pytest.fixture
def hub(made: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(made, tmp_path / "hub"))


def rows(folder: Path, file: str = FILE) -> pd.DataFrame:
    return pq.read_table(folder / file).to_pandas()


def test_hub_is_valid_and_hubdata_reads_it_with_the_schema_of_its_tasks(made: Path) -> None:
    assert export.check_hub(made) == []
    hub = hubdata.connect_hub(made)
    schema = hubdata.create_hub_schema(json.loads((made / TASKS).read_text()))
    assert hub.schema.equals(schema)
    table = hub.to_table()
    assert table.schema.field("output_type_id").type == "string"
    assert set(table["model_id"].to_pylist()) == {MODEL}
    stored = pq.read_table(made / FILE)
    assert table.num_rows == stored.num_rows
    for field in stored.schema:
        assert schema.field(field.name).type == field.type
    seen = hubdata.connect_target_data(made, TargetType.TIME_SERIES).to_table().to_pandas()
    china = seen[(seen["location"] == "CHN") & (seen["target_end_date"].astype(str) == "2025-12-31")]
    assert len(china) == 1
    assert china["as_of"].astype(str).item() == DAY


def test_values_are_those_of_the_draws_and_samples_are_joint(made: Path, run: Run) -> None:
    found = rows(made)
    paths = run.forecast
    growth = found[found["target"] == "growth-first-print"]
    years = sorted({str(end)[:4] for end in growth["target_end_date"]})
    for state in ("CHN", "RUS"):
        for year in years:
            draws = paths["growth_print"].sel(state=state, year=int(year), age=0).values.ravel().astype(float)
            here = growth[
                (growth["location"] == state) & (growth["target_end_date"].astype(str).str[:4] == year)
            ]
            by = {
                kind: part.set_index("output_type_id")["value"] for kind, part in here.groupby("output_type")
            }
            np.testing.assert_allclose(
                by["quantile"], np.quantile(draws, [float(level) for level in LEVELS]), rtol=1e-12
            )
            assert by["cdf"]["5"] == np.mean(draws <= 5)
            np.testing.assert_array_equal(by["sample"].to_numpy(), draws[chosen(draws.size)])
    risk = found[(found["target"] == "latent-risk") & (found["output_type"] == "sample")]
    one = risk[(risk["output_type_id"] == "r0007") & (risk["location"] == "korea")].set_index("horizon")[
        "value"
    ]
    draw = paths["risk"].stack(sample=("chain", "draw")).isel(sample=chosen(400)[7]).sel(theatre="korea")
    for horizon, value in one.items():
        month = pd.Timestamp(DAY).to_period("M") + int(horizon)
        assert value == float(draw.sel(month=month.start_time))


def test_every_answer_of_the_summary_is_in_the_hub(made: Path, run: Run) -> None:
    found = (
        rows(made)
        .query("output_type == 'pmf'")
        .set_index(["target", "location", "horizon", "output_type_id"])
    )
    for entry in run.summary["questions"]:
        question, *place, window = entry["id"].split("/")
        if entry["kind"] == "continuous":
            continue
        # As-of date in June; the window of twelve months ends in June a year on.
        horizon = int(window[:-1]) if window.endswith("m") else 12 * (int(window[:4]) - 2026) + 6
        key = (question, "/".join(place) or "all", horizon)
        if entry["kind"] == "binary":
            assert found.loc[(*key, "yes"), "value"] == entry["probability"]
        else:
            assert {k: found.loc[(*key, k), "value"] for k in entry["distribution"]} == entry["distribution"]


def test_levels_are_decimal_literals(made: Path) -> None:
    ids = rows(made).query("output_type == 'quantile'")["output_type_id"].unique().tolist()
    assert ids == [
        "0.01", "0.025", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4", "0.45", "0.5", "0.55",
        "0.6", "0.65", "0.7", "0.75", "0.8", "0.85", "0.9", "0.95", "0.975", "0.99",
    ]  # fmt: skip
    text = (made / TASKS).read_text()
    assert not re.search(r"\d\.\d{5,}", text)


def test_round_is_added_and_exporting_again_changes_nothing(hub: Path, run: Run, tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in hub.rglob("*") if file.is_file()}
    export.hub(run, hub)
    assert {file: file.read_bytes() for file in hub.rglob("*") if file.is_file()} == before

    def later(summary: dict[str, Any]) -> None:
        published(summary)
        summary |= {"as_of": "2026-09-30", "horizon_months": 6}

    export.hub(changed(run, tmp_path / "later", later), hub)
    assert export.check_hub(hub) == []
    tasks = json.loads((hub / TASKS).read_text())
    assert len(tasks["rounds"]) == 2
    assert (hub / FILE).read_bytes() == before[hub / FILE]
    models = set(hubdata.connect_hub(hub).to_table()["model_id"].to_pylist())
    # A draft never stands in the place of a published run.
    assert models == {"escalation-draft", "escalation-joint"}
    printed = pd.read_parquet(hub / "target-data/time-series.parquet")
    assert sorted(printed["as_of"].astype(str).unique()) == [DAY, "2026-09-30"]


def test_csv_hub_is_valid_too(run: Run, tmp_path: Path) -> None:
    named = export.Model("alpha", "beta_2")
    files = export.hub(run, tmp_path / "hub", file_format="csv", model=named)
    assert files[-1].name == f"{DAY}-alpha-beta_2.csv"
    assert export.check_hub(tmp_path / "hub") == []
    table = hubdata.connect_hub(tmp_path / "hub").to_table().to_pandas()
    assert set(table["model_id"]) == {"alpha-beta_2"}
    assert {"0.025", "5", "g0000", "yes"} <= set(table["output_type_id"])


def test_run_without_wars_and_without_long_horizons(run: Run, tmp_path: Path) -> None:
    def short(summary: dict[str, Any]) -> None:
        without_wars(summary)
        summary["horizon_months"] = 1

    export.hub(changed(run, tmp_path / "run", short), tmp_path / "hub")
    assert export.check_hub(tmp_path / "hub") == []
    found = rows(tmp_path / "hub")
    assert "wider-war" not in set(found["target"])
    assert set(found.query("target == 'latent-risk'")["horizon"]) == {1}


@pytest.mark.parametrize("name", ["a-b", "", "a b", "x" * 17])
def test_model_names_that_no_hub_takes_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="letters"):
        export.Model(model=name)


def test_hub_of_others_is_left_alone(hub: Path, run: Run, tmp_path: Path) -> None:
    other = json.loads((hub / TASKS).read_text())
    other["rounds"][0]["model_tasks"][0]["task_ids"]["age_group"] = {"required": None, "optional": ["65+"]}
    (hub / TASKS).write_text(json.dumps(other))
    before = {file: file.read_bytes() for file in hub.rglob("*") if file.is_file()}
    with pytest.raises(DataError, match="other task ids"):
        export.hub(run, hub)
    assert {file: file.read_bytes() for file in hub.rglob("*") if file.is_file()} == before
    failed = changed(run, tmp_path / "run", lambda summary: summary.update(draft=False))
    with pytest.raises(DataError, match="gates"):
        export.hub(failed, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_another_models_round_with_other_tasks_is_not_changed(hub: Path, run: Run, tmp_path: Path) -> None:
    shorter = changed(run, tmp_path / "run", lambda summary: summary.update(horizon_months=6))
    with pytest.raises(DataError, match=r"has other tasks, and .*escalation-draft"):
        export.hub(shorter, hub, model=export.Model("other", "joint"))


def test_long_names_of_targets_are_short_and_apart() -> None:
    names = [f"a-question-with-a-rather-long-name-{k}" for k in (1, 2)]
    short = [target_id(name) for name in names]
    assert len(set(short)) == 2
    assert all(len(name) <= 30 for name in short)
    assert target_id("arms-race-acceleration/any") == "arms-race-acceleration/any"


# Each breaks one rule of a file of model output.
Frame = pd.DataFrame
Edit = Callable[[Frame], Frame]


def of(frame: Frame, kind: str, target: str | None = None) -> Frame:
    part = frame[frame["output_type"] == kind]
    return part[part["target"] == target] if target else part


def put(frame: Frame, row: int, column: str, value: Any) -> Frame:
    frame.loc[row, column] = value
    return frame


def drop(frame: Frame, rows: Any) -> Frame:
    return frame.drop(index=rows)


def swap(frame: Frame, kind: str) -> Frame:
    """The first two values that differ, in each other's place."""
    part = of(frame, kind)
    row = part.index[(part["value"].diff() > 0).to_numpy()][0]
    return put(put(frame, row, "value", part["value"][row - 1]), row - 1, "value", part["value"][row])


def first(frame: Frame, kind: str) -> int:
    return int(of(frame, kind).index[0])


ROWS: dict[str, tuple[str, Edit]] = {
    "columns": ("columns", lambda f: f.drop(columns="location")),
    "extra column": ("columns", lambda f: f.assign(note="x")),
    "type of horizon": ("column-type", lambda f: f.assign(horizon=f["horizon"].astype(float))),
    "type of ids": ("column-type", lambda f: f.assign(output_type_id=np.arange(float(len(f))))),
    "type of dates": ("column-type", lambda f: f.assign(origin_date=f["origin_date"].astype(str))),
    "two rounds": ("one-round", lambda f: put(f, 3, "origin_date", pd.Timestamp("2026-06-16").date())),
    "duplicate": ("duplicate-row", lambda f: pd.concat([f, f.iloc[[5]]], ignore_index=True)),
    "horizon": ("horizon-date", lambda f: put(f, 0, "target_end_date", pd.Timestamp("2026-11-30").date())),
    "missing value": ("value-missing", lambda f: put(f, 7, "value", np.nan)),
    "infinite value": ("value-missing", lambda f: put(f, 7, "value", np.inf)),
    "unknown place": ("unknown-task", lambda f: put(f, 0, "location", "XXX")),
    "unknown target": ("unknown-task", lambda f: put(f, 0, "target", "weather")),
    "missing task": ("missing-task", lambda f: drop(f, f.index[(f["location"] == "CHN")])),
    "missing type": ("missing-output-type", lambda f: drop(f, of(f, "cdf").index)),
    "missing level": ("missing-id", lambda f: drop(f, [first(f, "quantile")])),
    "missing category": ("missing-id", lambda f: drop(f, [first(f, "pmf")])),
    "unknown type": ("unknown-output-type", lambda f: put(f, first(f, "pmf"), "output_type", "mean")),
    "unknown category": ("unknown-id", lambda f: put(f, first(f, "pmf"), "output_type_id", "maybe")),
    "computed level": (
        "level-literal",
        lambda f: f.assign(output_type_id=f["output_type_id"].replace("0.3", repr(0.1 + 0.2))),
    ),
    "falling quantile": ("quantile-order", lambda f: swap(f, "quantile")),
    "falling cdf": ("cdf-order", lambda f: swap(f, "cdf")),
    "cdf beyond one": ("cdf-range", lambda f: put(f, of(f, "cdf").index[9], "value", 1.1)),
    "negative pmf": ("pmf-range", lambda f: put(f, first(f, "pmf"), "value", -0.1)),
    "sum of pmf": ("pmf-sum", lambda f: put(f, first(f, "pmf"), "value", f["value"][first(f, "pmf")] + 1e-6)),
    "few samples": (
        "sample-count",
        lambda f: drop(f, of(f, "sample").index[of(f, "sample")["output_type_id"] == "g0004"]),
    ),
    "long sample id": (
        "sample-id",
        lambda f: f.assign(output_type_id=f["output_type_id"].replace("g0004", "g00004")),
    ),
    "sample not whole": (
        "sample-compound",
        lambda f: put(f, of(f, "sample").index[4], "output_type_id", "g9999"),
    ),
    "sample over targets": (
        "sample-compound",
        lambda f: f.assign(output_type_id=f["output_type_id"].replace("r0001", "g0001")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_broken_rows_are_refused_by_the_name_of_the_rule(small: Path, name: str) -> None:
    rule, edit = ROWS[name]
    frame = edit(rows(small))
    # Types that the edit did not touch stay those of the file.
    keep = {field.name: field for field in pq.read_schema(small / FILE) if name[:4] != "type"}
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [keep.get(field.name, field) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields)) if keep else table, small / FILE)
    found = export.check_hub(small)
    assert rule in {one.rule for one in found}, found
    one = next(one for one in found if one.rule == rule)
    assert one.file == FILE
    assert re.fullmatch(r".+: .+; .+ \[[a-z-]+\]\.", str(one))


def configured(file: str, edit: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def work(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        edit(content)
        (folder / file).write_text(json.dumps(content))

    return work


def task(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["rounds"][0]["model_tasks"][0]
    return found


def kind(content: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = task(content)["output_type"][name]
    return found


def named(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / FILE).rename((folder / FILE).with_name(name))


def metadata(folder: Path, old: str, new: str) -> None:
    file = folder / "model-metadata" / f"{MODEL}.yml"
    file.write_text(re.sub(old, new, file.read_text(), flags=re.MULTILINE))


FOLDERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "no tasks": ("config-missing", lambda h: (h / TASKS).unlink()),
    "torn tasks": ("config-json", lambda h: (h / TASKS).write_text("{")),
    "unknown key": ("config-schema", configured(TASKS, lambda c: c.update(extra=1))),
    "long target": (
        "config-schema",
        configured(TASKS, lambda c: task(c)["target_metadata"][0].update(target_id="x" * 31)),
    ),
    "derived and required": (
        "config-schema",
        configured(TASKS, lambda c: task(c)["task_ids"]["target_end_date"].update(required=["2026-12-31"])),
    ),
    "level beyond one": (
        "config-schema",
        configured(TASKS, lambda c: kind(c, "quantile")["output_type_id"].update(required=[1.5])),
    ),
    "compound of nothing": (
        "config-schema",
        configured(
            TASKS,
            lambda c: kind(c, "sample")["output_type_id_params"].update(compound_taskid_set=["x"]),
        ),
    ),
    "round twice": ("config-schema", configured(TASKS, lambda c: c["rounds"].append(c["rounds"][0]))),
    "old schema": (
        "schema-version",
        configured(TASKS, lambda c: c.update(schema_version=c["schema_version"].replace("v6.0.0", "v5.0.0"))),
    ),
    "admin": ("config-schema", configured("hub-config/admin.json", lambda c: c.pop("timezone"))),
    "target data": ("config-schema", configured("hub-config/target-data.json", lambda c: c.pop("date_col"))),
    "name": ("file-name", named(f"{DAY}-escalation-joint.parquet")),
    "format": ("file-format", named(f"{DAY}-{MODEL}.arrow")),
    "round": ("unknown-round", named(f"2026-06-16-{MODEL}.parquet")),
    "not Parquet": ("unreadable", lambda h: (h / FILE).write_bytes(b"PAR1")),
    "nothing": ("no-output", lambda h: shutil.rmtree(h / "model-output")),
    "no metadata": ("metadata-missing", lambda h: (h / "model-metadata" / f"{MODEL}.yml").unlink()),
    "no licence": ("metadata-key", lambda h: metadata(h, r"^license:.*\n", "")),
    "other model": ("metadata-name", lambda h: metadata(h, "^model_abbr: .*$", 'model_abbr: "joint"')),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_broken_folders_are_refused_by_the_name_of_the_rule(small: Path, name: str) -> None:
    rule, work = FOLDERS[name]
    work(small)
    found = export.check_hub(small)
    assert rule in {one.rule for one in found}, found


def test_dates_and_numbers_of_csv_are_checked_as_text(run: Run, tmp_path: Path) -> None:
    *_, file = export.hub(run, tmp_path / "hub", file_format="csv")
    lines = file.read_text().splitlines()
    for old, new, rule in (
        ("2026-06-15,", "15.06.2026,", "date-iso"),
        (",2026-12-31,", ",2026-12-32,", "date-iso"),
    ):
        broken = [*lines[:4], lines[4].replace(old, new, 1), *lines[5:]]
        file.write_text("\n".join(broken) + "\n")
        found = [one for one in export.check_hub(tmp_path / "hub") if one.rule == rule]
        assert found[0].row == 5
    file.write_text("\n".join([*lines[:4], lines[4].rsplit(",", 1)[0] + ",much", *lines[5:]]) + "\n")
    assert {one.rule for one in export.check_hub(tmp_path / "hub")} == {"column-type"}
    shutil.copy(file, file.with_suffix(".parquet"))
    admin = tmp_path / "hub" / "hub-config" / "admin.json"
    admin.write_text(admin.read_text().replace('"csv"', '"csv", "parquet"'))
    assert "one-file" in {one.rule for one in export.check_hub(tmp_path / "hub")}


def test_nothing_is_written_when_the_check_finds_a_fault(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = hub_tasks._rows
    monkeypatch.setattr(hub_tasks, "_rows", lambda *given: real(*given).iloc[1:])
    with pytest.raises(DataError, match="does not pass its own check"):
        export.hub(run, tmp_path / "hub")
    assert list(tmp_path.iterdir()) == []
