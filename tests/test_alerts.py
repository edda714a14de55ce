"""Alerts: what sets one off, what does not, and that each arrives once."""

from __future__ import annotations

import copy
import datetime as dt
import json
import logging
import math
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalation_forecast.alerts import (
    Alert,
    Limits,
    check,
    deliver,
    gate_failed,
    input_refused,
    moved,
    over_budget,
    overdue,
    resolved,
    stale,
)
from escalation_forecast.alerts.rules import percent, plain
from escalation_forecast.ledger import Ledger
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store

DAY = dt.date(2026, 11, 27)
NOW = dt.datetime(2026, 11, 27, 5, tzinfo=dt.UTC)
RUN = "0123456789abcdef"
HOSTILE = "<script>alert('x')</script>\x00\x1b[31m\r\nSubject: *you* <!channel> \u202e"


def answer(name: str, p: float | None, mcse: float | None = 0.005, **more: Any) -> dict[str, Any]:
    question = name.partition("/")[0]
    entry = {"id": name, "question": question, "kind": "binary", "title": f"Title of {question}"}
    return entry | {"probability": p, "mcse": mcse, "resolves_on": "a release"} | more


def run(*answers: dict[str, Any], as_of: str = "2026-11-27") -> dict[str, Any]:
    return {"run_id": RUN, "as_of": as_of, "questions": list(answers)}


# What moved -----------------------------------------------------------------------------------------------


def test_largest_part_of_a_question_that_moved() -> None:
    before = run(answer("force/korea/3m", 0.30), answer("force/korea/12m", 0.50), answer("war/x", 0.2))
    after = run(answer("force/korea/3m", 0.37), answer("force/korea/12m", 0.60), answer("war/x", 0.21))
    (alert,) = moved(after, before)
    assert (alert.kind, alert.key, alert.severity) == ("moved", "force", "warning")
    assert "force/korea/12m" in alert.message
    assert "50 % -> 60 %" in alert.message
    assert "+10 points, MC error 0.7" in alert.message
    assert "1 more of its answers moved" in alert.message
    assert "window" not in alert.message


@pytest.mark.parametrize(("change", "expected"), [(0.049, 0), (0.051, 1), (-0.051, 1)])
def test_threshold_is_absolute(change: float, expected: int) -> None:
    found = moved(run(answer("q/a", 0.5 + change, 0.001)), run(answer("q/a", 0.5, 0.001)))
    assert len(found) == expected


@pytest.mark.parametrize(("mcse", "expected"), [(0.02, 1), (0.03, 0)])
def test_noise_is_no_move(mcse: float, expected: int) -> None:
    # 3 combined errors of 0.02 are 0.085, of 0.03 0.127
    assert len(moved(run(answer("q/a", 0.6, mcse)), run(answer("q/a", 0.5, mcse)))) == expected


def test_rare_event_whose_odds_double_has_moved() -> None:
    before, after = run(answer("war/a", 0.015, 0.001)), run(answer("war/a", 0.035, 0.001))
    (alert,) = moved(after, before)
    assert "1.5 % -> 3.5 %" in alert.message
    assert not moved(after, before, Limits(log_odds=None))
    # From nothing to hardly anything is within what the draws can tell.
    assert not moved(run(answer("war/a", 0.0008, 0.0003)), run(answer("war/a", 0.0, 3 / 8800)))


def test_window_that_moved_with_the_as_of_date_is_named() -> None:
    before = run(answer("q/3m", 0.5, resolves_on="covering 2027-01"), as_of="2026-10-27")
    after = run(answer("q/3m", 0.7, resolves_on="covering 2027-02"))
    assert "part of it may be time" in moved(after, before)[0].message


def test_error_that_is_not_known_counts_as_large() -> None:
    assert not moved(run(answer("q/a", 0.6, None)), run(answer("q/a", 0.5, None)))
    assert moved(run(answer("q/a", 0.9, None)), run(answer("q/a", 0.5, None)))


def test_what_cannot_be_compared_does_not_alert() -> None:
    count = answer("q/n", None) | {"kind": "count", "distribution": {"0": 1.0}}
    before = run(answer("q/a", None), answer("q/gone", 0.1), count, answer("q/odd", math.nan))
    after = run(answer("q/a", 0.9), answer("q/new", 0.9), count, answer("q/odd", 0.9))
    assert not moved(after, before)
    assert not moved(after, None)
    assert not moved(None, before)


probability = st.floats(0, 1)
answers = st.lists(
    st.builds(
        answer,
        st.from_regex(r"[a-z]{1,3}/[0-9]", fullmatch=True),
        st.none() | probability,
        st.none() | st.floats(0, 0.1),
        title=st.text(max_size=20),
    ),
    max_size=6,
    unique_by=lambda entry: entry["id"],
)


@given(answers)
def test_moving_nothing_alerts_nothing(entries: list[dict[str, Any]]) -> None:
    assert not moved(run(*copy.deepcopy(entries)), run(*entries))
    assert not check(run(*copy.deepcopy(entries)), run(*entries), gate={"passed": True, "reasons": []})


@given(probability, probability, st.floats(1e-4, 0.1))
def test_move_is_the_same_seen_from_either_side(p: float, q: float, mcse: float) -> None:
    there = moved(run(answer("q/a", p, mcse)), run(answer("q/a", q, mcse)))
    back = moved(run(answer("q/a", q, mcse)), run(answer("q/a", p, mcse)))
    other = moved(run(answer("q/a", 1 - p, mcse)), run(answer("q/a", 1 - q, mcse)))
    assert len(there) == len(back)
    if abs(abs(p - q) - 0.05) > 1e-9 and abs(abs(p - q) - 3 * math.sqrt(2) * mcse) > 1e-9:
        assert len(there) == len(other)


@pytest.mark.parametrize("limits", [{"threshold": -0.1}, {"threshold": 1.0}, {"n_mcse": math.nan}])
def test_limit_that_is_none_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(DataError, match="which is no such limit"):
        Limits(**limits)


@pytest.mark.parametrize(
    ("p", "words"), [(0.0, "0 %"), (0.0123, "1.2 %"), (0.5, "50 %"), (0.994, "99 %"), (0.9996, "99.96 %")]
)
def test_percent(p: float, words: str) -> None:
    assert percent(p) == words


# The other kinds --------------------------------------------------------------------------------------------


def test_failed_gate_says_why() -> None:
    (alert,) = gate_failed({"passed": False, "reasons": ["R-hat of phi is 1.2.", "12 divergences."]}, run())
    assert (alert.kind, alert.severity) == ("gate-failed", "failure")
    assert "R-hat of phi is 1.2. 12 divergences." in alert.message
    assert not gate_failed({"passed": True, "reasons": []})
    assert not gate_failed(None)


def row(answer: str, as_of: str, status: str = "true", value: float | None = 1.0) -> dict[str, Any]:
    question = answer.partition("/")[0]
    return {"answer": answer, "as_of": as_of, "question": question, "status": status, "value": value}


def test_answers_of_a_question_come_in_one_alert() -> None:
    found = resolved(
        [
            row("force/korea/3m", "2026-05-01"),
            row("force/korea/3m", "2026-05-02"),
            row("force/taiwan/3m", "2026-05-01", "false", 0.0),
            row("growth/JPN/2025", "2026-01-01", "resolved", 14.4321),
        ]
    )
    assert [alert.severity for alert in found] == ["info", "info"]
    assert "force/korea/3m yes (asked 2026-05-01 to 2026-05-02, 2 forecasts)" in found[0].message
    assert "force/taiwan/3m no (asked 2026-05-01)" in found[0].message
    assert "14.43" in found[1].message
    assert not resolved([])


def test_budget_and_refusal() -> None:
    alert = over_budget("time", 95.4, 90, "fit", DAY)
    assert "used 95.4 of 90 minutes by step `fit`" in alert.message
    assert "nothing was published" in alert.message
    late = over_budget("time", 95.4, 90, "explain", DAY, "0123456789abcdef").message
    assert "nothing was published" not in late
    assert "run 0123456789abcdef is published" in late
    refused = input_refused("figures.csv, row 3: value `x` is not a number", DAY)
    assert refused.key.startswith("2026-11-27/")
    assert refused.key != input_refused("something else", DAY).key


def test_gravest_comes_first() -> None:
    found = check(
        run(answer("q/a", 0.9)),
        run(answer("q/a", 0.1)),
        gate={"passed": False, "reasons": ["no"]},
        resolutions=[row("q/a", "2026-05-01")],
    )
    assert [alert.kind for alert in found] == ["gate-failed", "moved", "resolved"]


def test_hostile_text_becomes_one_plain_line() -> None:
    before, after = run(answer("q/a", 0.1, title=HOSTILE)), run(answer("q/a", 0.9, title=HOSTILE))
    reason = HOSTILE * 100
    for alert in (*moved(after, before), *gate_failed({"reasons": [reason]}), input_refused(reason, DAY)):
        assert alert.message.isprintable()
        assert len(alert.message) <= 1000


@given(st.text())
def test_plain_is_one_printable_line(text: str) -> None:
    line = plain(text, 30)
    assert line.isprintable()
    assert len(line) <= 30
    assert plain(line, 30) == line


# Series that are late ---------------------------------------------------------------------------------------


def made(ends: pd.DatetimeIndex, lag: int, series: str = "gpr_world", unit: str = "WLD") -> pd.DataFrame:
    end = ends.as_unit("us")
    return pd.DataFrame(
        {"series": series, "unit": unit, "period_end": end, "published_at": end + pd.Timedelta(days=lag)}
    )


@pytest.fixture
def store_of(whole_store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A store of made-up dates with the embedded catalogue."""
    import dataclasses

    def build(rows: pd.DataFrame, day: dt.date) -> Store:
        known = rows[rows["published_at"] <= pd.Timestamp(day)]
        return dataclasses.replace(whole_store, observations=known, as_of_date=day)

    return build


def monthly(first: str, last: str) -> pd.DatetimeIndex:
    return pd.date_range(first, last, freq="ME")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-06-19", []),  # May is due on 5 June, and with 14 days of grace on the 19th
        ("2026-06-20", ["gpr_world/2026-05-31"]),
        ("2026-07-19", ["gpr_world/2026-05-31"]),
        ("2026-07-20", ["gpr_world/2026-06-30"]),
    ],
)
def test_late_series_alerts_once_for_each_period(store_of: Any, day: str, expected: list[str]) -> None:
    store = store_of(made(monthly("2020-01", "2026-04-30"), 5), dt.date.fromisoformat(day))
    assert [alert.key for alert in stale(store)] == expected


def test_usual_lag_is_that_of_first_prints(store_of: Any) -> None:
    rows = made(monthly("2020-01", "2026-04-30"), 5)
    revised = rows.assign(published_at=rows["published_at"] + pd.Timedelta(days=200))
    assert stale(store_of(pd.concat([rows, revised]), dt.date(2026, 6, 20)))


def test_one_late_figure_of_the_past_does_not_make_lateness_usual(store_of: Any) -> None:
    rows = made(monthly("2020-01", "2026-04-30"), 5)
    rows.loc[rows.index[-4], "published_at"] += pd.Timedelta(days=60)
    assert stale(store_of(rows, dt.date(2026, 6, 20)))


def test_announcements_before_the_end_of_their_period(store_of: Any) -> None:
    rows = made(pd.date_range("2000-12-31", "2026-12-31", freq="YE"), -300, "budget_growth", "CHN")
    assert not stale(store_of(rows, dt.date(2027, 3, 1)))
    assert [alert.key for alert in stale(store_of(rows, dt.date(2027, 5, 1)))] == ["budget_growth/2027-12-31"]


def test_month_that_broke_off_is_still_to_come(store_of: Any) -> None:
    ends = monthly("2020-01", "2026-07-31").append(pd.DatetimeIndex(["2026-08-22"]))
    rows = made(ends, 30, "ladder", "korea")
    assert not stale(store_of(rows, dt.date(2026, 10, 1)))
    assert [alert.key for alert in stale(store_of(rows, dt.date(2026, 10, 20)))] == ["ladder/2026-08-31"]


@pytest.mark.parametrize(
    ("series", "unit"),
    [("unsc_vetoes", "CHN"), ("sanctions_designations", "PRK"), ("dprk_launches", "PRK")],
)
def test_series_ended_in_the_catalogue_is_never_late(store_of: Any, series: str, unit: str) -> None:
    rows = made(monthly("2000-01", "2026-03-31"), 5, series, unit)
    assert not stale(store_of(rows, DAY))


def test_series_silent_for_longer_than_it_ran_has_ended(store_of: Any) -> None:
    rows = made(monthly("2020-09", "2022-07-31"), 1, "pla_vessels", "TWN")
    assert stale(store_of(rows, dt.date(2023, 1, 1)))
    assert not stale(store_of(rows, DAY))


def test_too_few_periods_say_nothing_of_what_is_usual(store_of: Any) -> None:
    assert not stale(store_of(made(monthly("2026-01", "2026-05-31"), 5), dt.date(2026, 8, 1)))


def test_late_units_of_a_series_share_an_alert(whole_store: Store) -> None:
    found = {alert.key: alert.message for alert in stale(whole_store.as_of(DAY))}
    assert "gpr_country (CHN, FIN, JPN, KOR, PHL, POL and 4 more)" in found["gpr_country/2026-10-31"]
    assert not any("pla_aircraft_adiz" in key for key in found)
    late = {one.series for one in overdue(whole_store.as_of(DAY))}
    assert "milex_constant" not in late


# Delivery ---------------------------------------------------------------------------------------------------


class Hook(HTTPServer):
    """A target on this machine; `status` is what it answers."""

    def __init__(self) -> None:
        self.status, self.got, server = 200, [], self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if server.status == 200:
                    server.got.append(json.loads(body))
                self.send_response(server.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"json://user:S3CRET@127.0.0.1:{self.server_port}/T0KEN/hook"


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def dead() -> str:
    """A target at a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"json://user:S3CRET@127.0.0.1:{free.getsockname()[1]}/T0KEN/dead"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'archive.sqlite'}", str(tmp_path / "runs")) as opened:
        yield opened


ALERT = Alert("moved", "force", "warning", "It moved.")
LATE = Alert("stale", "gpr/2026-05-31", "warning", "It is late.")
NO_PAUSES: tuple[float, ...] = ()


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_alert_arrives_once(ledger: Ledger, hook: Hook, tmp_path: Path) -> None:
    options: dict[str, Any] = {"targets": [hook.url], "file": tmp_path / "logs/alerts.jsonl", "now": NOW}
    first = deliver(ledger, RUN, [ALERT, LATE], **options)
    assert (first.new, first.sent, first.waiting, dict(first.faults)) == ((ALERT, LATE), 2, 0, {})
    again = deliver(ledger, RUN, [ALERT, LATE], **options)
    assert (again.new, again.sent, again.waiting) == ((), 0, 0)
    (message,) = hook.got
    assert message["title"] == "Escalation forecast: 2 alerts"
    assert message["message"] == "- moved: It moved.\n- stale: It is late."
    assert message["type"] == "warning"
    assert [line["kind"] for line in lines(tmp_path / "logs/alerts.jsonl")] == ["moved", "stale"]
    assert ledger.table("alerts")["sent_at"].notna().all()


def test_next_run_moves_again_but_is_not_late_again(ledger: Ledger, hook: Hook) -> None:
    deliver(ledger, RUN, [ALERT, LATE], targets=[hook.url], now=NOW)
    later = deliver(ledger, "fedcba9876543210", [ALERT, LATE], targets=[hook.url], now=NOW)
    assert later.new == (ALERT,)
    assert len(hook.got) == 2


def test_dead_target_fails_nothing_and_is_tried_again(
    ledger: Ledger, hook: Hook, dead: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []
    file = tmp_path / "alerts.jsonl"
    options: dict[str, Any] = {"targets": [dead, hook.url], "file": file, "sleep": waits.append}
    with caplog.at_level(logging.DEBUG):
        found = deliver(ledger, RUN, [ALERT], now=NOW, pauses=(1.0, 4.0), **options)
    assert waits == [1.0, 4.0]
    assert (found.sent, found.waiting) == (0, 1)
    assert dict(found.faults) == {"json#1": "it did not take the message, tried 3 times"}
    assert len(hook.got) == 1
    assert ledger.table("alerts")["sent_at"].isna().all()
    assert "moved: It moved." in caplog.text
    # The next morning it goes to the one that lacks it, and to no other.
    next_day = NOW + dt.timedelta(days=1)
    revived = hook.url.replace("hook", "revived")
    found = deliver(ledger, RUN, [], now=next_day, **options | {"targets": [revived, hook.url]})
    assert (found.sent, found.waiting) == (1, 0)
    assert len(hook.got) == 2
    assert len(lines(file)) == 1
    assert_no_secret(ledger, caplog, file.read_text(), str(found))


def assert_no_secret(ledger: Ledger, caplog: pytest.LogCaptureFixture, *texts: str) -> None:
    stored = "".join(ledger.table(name).to_csv() for name in ("alerts", "steps"))
    raw = Path(str(ledger.engine.url.database)).read_bytes().decode("latin-1")
    for text in (stored, raw, caplog.text, *texts):
        assert "S3CRET" not in text
        assert "T0KEN" not in text


def test_refusing_target_waits(ledger: Ledger, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    hook.status = 500
    with caplog.at_level(logging.DEBUG):
        found = deliver(ledger, RUN, [ALERT], targets=[hook.url], now=NOW, pauses=NO_PAUSES)
    assert found.waiting == 1
    assert_no_secret(ledger, caplog, repr(found))
    hook.status = 200
    assert deliver(ledger, RUN, [], targets=[hook.url], now=NOW).sent == 1


def test_target_out_of_reach_for_a_week_gets_no_old_news(ledger: Ledger, hook: Hook, dead: str) -> None:
    deliver(ledger, RUN, [ALERT], targets=[dead], now=NOW, pauses=NO_PAUSES)
    later = NOW + dt.timedelta(days=8)
    found = deliver(ledger, RUN, [LATE], targets=[hook.url], now=later)
    assert (found.sent, found.waiting) == (1, 0)
    assert "It moved" not in hook.got[0]["message"]


@pytest.mark.parametrize("url", ["nosuch://S3CRET", "json://", "slack://S3CRET", "mailto://:S3CRET@"])
def test_target_that_apprise_cannot_use_fails_nothing(
    ledger: Ledger, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        found = deliver(ledger, RUN, [ALERT], targets=[url], now=NOW, pauses=NO_PAUSES)
    assert found.waiting == 1
    assert_no_secret(ledger, caplog, str(found), repr(found))


def test_what_is_no_url_is_refused_by_its_place(ledger: Ledger) -> None:
    with pytest.raises(DataError, match="target 2 is no URL") as refused:
        deliver(ledger, RUN, [ALERT], targets=["json://127.0.0.1:1", "S3CRET"])
    assert "S3CRET" not in str(refused.value)


def test_without_apprise_there_is_a_plain_sentence(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(DataError, match=r"pip install escalation-forecast\[alerts\]"):
        deliver(ledger, RUN, [ALERT], targets=["json://127.0.0.1:1"])
    assert deliver(ledger, RUN, [ALERT]).sent == 1


def test_html_is_escaped_for_a_target_that_renders_it(ledger: Ledger, hook: Hook) -> None:
    alerts = moved(run(answer("q/a", 0.9, title=HOSTILE)), run(answer("q/a", 0.1, title=HOSTILE)))
    deliver(ledger, RUN, alerts, targets=[f"{hook.url}?format=html", f"{hook.url}?format=markdown"], now=NOW)
    html, markdown = (message["message"] for message in hook.got)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<!channel>" not in markdown
    assert "\\*you\\*" in markdown


def test_file_that_cannot_be_written_waits(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file and no folder")
    found = deliver(ledger, RUN, [ALERT], file=tmp_path / "taken/alerts.jsonl", now=NOW)
    assert found.waiting == 1
    assert "file" in found.faults
    assert deliver(ledger, RUN, [], file=tmp_path / "alerts.jsonl", now=NOW).sent == 1


def test_half_a_line_of_a_killed_job_spoils_no_other(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_text('{"kind": "mo')
    deliver(ledger, RUN, [ALERT], file=file, now=NOW)
    assert json.loads(file.read_text().splitlines()[1])["key"] == "force"
