"""The files that are understood."""

from __future__ import annotations

import dataclasses
from typing import Final


@dataclasses.dataclass(frozen=True)
class Layout:
    """A file that is understood: who publishes it, where to get it, and on what terms.

    `kinds` are the ways in which the file comes, `feeds` the series that are made of it, `reader` the
    module of `sources.live`.
    """

    id: str
    title: str
    originator: str
    url: str
    kinds: tuple[str, ...]
    terms: str
    feeds: str
    reader: str


LAYOUTS: Final[dict[str, Layout]] = {
    layout.id: layout
    for layout in (
        Layout(
            "sipri-milex", "Military Expenditure Database: the workbook of all countries", "SIPRI",
            "https://www.sipri.org/databases/milex", ("xlsx",),
            "Non-commercial, under 10 per cent of the data set, SIPRI named",
            "`milex_constant`", "sipri_milex",
        ),
        Layout(
            "sipri-transfers", "Arms Transfers Database: register by delivery year, values of one state",
            "SIPRI", "https://armstransfers.sipri.org", ("text",),
            "Non-commercial, own sums not to be attributed to SIPRI",
            "`arms_transfers`", "sipri_transfers",
        ),
        Layout(
            "gpr", "Geopolitical Risk index: monthly export, world and countries", "Caldara and Iacoviello",
            "https://www.matteoiacoviello.com/gpr.htm", ("xls", "xlsx"), "Free with citation",
            "`gpr_world`, `gpr_country`", "gpr",
        ),
        Layout(
            "us-dmdc", "Military and Civilian Personnel by Service/Agency by State/Country",
            "Defense Manpower Data Center",
            "https://dwp.dmdc.osd.mil/dwp/app/dod-data-reports/workforce-reports",
            ("xlsx", "xls"), "Work of the US government",
            "`us_troops`", "dmdc",
        ),
        Layout(
            "us-ofac", "Specially Designated Nationals: SDN.CSV, sdn_advanced.xml", "OFAC",
            "https://sanctionslist.ofac.treas.gov", ("text", "xml"), "Work of the US government",
            "`sanctions_*`", "ofac",
        ),
        Layout(
            "un-list", "Security Council Consolidated List", "United Nations",
            "https://main.un.org/securitycouncil/en/content/un-sc-consolidated-list", ("xml",),
            "Terms of the UN website", "`sanctions_*`", "un_list",
        ),
        Layout(
            "eu-list", "Consolidated list of persons and entities under financial sanctions",
            "European Commission", "https://webgate.ec.europa.eu/fsd/fsf", ("xml", "text"),
            "Reuse with acknowledgement", "`sanctions_*`", "eu_list",
        ),
        Layout(
            "uk-list", "UK Sanctions List, and the OFSI consolidated list before it", "FCDO, HM Treasury",
            "https://www.gov.uk/government/publications/the-uk-sanctions-list", ("text",),
            "Open Government Licence 3.0", "`sanctions_*`", "uk_list",
        ),
        Layout(
            "ucdp-candidate", "UCDP Candidate Events Dataset", "Uppsala Conflict Data Program",
            "https://ucdp.uu.se/downloads", ("text",), "CC BY 4.0",
            "none", "ucdp",
        ),
        Layout(
            "cow-mid", "Militarized Interstate Disputes: MIDA, MIDB, dyadic", "Correlates of War",
            "https://correlatesofwar.org/data-sets/mids", ("text",), "Cite; not to be passed on",
            "none", "cow_mid",
        ),
        Layout(
            "observations", "Figures in the columns of data/observations", "The user", "",
            ("text",), "The user's own", "those it names", "observations",
        ),
    )
}  # fmt: skip


def _link(layout: Layout) -> str:
    return f"[{layout.originator}]({layout.url})" if layout.url else layout.originator


def markdown() -> str:
    """The layouts as a table of a page."""
    rows = [
        f"| `{layout.id}` | {layout.title} | {_link(layout)} | {', '.join(layout.kinds)} | {layout.feeds} "
        f"| {layout.terms} |"
        for layout in LAYOUTS.values()
    ]
    head = ["| source | file | from | kind | series | terms |", "| --- | --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) + "\n"
