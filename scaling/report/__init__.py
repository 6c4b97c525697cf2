"""Pages for people: one self-contained HTML file a report.

>>> from scaling.report import Page, Text
>>> Page("Title", "What came out.").section("Data", Text("...")).write("report.html")  # doctest: +SKIP
"""

from __future__ import annotations

from scaling.report.blocks import (
    Block,
    Canvas,
    Checks,
    Code,
    Columns,
    Details,
    Figure,
    Table,
    Text,
    Tile,
    Tiles,
)
from scaling.report.fit import fit_page, write_fit_report
from scaling.report.page import Page

__all__ = [
    "Block",
    "Canvas",
    "Checks",
    "Code",
    "Columns",
    "Details",
    "Figure",
    "Page",
    "Table",
    "Text",
    "Tile",
    "Tiles",
    "fit_page",
    "write_fit_report",
]
