"""`scaling laws`."""

from __future__ import annotations

from typing import Any

from scaling.cli.options import AsJson
from scaling.terminal import echo_json, table

__all__ = ["laws"]


def laws(as_json: AsJson = False) -> None:
    """Every law known, fitted or published, with its citation."""
    from scaling.published import LAWS

    published = [law.to_dict() for law in LAWS.values()]
    fitted = [*_fitted(), _LR_BATCH]
    if as_json:
        echo_json({"fitted": fitted, "published": published})
        return
    table(
        "Laws that `scaling fit --law NAME` fits to your runs",
        ("name", "formula", "citation"),
        [(law["name"], law["formula"], law["citation"]) for law in fitted],
    )
    table(
        "Published laws that `scaling predict NAME` answers with",
        ("name", "formulas", "fitted on", "citation"),
        [
            (
                law["name"],
                "\n".join(f"{output} = {text}" for output, text in law["formulas"].items()),
                "\n".join(f"{name} {low:.2g} to {high:.2g}" for name, (low, high) in law["ranges"].items()),
                law["citation"],
            )
            for law in published
        ],
    )


_LR_BATCH: dict[str, Any] = {
    "name": "lr-batch",
    "kind": "fitted",
    "formula": "lr* = a N^b D^c, batch* = d N^e D^f, in a shared skewed basin of log lr and log batch",
    "inputs": ["params", "tokens", "lr", "batch_size", "loss"],
    "citation": "ours; --method step-law is Li et al. 2025, arXiv:2503.04715",
}


def _fitted() -> list[dict[str, Any]]:
    from scaling import laws as registry

    listed = []
    for name, law in getattr(registry, "LAWS", {}).items():
        listed.append(
            {
                "name": name,
                "kind": "fitted",
                "formula": str(getattr(law, "formula", "")),
                "inputs": list(getattr(law, "inputs", ())),
                "citation": str(getattr(law, "citation", "")),
            }
        )
    return listed
