"""``python -m studies.demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaling.terminal import run_app

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option(help="Where everything is kept; an interrupted demo goes on from it.")
    ] = Path("runs/demo"),
    reduced: Annotated[
        bool, typer.Option(help="Two sizes and few trials, for continuous integration.")
    ] = False,
    engine: Annotated[str, typer.Option(help="ray, or inline for this process.")] = "ray",
) -> None:
    """Tune small, fit the law, predict large, check it: on real training, with a report."""
    from studies.demo import plan
    from studies.demo.drive import run_demo, say
    from studies.demo.findings import summarise
    from studies.demo.report import write_report

    try:
        outcome = run_demo(plan.reduced() if reduced else plan.full(), folder, engine=engine)
    except KeyboardInterrupt:  # typer would end without a word
        say("interrupted; the same command goes on from here")
        raise typer.Exit(130) from None
    say("[bold]5[/]     Write the report")
    findings = summarise(outcome)
    report = write_report(outcome, findings)
    findings.write(folder)
    print(findings.text())
    print(f"\nreport: {report}")


def main() -> None:
    """Run it; exit 2 where the input was wrong, 130 where it was interrupted."""
    run_app(app)


if __name__ == "__main__":
    main()
