"""House colours and plotly templates, one for light pages and one for dark ones.

Colours are Okabe and Ito's eight, which people with any form of colour blindness can tell apart (Okabe & Ito 2008,
"Color Universal Design"); the order puts the pair that differs most first. Yellow and black are left out: they vanish
on one of the two backgrounds.
"""

from __future__ import annotations

from typing import Any

__all__ = ["COLOURS", "ON_DARK", "SEQUENCE", "faded", "template"]

#: What each colour stands for, so that all figures use it alike.
COLOURS = {
    "measured": "#0072B2",
    "law": "#D55E00",
    "held_out": "#009E73",
    "other": "#CC79A7",
    "baseline": "#E69F00",
    "light": "#56B4E9",
    "muted": "#858d97",
}
SEQUENCE = tuple(COLOURS.values())
#: Lighter stand-ins that the page's script uses on a dark ground, where the originals are hard to see.
ON_DARK = {"#0072B2": "#459fdb", "#D55E00": "#f0803c", "#009E73": "#2fbf95", "#858d97": "#98a2ad"}

_INK = {"light": "#1d2530", "dark": "#dfe5ec"}
_GRID = {"light": "#e6e9ee", "dark": "#2b333d"}
_AXIS = {"light": "#b3bac4", "dark": "#4b5663"}
_HOVER = {"light": "#ffffff", "dark": "#1c232c"}
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif'


def faded(colour: str, opacity: float = 0.18) -> str:
    """``colour`` (``#rrggbb``) as rgba, for bands behind lines."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def template(scheme: str = "light") -> dict[str, Any]:
    """The plotly template of a colour scheme, ``light`` or ``dark``: transparent ground, quiet grid, house colours."""
    ink, grid, line = _INK[scheme], _GRID[scheme], _AXIS[scheme]
    axis = {
        "automargin": True,
        "gridcolor": grid,
        "linecolor": line,
        "showline": True,
        "ticks": "outside",
        "tickcolor": line,
        "ticklen": 4,
        "zeroline": False,
        "exponentformat": "power",
        "title": {"standoff": 8},
    }
    return {
        "layout": {
            "colorway": list(SEQUENCE),
            "colorscale": {
                "sequential": "Viridis" if scheme == "light" else "Cividis",
                "diverging": [
                    [0, "#0072B2"],
                    [0.5, "#f3f3f3" if scheme == "light" else "#20262e"],
                    [1, "#D55E00"],
                ],
            },
            "font": {"family": FONT, "size": 13, "color": ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 56, "r": 16, "t": 24, "b": 48},
            "hovermode": "closest",
            "hoverlabel": {
                "bgcolor": _HOVER[scheme],
                "bordercolor": line,
                "font": {"family": FONT, "color": ink},
            },
            "legend": {
                "orientation": "h",
                "yanchor": "bottom",
                "y": 1.02,
                "x": 0,
                "bgcolor": "rgba(0,0,0,0)",
            },
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": line, "activecolor": ink},
            "title": {"font": {"size": 15}, "x": 0, "xanchor": "left"},
            "xaxis": axis,
            "yaxis": axis,
            "annotationdefaults": {"font": {"color": ink}, "arrowcolor": line},
        }
    }
