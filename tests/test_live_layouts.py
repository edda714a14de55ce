"""The list of files that are understood, and the page that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from escalation_forecast.sources.live import LAYOUTS, LISTS, detect
from escalation_forecast.sources.live._layouts import markdown
from escalation_forecast.sources.live._lists import COMPILED_TO
from escalation_forecast.sources.live.limits import MAX_CELLS, MAX_RATIO, MAX_UNZIPPED_BYTES, MIB
from originators import FILES

PAGE = Path(__file__).parents[1] / "docs" / "live-data.md"


def test_the_page_shows_the_layouts_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert markdown() in page
    assert f"more than {MAX_UNZIPPED_BYTES // MIB} MiB or {MAX_RATIO} times" in page
    assert f"more than {MAX_CELLS:,} cells" in page
    assert COMPILED_TO == "2026-07"
    assert "Only months after July 2026" in page


def test_every_layout_has_a_file_in_the_tests_and_its_kinds() -> None:
    assert {layout for layout, _ in FILES.values()} == set(LAYOUTS)
    assert set(LISTS) < set(LAYOUTS)
    assert all(layout.kinds and layout.terms and layout.feeds for layout in LAYOUTS.values())


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_recognised_by_what_is_in_it_whatever_its_name(name: str, tmp_path: Path) -> None:
    layout, make = FILES[name]
    assert detect(make(tmp_path / "download.bin")) == layout
