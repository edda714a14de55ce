"""Small files made up in the layouts that originators publish; every figure in them is invented."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.styles.colors import Color
from openpyxl.utils.cell import coordinate_to_tuple

from escalation_forecast.sources.gpr import STATES as GPR_STATES
from escalation_forecast.sources.live.files import open_source
from escalation_forecast.sources.live.observations import OBSERVATION_COLUMNS
from escalation_forecast.sources.live.workbook import Book, Sheet, Value, open_book

BLUE, RED = Color(indexed=12), Color(indexed=10)
RECEIVED = dt.date(2026, 11, 20)


def grid(path: Path) -> Book:
    """The workbook as the readers see it, to be edited in memory."""
    return open_book(open_source(path))


def sheet_of(book: Book, name: str) -> Sheet:
    return next(sheet for sheet in book.sheets if sheet.name == name)


def set_cell(sheet: Sheet, place: str, value: Value) -> None:
    """Write the cell of a spreadsheet name such as ``C7``; a blank at the end of a row is cut off."""
    row, column = coordinate_to_tuple(place)
    cells = sheet.rows[row - 1]
    cells.extend([None] * (column - len(cells)))
    cells[column - 1] = value
    while cells and cells[-1] is None:
        cells.pop()


# Rows as SIPRI orders and names them: regions without figures, states, a state that is no longer.
MILEX_ROWS = (
    "Americas", "North America", "United States of America", "Asia & Oceania", "Oceania", "Australia",
    "South Asia", "India", "East Asia", "China", "Japan", "Korea, North", "Korea, South", "Taiwan",
    "South East Asia", "Indonesia", "Malaysia", "Philippines", "Singapore", "Thailand", "Viet Nam", "Europe",
    "Eastern Europe", "Russia", "Ukraine", "USSR", "Western Europe", "France",
)  # fmt: skip
REGIONS = (
    "Americas", "North America", "Asia & Oceania", "Oceania", "South Asia", "East Asia", "South East Asia",
    "Europe", "Eastern Europe", "Western Europe",
)  # fmt: skip


def milex_book(
    path: Path, *, base: int = 2024, last: int = 2025, first: int = 1986, heading: int = 6, extra: str = ""
) -> Path:
    """The military expenditure workbook: notes, heading in row `heading`, then regions and states.

    Layout as in the workbook "SIPRI-Milex-data-1949-2025" of https://www.sipri.org/databases/milex.
    """
    rng = np.random.default_rng(5)
    book = Workbook()
    book.active.title = "Front page"
    years = list(range(first, last + 1))
    sizes = {
        name: 900_000.0 if name == "United States of America" else 1_000.0 * (2 + number)
        for number, name in enumerate(MILEX_ROWS)
    }
    growth = {name: np.exp(rng.normal(0.03, 0.04, len(years)).cumsum()) for name in MILEX_ROWS}
    rate = {year: np.exp(rng.normal(0, 0.1)) if year != base else 1.0 for year in years}
    pages = (
        (f"Constant ({base}) US$", f"in constant ({base}) US$ m.", 3, lambda value, year: value),
        ("Current US$", "in millions of US$ at current prices and exchange rates", 2,
         lambda value, year: value * rate[year]),
        ("Share of GDP", "as percentage of gross domestic product", 2, lambda value, year: value / 1e7),
    )  # fmt: skip
    for name, title, start, shape in pages:
        page = book.create_sheet(name)
        page["A1"] = f"Military expenditure by country, {title}, {first}–{last}   © SIPRI {last + 1}"
        page["A3"] = "Figures in blue are SIPRI estimates. Figures in red indicate highly uncertain data."
        page.cell(heading, 1, "Country")
        page.cell(heading, start, "Notes")
        if extra and start > 2:
            page.cell(heading, start - 1, extra)
        for place, year in enumerate(years, start=start + 1):
            page.cell(heading, place, year)
        for row, country in enumerate(MILEX_ROWS, start=heading + 2):
            page.cell(row, 1, country)
            if country in REGIONS:
                continue
            page.cell(row, start, "§7")
            for place, year in enumerate(years):
                cell = page.cell(row, start + 1 + place)
                if country == "Korea, North" or (country == "Viet Nam" and year < 1990):
                    cell.value = "..."
                elif (country == "USSR") is not (year < 1992 and country in ("USSR", "Russia")):
                    cell.value = "xxx"
                else:
                    scale = sizes[country] * growth[country][place] / growth[country][-1]
                    cell.value = float(shape(scale, year))
                    if country == "China":
                        cell.font = Font(color=BLUE)
                    elif country == "Viet Nam" and year < 2000:
                        cell.font = Font(color=RED)
    book.create_sheet("Footnotes")["A1"] = "Footnotes and special notes"
    book.save(path)
    return path


def gpr_book(path: Path, *, last: str = "2020-06", extra: str = "") -> Path:
    """The export of the risk index: a heading, months from 1984-11, and the list of variables at the right.

    Layout as in "data_gpr_export.xls" of https://www.matteoiacoviello.com/gpr.htm.
    """
    rng = np.random.default_rng(6)
    months = np.arange("1984-11", np.datetime64(last) + 1, dtype="datetime64[M]")
    recent = months >= np.datetime64("1985-01")
    normal = recent & (months <= np.datetime64("2019-12"))
    share = np.exp(rng.normal(1.0, 0.3, len(months)))
    scale = 100 / share[normal].mean()
    states = sorted({*GPR_STATES, "USA"})
    columns: dict[str, Any] = {"GPR": share * scale, "SHARE_GPR": share, "GPRH": share * 30}
    if extra:
        columns[extra] = share * 2
    country = {state: np.exp(rng.normal(-2, 0.8, len(months))) for state in states}
    columns |= {f"GPRC_{state}": country[state] for state in states}
    columns |= {
        f"GPRHC_{state}": country[state] * np.exp(rng.normal(0, 0.1, len(months))) for state in states
    }
    book = Workbook()
    page = book.active
    page.title = "Sheet1"
    names = ["month", *columns]
    page.append([*names, "var_name", "var_label"])
    for place, month in enumerate(months):
        hidden = not recent[place]
        cells = [
            None if hidden and not name.startswith(("GPRH", "GPRHC")) else float(values[place])
            for name, values in columns.items()
        ]
        label = [names[place], f"about {names[place]}"] if place < len(names) else []
        page.append([month.astype(dt.datetime), *cells, *label])
    for row in page.iter_rows(min_row=2, max_col=1):
        row[0].value = dt.datetime(row[0].value.year, row[0].value.month, 1)  # noqa: DTZ001
    book.save(path)
    return path


HOST_COUNTS: Mapping[str, tuple[int, ...]] = {
    "BELGIUM": (500, 90, 20, 300, 1, 0), "GERMANY": (21_000, 400, 400, 12_000, 90, 10),
    "GUAM": (200, 3_500, 90, 2_100, 1, 0), "ITALY": (4_500, 3_600, 90, 4_100, 5, 2),
    "JAPAN": (2_500, 20_000, 18_000, 12_000, 30, 20), "KOREA, REPUBLIC OF": (15_000, 350, 200, 8_000, 9, 0),
    "SPAIN": (30, 2_800, 200, 400, 0, 0), "TURKEY": (150, 8, 20, 1_400, 1, 1),
    "UNITED KINGDOM": (200, 300, 60, 9_000, 300, 0), "UNKNOWN": (1_000, 2_000, 300, 500, 10, 5),
}  # fmt: skip


def dmdc_book(path: Path, *, day: str = "September 30, 2025", heading: int = 5, withheld: str = "") -> Path:
    """The quarterly location report: groups of columns, the states of the union, then hosts overseas.

    Layout as in "DMDC_Website_Location_Report_2509.xlsx" of
    https://dwp.dmdc.osd.mil/dwp/app/dod-data-reports/workforce-reports.
    """
    book = Workbook()
    page = book.active
    page.title = "Sep 25"
    page["A1"] = "Number of Military and DoD Appropriated Fund (APF) Civilian Personnel Permanently Assigned"
    page["A2"] = f"By Duty Location and Service/Component (as of {day})"
    branches = ["ARMY", "NAVY", "MARINE CORPS", "AIR FORCE", "SPACE FORCE", "COAST GUARD", "TOTAL"]
    page.cell(heading, 1, "LOCATION")
    page.cell(heading, 2, "ACTIVE DUTY")
    page.cell(heading, 9, "NATIONAL GUARD / RESERVE")
    for place, name in enumerate([*branches, "ARMY NATIONAL GUARD", "TOTAL"], start=2):
        page.cell(heading + 1, place, name)
    rows: list[list[Any]] = [
        ["UNITED STATES"],
        ["ALABAMA", 5_000, 100, 90, 4_000, 20, 800, 10_010, 9_000, 9_000],
    ]
    rows += [["UNITED STATES TOTAL", *rows[1][1:]], ["OVERSEAS"]]
    total = np.zeros(7, int)
    for host, counts in HOST_COUNTS.items():
        cells: list[Any] = [*counts, sum(counts)]
        if host == withheld:
            cells = ["N/A", *counts[1:], "N/A"]
        else:
            total += np.array(cells)
        rows.append([host, *cells, 10, 10])
    rows += [["OVERSEAS TOTAL", *map(int, total), 90, 90], ["GRAND TOTAL", *map(int, total), 90, 90]]
    for number, cells in enumerate(rows, start=heading + 2):
        for place, value in enumerate(cells, start=1):
            page.cell(number, place, value)
    book.save(path)
    return path


REGISTER_HEAD = (
    "Transfers of major conventional arms from All countries  to All countries . Deals with deliveries made "
    "for the year range '1995' to '{last}';\nSIPRI trend-indicator values (TIVs) are in millions.;\n;\n"
    "Source: SIPRI Arms Transfers Database (c) SIPRI.;\nData generated: {day} 12:26:12 PM;\n"
    "SIPRI AT Database ID,Supplier,Recipient,Designation,Description,Armament category,Order date,"
    "Order date is estimate,Numbers delivered,Numbers delivered is estimate,Delivery year,"
    "Delivery year is estimate,Status,SIPRI estimate,TIV deal unit,TIV delivery values,Local production;\n"
)
# Supplier, recipient, number, year, unit, sum.
DELIVERIES = (
    ("Russia", "China", 10, 2020, 2.0, 20.0), ("Russia", "China", 4, 2020, 1.5, 6.0),
    ("United States", "Japan", 6, 2024, 37.5, 225.0), ("North Korea", "Russia", 50, 2024, 0.25, 12.5),
    ("France", "India", 3, 2021, 40.0, 120.0), ("Iran", "Russia", 400, 2023, 0.17, 69.2),
)  # fmt: skip


def register(
    path: Path, *, last: int = 2024, day: str = "12 Feb 2026", rows: Sequence[Any] = DELIVERIES
) -> Path:
    """The trade register by year of delivery, as https://armstransfers.sipri.org gives it as CSV."""
    lines = [
        f"{number},{supplier},{recipient},X-1,a thing,Missiles,2010,No,{count},No,{year},No,New,1,{unit},"
        f"{tiv},No;"
        for number, (supplier, recipient, count, year, unit, tiv) in enumerate(rows, start=50_000)
    ]
    path.write_text(REGISTER_HEAD.format(last=last, day=day) + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def tiv_values(path: Path) -> Path:
    """Values of one supplier, as https://armstrade.sipri.org/armstrade/html/export_values.php gave them."""
    path.write_text(
        '"TIV of arms exports from United States, 2018-2021"\nGenerated: 05 April 2022\n'
        "Figures are SIPRI Trend Indicator Values (TIVs) expressed in millions.\n"
        "Figures may not add up due to the conventions of rounding.\n"
        "A '0' indicates that the value of deliveries is less than 0.5m\n\n"
        ",2018,2019,2020,2021,Total\nAustralia,900,1000,,330,2230\nBrazil,,5,0,,5\nJapan,690,800,920,,2410\n"
        "Taiwan,100,,0,,100\nTotal,1690,1805,920,330,4745\n",
        encoding="utf-8",
    )
    return path


SDN_ROWS = (
    '36,"AEROTEST",-0- ,"CUBA",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ',
    '50001,"TEST, Ivan","individual","RUSSIA-EO14024",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"DOB 1960."',
    '50002,"TEST BANK",-0- ,"IRAN] [SDGT] [IFSR",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ',
)
SDN_NEW = (
    '50003,"TEST SHIP","vessel","DPRK4] [RUSSIA-EO14024",-0- ,"X1","Tanker",-0- ,-0- ,"Panama",-0- ,"IMO 1."',
    '50004,"TEST FIRM",-0- ,"NPWMD",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"Linked To: NORTH KOREA MINING."',
    '50005,"OTHER FIRM",-0- ,"NPWMD",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ',
)


def sdn_csv(path: Path, rows: Sequence[str] = SDN_ROWS) -> Path:
    """SDN.CSV without a heading; https://moov-io.github.io/watchman/file-structure describes its columns."""
    path.write_bytes("\r\n".join([*rows, "\x1a"]).encode())
    return path


def sdn_xml(path: Path, entries: Sequence[tuple[int, str, str]] | None = None) -> Path:
    """sdn_advanced.xml: parties first, then entries with the day of each and its programmes.

    https://home.treasury.gov/system/files/126/sdn_advanced_notes.pdf describes its elements.
    """
    if entries is None:
        entries = (
            (1, "2018-03-04", "IRAN"), (2, "2026-08-05", "RUSSIA-EO14024"), (3, "2026-08-30", "DPRK3"),
            (4, "2026-09-02", "SDGT"), (5, "2026-10-14", "RUSSIA-EO14024"), (6, "2026-10-15", "BELARUS"),
        )  # fmt: skip
    body = "".join(
        f'<SanctionsEntry ID="{key}" ProfileID="{key}" ListID="1550"><EntryEvent ID="{key}">'
        f'<Date CalendarTypeID="1"><Year>{day[:4]}</Year><Month>{int(day[5:7])}</Month>'
        f"<Day>{int(day[8:])}</Day></Date></EntryEvent>"
        f'<SanctionsMeasure ID="{key}" SanctionsTypeID="1"><Comment>{programme}</Comment></SanctionsMeasure>'
        "</SanctionsEntry>"
        for key, day, programme in entries
    )
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<Sanctions xmlns="https://sanctionslistservice.ofac.treas.gov/api/'
        'PublicationPreview/exports/ADVANCED_XML"><DateOfIssue CalendarTypeID="1"><Year>2026</Year>'
        "<Month>11</Month><Day>16</Day></DateOfIssue><DistinctParties>"
        '<DistinctParty FixedRef="1"><Profile ID="1" PartySubTypeID="3"><Comment>a party</Comment></Profile>'
        f"</DistinctParty></DistinctParties><SanctionsEntries>{body}</SanctionsEntries></Sanctions>\n",
        encoding="utf-8",
    )
    return path


def un_xml(path: Path) -> Path:
    """consolidated.xml of https://scsanctions.un.org."""

    def one(tag: str, key: int, kind: str, day: str) -> str:
        return (
            f"<{tag}><DATAID>{key}</DATAID><VERSIONNUM>1</VERSIONNUM><FIRST_NAME>TEST</FIRST_NAME>"
            f"<UN_LIST_TYPE>{kind}</UN_LIST_TYPE><REFERENCE_NUMBER>X.{key}</REFERENCE_NUMBER>"
            f"<LISTED_ON>{day}</LISTED_ON></{tag}>"
        )

    people = one("INDIVIDUAL", 1, "DPRK", "2017-12-22") + one("INDIVIDUAL", 2, "Al-Qaida", "2026-08-01")
    firms = one("ENTITY", 3, "DPRK", "2026-09-10") + one("ENTITY", 4, "DPRK", "2026-09-11-04:00")
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<CONSOLIDATED_LIST dateGenerated="2026-11-03T23:00:06.496Z">'
        f"<INDIVIDUALS>{people}</INDIVIDUALS><ENTITIES>{firms}</ENTITIES></CONSOLIDATED_LIST>\n",
        encoding="utf-8",
    )
    return path


EU_ENTRIES = (
    # entry, programme, day printed with its regulation, day of its name
    (13, "IRQ", "2003-07-08", "2003-07-08"), (20, "UKR", "2026-09-15", "2014-03-17"),
    (21, "UKR", "2026-09-15", "2026-09-15"), (22, "BLR", "2026-10-02", "2026-10-02"),
    (23, "IRN", "2026-08-20", "2026-08-20"), (24, "CYB", "2026-08-20", "2026-08-20"),
)  # fmt: skip


def eu_xml(path: Path) -> Path:
    """xmlFullSanctionsList_1_1 of https://webgate.ec.europa.eu/fsd/fsf."""
    body = "".join(
        f'<sanctionEntity designationDetails="" euReferenceNumber="EU.{key}" logicalId="{key}">'
        f'<regulation regulationType="amendment" publicationDate="{late}" programme="{programme}"/>'
        f'<subjectType code="person" classificationCode="P"/><nameAlias wholeName="Test" logicalId="{key}">'
        f'<regulationSummary publicationDate="{early}"/></nameAlias></sanctionEntity>'
        for key, programme, late, early in EU_ENTRIES
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<export '
        'xmlns="http://eu.europa.ec/fpi/fsd/export" '
        f'generationDate="2026-11-05T16:47:04.449+02:00" globalFileId="184961">{body}</export>\n',
        encoding="utf-8",
    )
    return path


def eu_csv(path: Path) -> Path:
    """csvFullSanctionsList_1_1 of https://webgate.ec.europa.eu/fsd/fsf: a row for each name of an entry."""
    header = [
        "fileGenerationDate", "Entity_LogicalId", "Entity_EU_ReferenceNumber", "Entity_DesignationDate",
        "Entity_SubjectType", "Entity_Regulation_PublicationDate", "Entity_Regulation_Programme",
        "NameAlias_WholeName", "NameAlias_Regulation_PublicationDate",
    ]  # fmt: skip
    lines = [";".join(header)]
    for key, programme, late, early in EU_ENTRIES:
        lines += [f"05/11/2026;{key};EU.{key};;person;{late};{programme};Test;{early}"] * 2
    path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


UK_HEAD = (
    "Last Updated,Unique ID,OFSI Group ID,UN Reference Number,Name 6,Name 1,Name type,Regime Name,"
    "Designation Type,Designation source,Date Designated,IMO number"
)


def uk_csv(path: Path) -> Path:
    """UK-Sanctions-List.csv of https://www.gov.uk/government/publications/the-uk-sanctions-list."""
    rows = [
        "04/08/2026,AFG0001,12703,TAe.010,TEST EXCHANGE,,Primary Name,Afghanistan,Entity,UN,29/06/2012,",
        "09/09/2026,RUS9001,16100,,TEST TANKER,,Primary Name,Russia,Ship,UK,09/09/2026,9123456",
        "09/09/2026,RUS9001,16100,,FORMER NAME,,Alias,Russia,Ship,UK,09/09/2026,9123456",
        '09/09/2026,RUS9002,16101,,"TEST, A FIRM",,Primary Name,The Russia (Sanctions) (EU Exit) Regulations '
        "2019,Entity,UK,21/10/2026,",
        "09/09/2026,INU9001,16102,,TEST,IVAN,Primary Name,Iran (Nuclear),Individual,UN,28/09/2026,",
    ]
    path.write_text("\n".join(["Report Date: 08-Nov-2026", UK_HEAD, *rows]) + "\n", encoding="utf-8")
    return path


def ofsi_csv(path: Path) -> Path:
    """ConList.csv of HM Treasury, closed in January 2026."""
    path.write_text(
        "Last Updated,15/01/2026\nName 6,Name 1,Group Type,Alias Type,Regime,Listed On,"
        "UK Sanctions List Date Designated,Last Updated,Group ID\nTEST,A,Individual,Primary name,Russia,"
        "01/03/2022,01/03/2022,01/03/2022,900\nTEST,B,Individual,AKA,Russia,01/03/2022,,01/03/2022,900\n"
        "TEST,C,Entity,Primary name,Belarus,22/06/2012,31/12/2020,31/12/2020,901\n",
        encoding="utf-8",
    )
    return path


def ged_csv(path: Path) -> Path:
    """GEDEvent_v26_0_9.csv of https://ucdp.uu.se/downloads (candidate events)."""
    header = [
        "id", "relid", "year", "active_year", "code_status", "type_of_violence", "dyad_name", "side_a",
        "side_b", "country", "country_id", "date_prec", "date_start", "date_end",
        "deaths_a", "deaths_b", "best",
        "high", "low",
    ]  # fmt: skip
    states = "Government of Russia (Soviet Union) - Government of Ukraine"
    rows = [
        [900_001, "RUS-1", 2026, 1, "Check deaths", 1, states, *states.split(" - "), "Ukraine", 369, 1,
         "2026-09-02 00:00:00.000", "2026-09-02 00:00:00.000", 3, 2, 12, 20, 5],
        [900_002, "X-2", 2026, 1, "Clear", 3, "X - Civilians", "X", "Civilians", "Y", 1, 2,
         "2026-09-05 00:00:00.000", "2026-09-07 00:00:00.000", 0, 0, 3, 3, 3],
    ]  # fmt: skip
    return _write(path, [header, *rows])


def mida_csv(path: Path) -> Path:
    """MIDA 5.0.csv of https://correlatesofwar.org/data-sets/mids."""
    header = (
        "dispnum,stday,stmon,styear,endday,endmon,endyear,outcome,settle,fatality,fatalpre,maxdur,mindur,hiact,"
        "hostlev,recip,numa,numb,ongo2014,version"
    )
    rows = [
        "2,-9,7,1902,24,1,1903,6,1,0,0,208,178,7,3,0,1,1,0,5",
        "3,1,5,2012,9,6,2013,6,1,0,0,40,40,7,4,0,1,1,0,5",
    ]
    path.write_text("\r\n".join([header, *rows]) + "\r\n", encoding="utf-8")
    return path


def midb_csv(path: Path) -> Path:
    """MIDB 5.0.csv of https://correlatesofwar.org/data-sets/mids."""
    path.write_text(
        "dispnum,stabb,ccode,stday,stmon,styear,endday,endmon,endyear,sidea,revstate,revtype1,revtype2,fatality,"
        'fatalpre,hiact,hostlev,orig,version\r\n2,"USA",2,-9,7,1902,24,1,1903,1,1,1,-9,0,0,7,3,1,5\r\n'
        '2,"UKG",200,-9,7,1902,24,1,1903,0,0,0,-9,0,0,0,1,1,5\r\n',
        encoding="utf-8",
    )
    return path


def dyadic_csv(path: Path) -> Path:
    """The dyadic disputes of https://correlatesofwar.org/data-sets/mids, columns of version 4.03."""
    path.write_text(
        "disno,dyindex,statea,namea,stateb,nameb,strtday,strtmnth,strtyr,year,endday,endmnth,endyear,outcome,"
        "settlmnt,fatlev,highact,hihost,recip\n2,1,2,USA,200,UKG,-9,7,1902,1902,24,1,1903,6,1,0,7,3,0\n",
        encoding="utf-8",
    )
    return path


OWN_ROW = {
    "series": "us_troops", "unit": "KOR", "period_start": "2026-01-01", "period_end": "2026-03-31",
    "value": "24000", "unit_of_measure": "persons", "source": "user", "release": "1",
    "published_at": "2026-06-10", "quality": "reported",
}  # fmt: skip


def own_csv(path: Path, rows: Sequence[Mapping[str, str]] = (OWN_ROW,)) -> Path:
    """A table in the columns of the store."""
    cells = [[row.get(name, "") for name in OBSERVATION_COLUMNS] for row in rows]
    return _write(path, [list(OBSERVATION_COLUMNS), *cells])


def _write(path: Path, rows: Sequence[Sequence[Any]]) -> Path:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    path.write_text(stream.getvalue(), encoding="utf-8")
    return path


# Layout by maker and file name: every file that is understood.
FILES = {
    "milex.xlsx": ("sipri-milex", milex_book), "gpr.xlsx": ("gpr", gpr_book),
    "dmdc.xlsx": ("us-dmdc", dmdc_book),
    "register.csv": ("sipri-transfers", register), "values.csv": ("sipri-transfers", tiv_values),
    "sdn.csv": ("us-ofac", sdn_csv), "sdn_advanced.xml": ("us-ofac", sdn_xml), "un.xml": ("un-list", un_xml),
    "eu.xml": ("eu-list", eu_xml), "eu.csv": ("eu-list", eu_csv), "uk.csv": ("uk-list", uk_csv),
    "ofsi.csv": ("uk-list", ofsi_csv), "ged.csv": ("ucdp-candidate", ged_csv),
    "mida.csv": ("cow-mid", mida_csv),
    "midb.csv": ("cow-mid", midb_csv), "dyadic.csv": ("cow-mid", dyadic_csv),
    "own.csv": ("observations", own_csv),
}  # fmt: skip
