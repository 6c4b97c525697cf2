"""Which hyperparameters mattered: importance, slices, and a map of two of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hpo.report import figures
from hpo.report.words import configuration
from scaling.errors import ForetuneError
from scaling.report import Columns, Figure, Table, Text
from scaling.report.numbers import percent
from scaling.report.theme import COLOURS

if TYPE_CHECKING:
    from hpo.study import Scale

__all__ = ["parameter_blocks"]

#: Fewer configurations than this say nothing about importance.
FEWEST = 8


def parameter_blocks(scale: Scale, metric: str) -> list[Any]:
    """Slices by parameter, the map where there are two numbers, and the best configurations."""
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState

    trials = [
        trial
        for trial in scale.tuning.trials()
        if trial.state == TrialState.COMPLETE and trial.value is not None
    ]
    if len(trials) < 3:
        return []
    try:
        chosen = scale.incumbent.config
    except ForetuneError:
        chosen = {}
    names = [name for name in trials[0].distributions if all(name in trial.params for trial in trials)]
    plots = []
    for name in names:
        distribution = trials[0].distributions[name]
        figure = figures.slices(
            name,
            [trial.params[name] for trial in trials],
            [trial.value if trial.value is not None else math.nan for trial in trials],
            metric,
            log=bool(getattr(distribution, "log", False)),
            chosen=chosen.get(name),
            categorical=isinstance(distribution, CategoricalDistribution),
        )
        plots.append(
            Figure(figure, f"`{name}`: mean over seeds of each configuration; dotted, the chosen value.")
        )
    blocks: list[Any] = [Columns(plots[i : i + 2]) for i in range(0, len(plots), 2)]
    numbers = [
        name for name in names if not isinstance(trials[0].distributions[name], CategoricalDistribution)
    ]
    if len(numbers) == 2:
        blocks.insert(
            0,
            Figure(_map(trials, numbers, chosen, metric), f"{metric} over both; the star is the incumbent."),
        )
    blocks += _importance(scale, len(trials))
    sign = 1.0 if scale.direction == "minimize" else -1.0
    ranked = sorted(trials, key=lambda trial: sign * float(trial.value or 0.0))[:10]
    rows = [[trial.number, configuration(trial.params), float(trial.value or 0.0)] for trial in ranked]
    blocks.append(
        Table(
            ["configuration", "values", f"mean {metric}"], rows, "The best ten by their mean on tuning seeds."
        )
    )
    return blocks


def _map(trials: Any, names: list[str], chosen: dict[str, Any], metric: str) -> Any:
    import plotly.graph_objects as go

    first, second = names
    distributions = trials[0].distributions
    figure = go.Figure()
    figure.add_scatter(
        x=[trial.params[first] for trial in trials],
        y=[trial.params[second] for trial in trials],
        mode="markers",
        showlegend=False,
        marker={
            "size": 13,
            "color": [trial.value for trial in trials],
            "colorscale": "Viridis",
            "colorbar": {"title": {"text": metric, "side": "right"}, "thickness": 12, "outlinewidth": 0},
        },
        hovertemplate=f"{first} %{{x:.4g}}, {second} %{{y:.4g}}: %{{marker.color:.5g}}<extra></extra>",
    )
    if first in chosen and second in chosen:
        star = {"symbol": "star-open", "size": 22, "color": COLOURS["law"], "line": {"width": 2.5}}
        figure.add_scatter(
            x=[chosen[first]],
            y=[chosen[second]],
            mode="markers",
            marker=star,
            showlegend=False,
            name="incumbent",
        )
    figure.update_xaxes(
        title_text=first, type="log" if getattr(distributions[first], "log", False) else "linear"
    )
    figure.update_yaxes(
        title_text=second, type="log" if getattr(distributions[second], "log", False) else "linear"
    )
    return figure


def _importance(scale: Scale, trials: int) -> list[Any]:
    if trials < FEWEST:
        return [Text(f"{trials} configurations are too few to say which hyperparameter mattered most.")]
    import optuna

    try:
        found = optuna.importance.get_param_importances(
            scale.tuning.study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    except (
        ValueError,
        RuntimeError,
    ) as error:  # every configuration alike, or parameters that few have in common
        return [Text(f"Importance cannot be told here: {error}")]
    rows = [[name, percent(share)] for name, share in found.items()]
    caption = (
        f"Share of the difference between good configurations and all (PED-ANOVA, Watanabe et al. 2023), of {trials}; "
        "a rough guide at this number."
    )
    return [Table(["hyperparameter", "importance"], rows, caption)]
