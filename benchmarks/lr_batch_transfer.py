"""How well the pooled model, fitted on cheap cells, predicts the optimum of dear ones; and how its form was chosen."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import statsmodels.api as sm

import scaling
from benchmarks.lr_batch_data import SWEEP_FLOPS, TEST, Data, interval, summary
from benchmarks.lr_batch_planned import replay
from scaling.published import LAWS
from scaling.sweep.features import FEW_TOKENS, SHORT_TRAINING
from scaling.sweep.problem import Prior

__all__ = ["ALONE", "FEW", "fixed_batch", "form", "transfer"]

ALONE = "no offset shared by cells of one model size"
FEW = "few tokens as the only bend"
#: The one bend there was before, shrunk towards none.
FEW_ONLY = Prior(bends={"other": {FEW_TOKENS: (0.0, 0.2)}})
#: Tokens between which the growth of the best batch is looked at.
LENGTHS = (2e9, 4e9, 8e9, 2.84e10)
FIXED = (131072.0, 262144.0, 524288.0, 1048576.0, 2097152.0)


def transfer(data: Data, quick: bool) -> dict[str, Any]:
    """Fit on the cheap cells, score on the test cells; beside it Step Law's rule and its published law."""
    train = data.rows(data.cheap)
    pooled = scaling.fit(train, law="lr-batch", level=False, joint=False)
    rule = scaling.fit(train, law="lr-batch", method="step-law")
    published = LAWS["step-law"]
    result = {
        "train_runs": len(train),
        "train_flops_share": float(train["flops"].sum() / SWEEP_FLOPS),
        "pooled": summary(data.gaps(pooled, data.test)),
        "pooled_no_bend": summary(
            data.gaps(scaling.fit(train, law="lr-batch", bend=False, level=False, joint=False), data.test)
        ),
        "pooled_few_tokens_only": summary(
            data.gaps(
                scaling.fit(train, law="lr-batch", prior=FEW_ONLY, bootstrap=0, level=False, joint=False),
                data.test,
            )
        ),
        "step_law_rule": summary(data.gaps(rule, data.test)),
        "step_law_published": summary(data.gaps(published, data.test)),
        "pooled_fitted_to_all": summary(
            data.gaps(scaling.fit(data.frame, law="lr-batch", level=False, joint=False), data.test)
        ),
    }
    result["pooled"]["errors"] = data.gap_errors(pooled, data.test).round(4).tolist()
    alike = [100.0 * one.gap(data.said(pooled, cell)) for cell, one in data.alike(data.test).items()]
    result["pooled_same_ranges"] = {"mean": float(np.mean(alike)), "max": float(np.max(alike))}
    argmin = [
        data.surfaces[cell].gap(data.surfaces[cell].all_x[np.argmin(data.surfaces[cell].all_loss)])
        for cell in data.test
    ]
    result["grid_argmin"] = {"mean": 100 * float(np.mean(argmin))}
    generator = np.random.default_rng(0)
    pooled_means, rule_means = [], []
    for _ in range(20 if quick else 60):
        again = train.groupby("cell", group_keys=False).sample(
            frac=1.0, replace=True, random_state=generator.integers(2**31)
        )
        pick = generator.integers(len(data.test), size=len(data.test))
        cells = [data.test[index] for index in pick]
        pooled_means.append(
            data.gaps(scaling.fit(again, law="lr-batch", bootstrap=0, level=False, joint=False), cells)[
                :, 0
            ].mean()
        )
        rule_means.append(
            data.gaps(scaling.fit(again, law="lr-batch", method="step-law"), cells)[:, 0].mean()
        )
    result["pooled"]["interval"] = interval(np.array(pooled_means))
    result["step_law_rule"]["interval"] = interval(np.array(rule_means))
    result["pooled_better_share"] = float(np.mean(np.array(pooled_means) < np.array(rule_means)))
    return result


def form(data: Data, quick: bool) -> dict[str, Any]:
    """The choice of form, on smaller cells only: fit below a cut, score above it and below the test cells."""
    cuts = (6, 9, 12, 14, 17)
    result: dict[str, Any] = {
        "cut_after_cells": list(cuts),
        "scored_on": f"cells above the cut and below {TEST:g} FLOP",
    }
    below = list(range(data.test[0]))
    for name, options in {
        "used": {},
        "no bend": {"bend": False},
        FEW: {"prior": FEW_ONLY},
        ALONE: {},
    }.items():
        means = []
        for cut in cuts[:2] if quick else cuts:
            law = scaling.fit(
                data.rows(list(range(cut))), law="lr-batch", level=False, joint=False, bootstrap=0, **options
            )
            law = replace(law, shared=None) if name == ALONE else law
            means.append(float(data.gaps(law, below[cut:])[:, 0].mean()))
        result[name] = {"means": means, "mean": float(np.mean(means))}
    rule = []
    for cut in cuts[:2] if quick else cuts:
        law = scaling.fit(data.rows(list(range(cut))), law="lr-batch", method="step-law")
        rule.append(float(data.gaps(law, below[cut:])[:, 0].mean()))
    result["step-law rule"] = {"means": rule, "mean": float(np.mean(rule))}
    pool, scored = data.rows(data.cheap), below[len(data.cheap) :]
    laws = [replay(data, pool, seed)[1] for seed in range(4 if quick else 24)]
    for name, chosen in (
        ("planned", laws),
        ("planned, " + ALONE, [replace(law, shared=None) for law in laws]),
    ):
        gaps = [float(data.gaps(law, scored)[:, 0].mean()) for law in chosen]
        result[name] = {"median": float(np.median(gaps)), "p90": float(np.quantile(gaps, 0.9))}
    result["growth"], result["bends"] = growth(data), vague_bends(data)
    return result


def vague_bends(data: Data) -> dict[str, dict[str, list[float]]]:
    """Exponents of the bends, and their errors, that a vague prior of both hyperparameters finds on smaller cells."""
    vague = {FEW_TOKENS: (0.0, 1.0), SHORT_TRAINING: (0.0, 1.0)}
    rows = data.rows(list(range(data.test[0])))
    law = scaling.fit(
        rows, law="lr-batch", prior=Prior(bends={"other": vague}), bootstrap=0, level=False, joint=False
    )
    return {
        hyper.name: {
            name: [float(hyper.beta[at]), float(hyper.covariance[at, at] ** 0.5)]
            for at, name in enumerate(hyper.features)
            if name in vague
        }
        for hyper in law.hypers
    }


def growth(data: Data) -> list[dict[str, float]]:
    """Exponent of the best batch size in tokens, by length of training; each model size has its own level."""
    cells = list(data.surfaces)
    params, tokens = (data.cells.loc[cells, name].to_numpy(dtype=float) for name in ("params", "tokens"))
    batch = np.array([data.surfaces[cell].best_at[1] for cell in cells])
    found = []
    for low, high in pairwise(LENGTHS):
        among = (tokens > 0.99 * low) & (tokens < 1.01 * high)
        sizes = (params[among, None] == np.unique(params[among])).astype(float)
        fit = sm.OLS(batch[among], np.column_stack([np.log2(tokens[among]), sizes])).fit()
        slope, error = float(fit.params[0]), float(fit.bse[0])
        found.append({"from": low, "to": high, "exponent": slope, "error": error, "cells": int(among.sum())})
    return found


def fixed_batch(data: Data, quick: bool) -> dict[str, Any]:
    """Best learning rate at a given batch size, on the test cells that measured that batch size."""
    pooled = scaling.fit(data.rows(data.cheap), law="lr-batch", level=False)
    everything = scaling.fit(data.frame, law="lr-batch", level=False)
    published = LAWS["step-law"]
    result: dict[str, Any] = {}
    for batch in FIXED:
        found: dict[str, list[float]] = {"pooled": [], "pooled_fitted_to_all": [], "step_law_published": []}
        for cell in data.test:
            have = data.slices[cell].x[:, 1]
            if np.abs(have - np.log2(batch)).min() > 0.05:
                continue
            inputs = {**data.size(cell), "batch_size": batch}
            for name, law in (
                ("pooled", pooled),
                ("pooled_fitted_to_all", everything),
                ("step_law_published", published),
            ):
                lr = law.answer(inputs)["predictions"]["lr"]["value"]
                found[name].append(
                    100 * data.slices[cell].slice_gap(float(np.log2(lr)), float(np.log2(batch)))
                )
        result[f"{batch:.0f}"] = {
            "cells": len(found["pooled"]),
            **{name: float(np.mean(gap)) for name, gap in found.items()},
        }
    weights = np.array([entry["cells"] for entry in result.values()], dtype=float)
    result["mean"] = {
        name: float(np.average([entry[name] for entry in result.values()], weights=weights))
        for name in ("pooled", "pooled_fitted_to_all", "step_law_published")
    }
    return result
