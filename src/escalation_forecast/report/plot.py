"""A picture with its text alternative and the numbers that are drawn in it."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    import xarray as xr

    from escalation_forecast.archive import Run

FORMATS: Final = ("png", "svg")
DPI: Final = 150
SCREEN_DPI: Final = 90
BANDS: Final = ("q10", "q25", "q50", "q75", "q90")  # what a fan draws
SALT: Final = "escalation-forecast"


@dataclass(frozen=True, eq=False, repr=False)
class Plot:
    """What every ``plot_*`` returns.

    Attributes
    ----------
    figure : outside pyplot, so that plots can be made in any thread.
    alt : one to three sentences with the main message, from the numbers that are drawn.
    data : the numbers that are drawn, see `table`.
    """

    figure: Figure
    alt: str
    data: pd.DataFrame

    def __post_init__(self) -> None:
        # Names come from files of users: a dollar sign in one is no formula.
        for text in self.figure.findobj(Text):
            text.set_parse_math(False)

    @property
    def axes(self) -> list[Axes]:
        """Panels of the figure."""
        return self.figure.axes

    @property
    def texts(self) -> list[Text]:
        """Texts of the figure outside its panels."""
        return self.figure.texts

    def table(self) -> pd.DataFrame:
        """The numbers that are drawn, one row for each mark or month; a copy."""
        return self.data.copy()

    def save(self, path: Path | str, *, dpi: int = DPI) -> Path:
        """Write a PNG or SVG that carries the text alternative; the same plot gives the same bytes.

        PNG has it as ``Description``, SVG as ``<title>`` and ``<desc>``.

        Raises
        ------
        DataError
            For a name with another ending.
        """
        path = Path(path)
        kind = path.suffix.removeprefix(".").lower()
        if kind not in FORMATS:
            raise DataError(f"{path.name} is no picture that carries a text; end its name in .png or .svg.")
        path.write_bytes(self.png(dpi) if kind == "png" else self.svg().encode())
        return path

    def png(self, dpi: int = SCREEN_DPI, **options: Any) -> bytes:
        """The picture as PNG; options as of ``Figure.savefig``."""
        buffer = io.BytesIO()
        # Without the version of the library, the same forecast gives the same bytes.
        metadata = {"Software": None, "Description": self.alt}
        self.figure.savefig(buffer, format="png", dpi=dpi, metadata=metadata, **options)
        return buffer.getvalue()

    def svg(self) -> str:
        """The picture as SVG, with its text alternative for those who have it read aloud."""
        from matplotlib import rc_context

        buffer = io.StringIO()
        # A salt of its own, because ids are drawn at random otherwise.
        with rc_context({"svg.hashsalt": SALT, "svg.fonttype": "path"}):
            self.figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        before, tag, rest = buffer.getvalue().partition("<svg ")
        attributes, end, body = rest.partition(">")
        first, _, others = self.alt.partition(". ")
        told = f"\n <title>{escape(first.rstrip('.'))}</title>\n <desc>{escape(others or self.alt)}</desc>"
        return f'{before}{tag}role="img" {attributes}{end}{told}{body}'

    def html(self, dpi: int = SCREEN_DPI) -> str:
        """An ``<img>`` that holds the picture and its text alternative."""
        data = b64encode(self.png(dpi)).decode()
        return f'<img src="data:image/png;base64,{data}" alt="{escape(self.alt)}">'

    def _repr_png_(self) -> tuple[bytes, dict[str, str]]:
        """For a notebook, which keeps ``alt`` with the picture (Jupyter's convention, read by nbconvert)."""
        return self.png(bbox_inches="tight"), {"alt": self.alt}

    def __repr__(self) -> str:
        return f"<Plot: {self.alt}>"


def of_run(source: Run | xr.Dataset, summary: Any = None) -> tuple[xr.Dataset, dict[str, Any]]:
    """Forecast paths and summary of a run; of paths alone the little that they say of themselves."""
    from escalation_forecast.archive import Run

    if isinstance(source, Run):
        return source.forecast, dict(summary or source.summary)
    return source, dict(summary or {"as_of": source.attrs["as_of"]})


def quantile_table(levels: xr.DataArray) -> pd.DataFrame:
    """Quantiles (quantile, ...) as columns, one row for each combination of the other dims."""
    names = [str(name) for name in levels["quantile"].values if name in BANDS]
    rows = levels.sel(quantile=names).transpose(..., "quantile")
    index = [rows[dim].values for dim in rows.dims[:-1]]
    labels = pd.MultiIndex.from_product(index, names=[str(dim) for dim in rows.dims[:-1]])
    return pd.DataFrame(rows.values.reshape(-1, len(names)), labels, names).reset_index()


def between(low: float, high: float, digits: int = 1, unit: str = "") -> str:
    """Such as ``80 % between +1.2 and +3.4``."""
    return f"80 % between {low:+.{digits}f}{unit} and {high:+.{digits}f}{unit}"


def largest(table: pd.DataFrame, values: pd.Series[Any]) -> Any:
    """The row of the largest value, the first of several; missing ones are passed over."""
    return table.iloc[int(np.nanargmax(values.to_numpy(float)))]


def listing(parts: Sequence[str]) -> str:
    """Such as ``a, b and c``."""
    *others, last = parts or ("none",)
    return f"{', '.join(others)} and {last}" if others else last
