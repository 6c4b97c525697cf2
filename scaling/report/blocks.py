"""What a page is made of: text, key figures, figures, tables, checks, and things folded away.

Each block turns itself into HTML; all text is escaped, prose is Markdown with raw HTML switched off. A new kind of
block is any object with ``html(canvas) -> str``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from typing import Any, Literal, Protocol

from scaling.checks import Check
from scaling.report.numbers import show

__all__ = [
    "Block",
    "Canvas",
    "Checks",
    "Code",
    "Columns",
    "Details",
    "Figure",
    "Table",
    "Text",
    "Tile",
    "Tiles",
]

Tone = Literal["", "good", "warning", "bad"]


@dataclass
class Canvas:
    """What blocks share while a page is put together: the figures so far, so that each gets an id of its own."""

    figures: list[str] = field(default_factory=list)

    def add(self, figure_json: str) -> str:
        """Keep a figure's JSON; returns the id of the element to draw it in."""
        self.figures.append(figure_json)
        return f"figure-{len(self.figures)}"


class Block(Protocol):
    """Part of a page."""

    def html(self, canvas: Canvas) -> str:
        """This block as HTML."""
        ...


@cache
def _markdown() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False, "typographer": False}).enable("table")


@dataclass(frozen=True)
class Text:
    """Prose in Markdown (CommonMark and tables; no raw HTML)."""

    markdown: str

    def html(self, canvas: Canvas) -> str:
        """Rendered Markdown."""
        return f'<div class="prose">{_markdown().render(self.markdown)}</div>'


@dataclass(frozen=True)
class Code:
    """A command or file, as it is."""

    text: str

    def html(self, canvas: Canvas) -> str:
        """Preformatted text."""
        return f'<pre tabindex="0"><code>{escape(self.text)}</code></pre>'


@dataclass(frozen=True)
class Tile:
    """One key figure.

    Attributes:
        label: What it is.
        value: The figure, already written as people should read it (others are passed through ``numbers.show``).
        note: Its interval, unit or comparison, in a few words.
        tone: Colours the edge; the words must say it too.
    """

    label: str
    value: Any
    note: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class Tiles:
    """Key figures in a row."""

    tiles: Sequence[Tile]

    def html(self, canvas: Canvas) -> str:
        """A definition list, laid out as a row of cards."""
        cards = "".join(
            f'<div class="tile {escape(tile.tone)}"><dt>{escape(tile.label)}</dt><dd>{escape(show(tile.value))}'
            + (f"<small>{escape(tile.note)}</small>" if tile.note else "")
            + "</dd></div>"
            for tile in self.tiles
        )
        return f'<dl class="tiles">{cards}</dl>'


@dataclass(frozen=True)
class Figure:
    """A plotly figure with a caption.

    Attributes:
        figure: A ``plotly.graph_objects.Figure``. Its template is replaced by the page's, light or dark.
        caption: What to see in it, in Markdown; also its description for people who cannot see it.
        height: In pixels; the figure's own, else 420.
    """

    figure: Any
    caption: str = ""
    height: int | None = None

    def html(self, canvas: Canvas) -> str:
        """The element that the page's script draws the figure in."""
        drawing = json.loads(self.figure.to_json())
        layout = drawing.setdefault("layout", {})
        layout.pop("template", None)
        height = self.height or layout.pop("height", None) or 420
        layout.pop("width", None)
        layout["height"] = height
        identity = canvas.add(
            json.dumps({"data": drawing.get("data", []), "layout": layout}, separators=(",", ":"))
        )
        # Rendered inline: a caption is one paragraph.
        caption = _markdown().renderInline(self.caption)
        label = escape(self.caption or "figure", quote=True)
        return (
            f'<figure><div class="plot" id="{identity}" role="img" aria-label="{label}" '
            f'style="height:{height}px"></div>'
            + (f"<figcaption>{caption}</figcaption>" if caption else "")
            + "</figure>"
        )


@dataclass(frozen=True)
class Table:
    """A table; numbers stand right, long tables fold after ``limit`` rows.

    Attributes:
        columns: Headings.
        rows: Cells: numbers, text or ``None``.
        caption: What the rows are, in Markdown.
        limit: Rows shown before the rest is folded away.
    """

    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]
    caption: str = ""
    limit: int = 30

    def html(self, canvas: Canvas) -> str:
        """One table, or two where the rest is folded."""
        rows = [list(row) for row in self.rows]
        numeric = [_is_numeric(row[place] for row in rows) for place in range(len(self.columns))]
        caption = _markdown().renderInline(self.caption)
        if len(rows) <= self.limit:
            return self._table(rows, numeric, caption)
        rest = self._table(rows[self.limit :], numeric, "")
        more = f"{len(rows) - self.limit:,} more rows"
        return f"{self._table(rows[: self.limit], numeric, caption)}<details><summary>{more}</summary>{rest}</details>"

    def _table(self, rows: list[list[Any]], numeric: list[bool], caption: str) -> str:
        marks = [' class="number"' if is_numeric else "" for is_numeric in numeric]
        head = "".join(
            f'<th scope="col"{mark}>{escape(name)}</th>'
            for name, mark in zip(self.columns, marks, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(f"<td{mark}>{escape(show(cell))}</td>" for cell, mark in zip(row, marks, strict=True))
            + "</tr>"
            for row in rows
        )
        above = f"<caption>{caption}</caption>" if caption else ""
        return (
            f'<div class="table" tabindex="0"><table>{above}<thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )


def _is_numeric(cells: Iterable[Any]) -> bool:
    """Whether a column holds numbers, also ones written out before: ``3.1 %``, ``0.5 [0.4, 0.6]``, ``1.4B``."""
    seen = [cell for cell in cells if cell is not None]
    return bool(seen) and all(
        re.match(r"[-–−+]?\.?\d", cell) if isinstance(cell, str) else hasattr(cell, "__float__")
        for cell in seen
    )


@dataclass(frozen=True)
class Checks:
    """Checks that fired, the worst first; says so when none did."""

    checks: Sequence[Check]

    def html(self, canvas: Canvas) -> str:
        """A list, one item a check."""
        if not self.checks:
            return '<p class="quiet">No check fired.</p>'
        order = {"error": 0, "warning": 1, "info": 2}
        words = {"error": "do not trust", "warning": "read before you trust", "info": "good to know"}
        items = "".join(
            f'<li class="check {check.severity}"><p class="head"><span class="badge">{words[check.severity]}</span>'
            f"<code>{escape(check.name)}</code></p><p>{_markdown().renderInline(check.message)}</p></li>"
            for check in sorted(self.checks, key=lambda check: order[check.severity])
        )
        return f'<ul class="checks">{items}</ul>'


@dataclass(frozen=True)
class Columns:
    """Blocks side by side where the page is wide enough."""

    blocks: Sequence[Block]

    def html(self, canvas: Canvas) -> str:
        """A grid."""
        return f'<div class="columns">{"".join(f"<div>{block.html(canvas)}</div>" for block in self.blocks)}</div>'


@dataclass(frozen=True)
class Details:
    """Blocks folded away behind a line of summary; unfolded in print."""

    summary: str
    blocks: Sequence[Block]
    open: bool = False

    def html(self, canvas: Canvas) -> str:
        """A ``details`` element."""
        inside = "".join(block.html(canvas) for block in self.blocks)
        return f"<details{' open' if self.open else ''}><summary>{escape(self.summary)}</summary>{inside}</details>"
