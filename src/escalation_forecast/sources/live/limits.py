"""How large and how odd a file may be before it is refused; each limit is several times the largest
file that an originator publishes."""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024

# The trade register of SIPRI has 3 MB, the European list 30 MB, a year of UCDP events 15 MB.
MAX_TABLE_BYTES: Final = 96 * MIB
# The advanced list of OFAC has somewhat over 100 MB.
MAX_XML_BYTES: Final = 256 * MIB
# The index of geopolitical risk has 3 MB, the workbook of SIPRI 1 MB.
MAX_BOOK_BYTES: Final = 16 * MIB

MAX_UNZIPPED_BYTES: Final = 32 * MIB
# Everything but the sheets: texts, styles, themes.
MAX_OTHER_BYTES: Final = 8 * MIB
# Sheets compress by 5 to 15; what is made to explode by a thousand.
MAX_RATIO: Final = 100
MAX_MEMBERS: Final = 200
MAX_SHEETS: Final = 60
# The risk index has 175,000, the workbook of SIPRI 110,000.
MAX_CELLS: Final = 400_000
MAX_COLUMNS: Final = 1_000
# Rows of a sheet, also blank ones; the risk index has 1,500.
MAX_SHEET_ROWS: Final = 20_000
MAX_LINES: Final = 1_000_000
MAX_LINE_BYTES: Final = MIB

MAX_XML_DEPTH: Final = 64
MAX_XML_TEXT: Final = 4 * MIB
MAX_XML_CHILDREN: Final = 20_000
# Bytes in which a sound list has long begun or ended an element.
MAX_XML_SILENCE: Final = 4 * MIB

# Rows of a sheet, and lines of a table, among which its heading must stand.
HEADING_ROWS: Final = 40
