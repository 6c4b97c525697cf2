"""Pages: what stands in them, and what a browser makes of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from scaling.checks import Check
from scaling.errors import InputError
from scaling.fitted import fit_law
from scaling.report import Checks, Code, Details, Figure, Page, Table, Text, Tile, Tiles, write_fit_report
from scaling.report.figures import Band, Points, influence, law_curve, parity, residuals
from scaling.report.numbers import count, number, percent, show
from scaling.report.theme import COLOURS, faded, template
from scaling.sweep.fitted import fit_sweep
from tests.browser import inspect_page

NASTY = "</script><script>alert(1)</script> & <b>"


def example() -> Page:
    x = np.logspace(18, 21, 20)
    y = 2 + 100 * x**-0.1
    page = Page(f"Title {NASTY}", "Lead with **weight**.", Tiles([Tile("runs", 240, "5 aside", "good")]))
    page.section(
        "Curve", Figure(law_curve([Points(x, y)], [Band(x, y, y - 0.1, y + 0.1)], x_title="C", y_title="L"))
    )
    page.section("Curve", Details("more", [Figure(residuals(x, y - y.mean(), x_title=NASTY), NASTY)]))
    page.section("Influence", Figure(influence(y - 2, [f"run {i}" for i in range(20)], x_title="%")))
    page.section("Parity", Figure(parity(y, y * 1.01, title="loss", low=y * 0.9, high=y * 1.1)))
    page.section("Words", "Plain *Markdown* <i>no HTML</i>", Code(NASTY), Table(["a", NASTY], [[1, NASTY]]))
    return page.section(
        "Checks", Checks([Check("name", "info", "tiny finding"), Check("worse", "error", "bad `code`")])
    )


def test_text_is_escaped_everywhere() -> None:
    html = example().html()
    assert "<script>alert" not in html
    assert "<i>no HTML</i>" not in html
    assert "<strong>weight</strong>" in html


def test_nothing_is_fetched_and_plotly_stands_in_once() -> None:
    html = example().html()
    assert "connect-src" not in html  # default-src 'none' covers it
    assert "default-src 'none'" in html
    assert not re.search(r"<(script|img|iframe|link)[^>]+(src|href)=[\"']?(https?:)?//", html)
    assert html.count('id="figures"') == 1


def test_pages_without_figures_are_small() -> None:
    assert len(Page("t").section("a", "b").html()) < 30_000


def test_headings_that_repeat_get_anchors_of_their_own() -> None:
    assert 'id="curve"' in (html := example().html())
    assert 'id="curve-2"' in html


def test_worst_checks_come_first() -> None:
    html = example().html()
    assert html.index("worse") < html.index("tiny finding")


def test_long_tables_fold() -> None:
    html = Page("t").section("a", Table(["n"], [[i] for i in range(50)], limit=10)).html()
    assert "40 more rows" in html


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = Page("t").write(tmp_path / "page.html")
    assert [child.name for child in tmp_path.iterdir()] == ["page.html"]
    assert path.read_text().startswith("<!doctype html>")
    with pytest.raises(InputError, match="folder does not exist"):
        Page("t").write(tmp_path / "nowhere" / "page.html")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234.5678, "1235"),
        (0.031251, "0.03125"),
        (5.76e23, "5.76e23"),
        (1e-9, "1e-9"),
        (-2.5, "-2.5"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_counts_percent_and_cells() -> None:
    assert [count(v) for v in (1.4e9, 9e11, 1234.0, 1.4e12)] == ["1.4B", "900B", "1234", "1.4T"]
    assert percent(0.0372) == "3.7 %"
    assert [show(v) for v in (None, True, 1234567, 0.5, "x")] == ["–", "yes", "1,234,567", "0.5", "x"]
    assert number(float("nan")) == "not finite"


def test_templates_are_valid_plotly() -> None:
    for scheme in ("light", "dark"):
        assert (
            go.Figure(layout={"template": template(scheme)}).layout.template.layout.colorway[0]
            == COLOURS["measured"]
        )
    assert faded("#0072B2", 0.5) == "rgba(0,114,178,0.5)"


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_draws_every_figure(tmp_path: Path, dark: bool) -> None:
    seen = inspect_page(example().write(tmp_path / "page.html"), dark=dark, screenshot=tmp_path / "page.png")
    seen.assert_sound(at_least=4)
    assert seen.title == f"Title {NASTY}"
    assert seen.screenshot is not None
    assert seen.screenshot.stat().st_size > 10_000


@pytest.mark.browser
@pytest.mark.slow
def test_the_inspection_sees_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<div class='plot'></div><script>console.error('boom');"
        "fetch('http://example.invalid/x').catch(() => 0); throw new Error('zap')</script>"
    )
    seen = inspect_page(page, limit=2)
    assert (seen.plots, seen.drawn) == (1, 0)
    assert any("boom" in error for error in seen.console_errors)
    assert any("zap" in error for error in seen.console_errors)
    assert seen.outside_requests == ["http://example.invalid/x"]
    with pytest.raises(AssertionError):
        seen.assert_sound()


@pytest.mark.browser
@pytest.mark.slow
def test_the_report_of_a_fit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    params, tokens = (part.ravel() for part in np.meshgrid(np.logspace(7, 9, 5), np.logspace(9, 11, 5)))
    loss = (1.8 + 400 * params**-0.34 + 1500 * tokens**-0.37) * np.exp(rng.normal(0, 0.003, 25))
    fitted = fit_law({"params": params, "tokens": tokens, "loss": loss}, bootstrap=50)
    path = write_fit_report(fitted, tmp_path / "fit.html")
    inspect_page(path).assert_sound(at_least=6)
    html = path.read_text()
    for part in (
        "Checks",
        "Parameters",
        "Residuals",
        "Influence",
        "Backtest",
        fitted.runs.sha256,
        "standard error",
    ):
        assert part in html


def test_reports_are_for_what_fit_returns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no report"):
        write_fit_report(object(), tmp_path / "x.html")


def test_text_renders_tables() -> None:
    from scaling.report import Canvas

    assert "<table>" in Text("| a | b |\n| - | - |\n| 1 | 2 |").html(Canvas())


@pytest.mark.parametrize("method", ["pooled", "step-law"])
def test_the_report_of_a_sweep(tmp_path: Path, method: str) -> None:
    generator = np.random.default_rng(0)
    rows = []
    for params in (1e8, 4e8):
        for tokens in (2e9, 8e9):
            for lr, batch in zip(*(2.0 ** generator.uniform(-2.5, 2.5, (2, 30))), strict=True):
                excess = 0.006 * np.log2(lr) ** 2 + 0.004 * np.log2(batch) ** 2
                level = 1.7 + 400 / params**0.34 + 410 / tokens**0.28
                lr_here = 3e-3 * lr * (params / 2e8) ** -0.5
                rows.append([params, tokens, lr_here, 2e5 * batch, level * np.exp(excess)])
    names = ["params", "tokens", "lr", "batch_size", "loss"]
    fitted = fit_sweep(pd.DataFrame(rows, columns=names), method=method, bootstrap=0)
    html = write_fit_report(fitted, tmp_path / "sweep.html").read_text(encoding="utf-8")
    for part in ("Optimum over sizes", "Parameters", "All 4 cells", f"--method {method}"):
        assert part in html
    assert ("Plateau" in html) == (method == "pooled")
