"""For maintainers: ``python -m studies.demo.picture runs/demo`` makes the committed picture of a finished demo.

Writes ``docs/images/demo.png`` (with headless Chromium) and puts ``summary.txt`` between the markers
``<!-- demo:begin -->`` and ``<!-- demo:end -->`` of README.md and docs/demo.md. Nobody else needs it: the demo itself
writes its report without a browser.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.errors import ForetuneError, InputError
from scaling.report.theme import template
from scaling.terminal import run_app

if TYPE_CHECKING:
    from studies.demo.drive import Outcome
    from studies.demo.findings import Findings

__all__ = ["draw", "put_summary"]

_ROOT = Path(__file__).resolve().parents[2]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_WIDTH, _HEIGHT = 1320, 860
_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 14px 18px; background: #fff; color: #1c2530; font: 15px/1.45 system-ui, sans-serif; }}
h1 {{ font-size: 21px; margin: 0 0 2px; }} p {{ margin: 0 0 6px; color: #4a5563; }}
main {{ display: grid; grid-template-columns: 800px 470px; gap: 10px; }}
</style><h1>{title}</h1><p>{words}</p><main><div>{left}</div><div>{right}</div></main>"""


def draw(outcome: Outcome, findings: Findings, path: Path) -> None:
    """Write the picture.

    Raises:
        ForetuneError: No Chromium or Chrome is installed, or it did not write the picture.
    """
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise ForetuneError(f"no browser to draw with (looked for {', '.join(_BROWSERS)})")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="foretune-picture-") as folder:
        page = Path(folder) / "picture.html"
        page.write_text(_html(outcome, findings), encoding="utf-8")
        command = [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={folder}/profile", f"--window-size={_WIDTH},{_HEIGHT}",
            "--virtual-time-budget=15000", f"--screenshot={path.resolve()}", page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode or not path.is_file():
        raise ForetuneError(f"{browser} wrote no picture\n{done.stderr[-2000:]}")


def _html(outcome: Outcome, findings: Findings) -> str:
    from scaling.report.numbers import count
    from studies.demo import figures

    sizes = ", ".join(count(scale["params"]) for scale in findings.scales)
    lr, batch = findings.prediction["lr"], findings.prediction["batch_size"]
    title = f"Tuned at {sizes} parameters, predicted at {count(findings.target['params'])}"
    best = f"“{findings.best}”, {findings.verdict}" if findings.gap > 0 else "the prediction"
    words = (
        f"Learning rate {lr['value']:.3g}, batch size {batch['value']:.0f} tokens. "
        f"Best of {len(findings.measured)} trained there: {best}; baseline: {findings.over_baseline:+.2%}."
    )
    drawn = [(figures.landscapes(outcome, findings), 780, 770)]
    drawn += [(figures.law_of(outcome, findings, name), 465, 383) for name in ("lr", "batch_size")]
    parts: list[str] = []
    for figure, width, height in drawn:
        figure.update_layout(template=_template(), width=width, height=height, margin={"t": 60, "b": 44})
        options: dict[str, Any] = {"displayModeBar": False, "staticPlot": True}
        parts.append(figure.to_html(full_html=False, include_plotlyjs=not parts, config=options))
    return _PAGE.format(title=title, words=words, left=parts[0], right="".join(parts[1:]))


def _template() -> Any:
    import plotly.graph_objects as go

    return go.layout.Template(template("light"))


def put_summary(text: str, path: Path) -> bool:
    """Put the ten lines between the markers of a Markdown file; returns whether it has any."""
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    block = f"<!-- demo:begin -->\n```text\n{text.strip()}\n```\n<!-- demo:end -->"
    # Markers stand on lines of their own; prose may speak of them.
    marked = re.compile(r"^<!-- demo:begin -->$.*?^<!-- demo:end -->$", re.DOTALL | re.MULTILINE)
    changed, found = marked.subn(lambda _: block, content)
    if found:
        path.write_text(changed, encoding="utf-8")
    return bool(found)


app = typer.Typer(add_completion=False)


@app.command()
def picture(
    folder: Annotated[Path, typer.Argument(help="Of a finished demo.")] = Path("runs/demo"),
    reduced: Annotated[bool, typer.Option(help="It was a reduced one.")] = False,
    output: Annotated[Path, typer.Option(help="The picture.")] = _ROOT / "docs" / "images" / "demo.png",
) -> None:
    """Make the committed picture, and put the ten lines into README.md and docs/demo.md."""
    from studies.demo import plan
    from studies.demo.drive import run_demo
    from studies.demo.findings import summarise

    if not (folder / "summary.txt").is_file():
        raise InputError(
            "holds no finished demo", source=str(folder), remedy=f"python -m studies.demo --folder {folder}"
        )
    outcome = run_demo(plan.reduced() if reduced else plan.full(), folder, engine="inline", progress=False)
    findings = summarise(outcome)
    draw(outcome, findings, output)
    print(output)
    for page in (_ROOT / "README.md", _ROOT / "docs" / "demo.md"):
        if put_summary(findings.text(), page):
            print(page)


if __name__ == "__main__":
    run_app(app)
