"""One self-contained HTML page: prose, key figures, plots and tables, in light and dark, on screen and on paper.

>>> page = Page("Loss of small models", "What 240 runs say about the next one.")
>>> _ = page.section("Data", Text("All runs are *public*."))
>>> page.write("report.html")  # doctest: +SKIP

plotly.js stands in the file once; nothing is fetched from anywhere, and the page's own content security policy
forbids it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from scaling.errors import InputError
from scaling.report.blocks import Block, Canvas, Text
from scaling.report.theme import ON_DARK, template

__all__ = ["Page"]


@dataclass(frozen=True)
class _Section:
    heading: str
    identity: str
    blocks: tuple[Block, ...]


class Page:
    """A report in the making.

    Args:
        title: Stands in the browser's tab and at the top.
        lead: One paragraph in Markdown that says what came out, for those who read no further.
        kicker: A few words above the title, such as the kind of report.
        blocks: Shown between the lead and the first section, such as key figures.
    """

    def __init__(self, title: str, lead: str = "", *blocks: Block, kicker: str = "") -> None:
        self.title = title
        self.lead = lead
        self.kicker = kicker
        self.blocks: tuple[Block, ...] = blocks
        self._sections: list[_Section] = []

    def section(self, heading: str, *blocks: Block | str) -> Page:
        """Add a section; a plain string is Markdown. Returns the page."""
        slug = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
        taken = {section.identity for section in self._sections}
        identity, tries = slug, 2
        while identity in taken:
            identity, tries = f"{slug}-{tries}", tries + 1
        parts = tuple(Text(block) if isinstance(block, str) else block for block in blocks)
        self._sections.append(_Section(heading, identity, parts))
        return self

    def html(self) -> str:
        """The whole page."""
        canvas = Canvas()
        top = "".join(block.html(canvas) for block in self.blocks)
        sections = "".join(
            f'<section id="{section.identity}" aria-labelledby="{section.identity}-heading">'
            f'<h2 id="{section.identity}-heading">{escape(section.heading)}'
            f'<a class="anchor" href="#{section.identity}" aria-label="Link to this section">#</a></h2>'
            + "".join(block.html(canvas) for block in section.blocks)
            + "</section>"
            for section in self._sections
        )
        parts = {
            "@TITLE@": escape(self.title),
            "@KICKER@": f'<p class="kicker">{escape(self.kicker)}</p>' if self.kicker else "",
            "@LEAD@": f'<div class="lead">{Text(self.lead).html(canvas)}</div>' if self.lead else "",
            "@TOP@": top,
            "@CONTENTS@": _contents(self._sections),
            "@SECTIONS@": sections,
            "@FOOTER@": escape(_signature()),
            "@STYLE@": _resource("page.css"),
            "@FIGURES@": _scripts(canvas.figures),
        }
        return re.sub("|".join(parts), lambda found: parts[found.group()], _resource("page.html"))

    def write(self, path: str | Path) -> Path:
        """Write the page in one step: a reader sees the old file or the new one, never a half.

        Raises:
            InputError: The folder does not exist.
        """
        path = Path(path)
        if not path.parent.is_dir():
            raise InputError("the folder does not exist", source=str(path), remedy=f"mkdir -p {path.parent}")
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        scratch.write_text(self.html(), encoding="utf-8")
        scratch.replace(path)
        return path


def _contents(sections: Sequence[_Section]) -> str:
    if len(sections) < 3:
        return ""
    links = "".join(f'<li><a href="#{part.identity}">{escape(part.heading)}</a></li>' for part in sections)
    return f'<nav aria-label="Contents"><p>Contents</p><ol>{links}</ol></nav>'


def _scripts(figures: Sequence[str]) -> str:
    """The figures' data, plotly.js and the script that draws them; nothing at all on a page without figures."""
    if not figures:
        return ""
    from plotly.offline import get_plotlyjs

    templates = json.dumps({scheme: template(scheme) for scheme in ("light", "dark")})
    # "</" would end the script element that the JSON stands in, and "<!--" confuse it; to JSON this is the same.
    colours = json.dumps(ON_DARK)
    data = f'{{"templates":{templates},"onDark":{colours},"figures":[{",".join(figures)}]}}'
    data = data.replace("<", "\\u003c")
    return (
        f'<script type="application/json" id="figures">{data}</script>'
        f"<script>{get_plotlyjs()}</script><script>{_resource('draw.js')}</script>"
    )


@cache
def _resource(name: str) -> str:
    return (files("scaling.report") / name).read_text(encoding="utf-8")


def _signature() -> str:
    try:
        ours = version("foretune")
    except PackageNotFoundError:
        ours = "from a checkout"
    return f"Written by Foretune {ours}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. This file needs no network."
