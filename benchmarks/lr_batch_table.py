"""The learning-rate and batch-size figures beside what they must reach, as Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks.lr_batch_transfer import ALONE, FEW

__all__ = ["table"]


def table(results: dict[str, Any]) -> str:
    """The figures beside what they must reach, as Markdown."""
    t, p, fixed = results["transfer"], results["planned"], results["fixed_batch"]["mean"]
    c, r, s, f = results["coverage"], results["loss_prediction"], results["speed"], results["form"]
    rule, floor, random, law = (
        t["step_law_rule"],
        t["pooled_fitted_to_all"],
        p["random"],
        t["step_law_published"],
    )
    largest, unsure = max(zip(t["pooled"]["cells"], t["pooled"]["errors"], strict=True))
    cheap, others = c["cheap cells"], r["other test cells"]
    rows = [
        (
            f"fitted on {t['train_runs']} runs of cells to 6.5e18 FLOP: mean gap on the test cells",
            _percent(t["pooled"]["mean"], t["pooled"]["interval"]),
            "0.05 % or less",
            f"Step Law's rule on the same runs {_percent(rule['mean'], rule['interval'])}; Step Law as published "
            f"{_percent(law['mean'])}; the pooled model fitted to all cells, these too, {_percent(floor['mean'])}",
        ),
        (
            "largest gap",
            f"{_percent(largest)} (± {unsure:.3f} by its own surface)",
            "0.15 % or less",
            f"on surfaces whose ranges are the same for all cells {_percent(t['pooled_same_ranges']['max'])} (mean "
            f"{_percent(t['pooled_same_ranges']['mean'])}); rule {_percent(rule['max'])}; published "
            f"{_percent(law['max'])}; fitted to all {_percent(floor['max'])}",
        ),
        (
            "nearest-grid gap, mean",
            _percent(t["pooled"]["grid_mean"]),
            "",
            f"rule {_percent(rule['grid_mean'])}; the grid's own argmin, on the surface, "
            f"{_percent(t['grid_argmin']['mean'])}",
        ),
        (
            "choice of form, on smaller cells alone: mean gap",
            _percent(f["used"]["mean"]),
            "",
            f"with few tokens as the only bend {_percent(f[FEW]['mean'])}; without any "
            f"{_percent(f['no bend']['mean'])}; without what cells of one model size share "
            f"{_percent(f[ALONE]['mean'])}; rule {_percent(f['step-law rule']['mean'])}",
        ),
        (
            "exponent of the best batch in tokens, cells of one model size compared",
            ", ".join(f"{one['exponent']:.2f} ± {one['error']:.2f}" for one in f["growth"]),
            "",
            "from "
            + ", ".join(f"{one['from'] / 1e9:.0f} to {one['to'] / 1e9:.0f}" for one in f["growth"])
            + " billion tokens",
        ),
        (
            "exponents of the two bends by a vague prior, smaller cells alone",
            "; ".join(
                f"{name.replace('_', ' ')} "
                + ", ".join(f"{value:.2f} ± {error:.2f}" for value, error in one.values())
                for name, one in f["bends"].items()
            ),
            "",
            "few tokens, short training",
        ),
        (
            "planned runs, on smaller cells alone: median gap (90th percentile)",
            f"{_percent(f['planned']['median'])} ({f['planned']['p90']:.3f} %)",
            "",
            f"without what cells of one model size share {_percent(f['planned, ' + ALONE]['median'])} "
            f"({f['planned, ' + ALONE]['p90']:.3f} %)",
        ),
        (
            f"planned runs ({p['plan']['runs']:.0f} runs, {p['plan']['flops']:.2e} FLOP): median gap over "
            f"{p['plan']['replays']} replays",
            _percent(p["plan"]["median"]),
            "0.05 % or less",
            f"random choice ({random['runs']:.0f} runs, {random['flops']:.2e} FLOP) {_percent(random['median'])}",
        ),
        (
            "90th percentile",
            _percent(p["plan"]["p90"]),
            "0.08 % or less",
            f"random {_percent(random['p90'])}",
        ),
        (
            "best learning rate at a fixed batch of 131k to 2M: mean excess",
            _percent(fixed["pooled"]),
            "0.05 % or less",
            f"Step Law's learning rate {_percent(fixed['step_law_published'])}; fitted to all "
            f"{_percent(fixed['pooled_fitted_to_all'])}",
        ),
        *(
            (
                f"90 % interval of {name} covers a cell left out",
                f"{c['all cells'][hyper]['coverage']:.0%}",
                "85 to 95 %",
                f"{c['all cells'][hyper]['octaves']:.2f} octaves; cheap cells alone {cheap[hyper]['coverage']:.0%}",
            )
            for name, hyper in (("the learning rate", "lr"), ("the batch size", "batch_size"))
        ),
        (
            "loss of the largest cell from 10 % of the other runs: R2",
            f"{r['10%']['r2']:.3f}",
            "0.8 or more",
            f"worst of {r['10%']['draws']} draws {r['10%']['r2_worst']:.3f}",
        ),
        (
            "the same from all other runs",
            f"{r['100%']['r2']:.3f}",
            "0.95 or more",
            f"each run from the {r['runs_predicted'] - 1} others of that cell, by a Gaussian process: "
            f"{r['its own other runs']['r2']:.3f}; fitted to all runs, its own too: "
            f"{r['all runs, its own too']['r2']:.3f}; on runs within 5 % of the best "
            f"{r['100%']['r2_within_5_percent']:.3f}; the rest diverge. Other test cells left out in turn: mean "
            f"{others['mean']:.3f}, least {others['least']:.3f}",
        ),
        (
            f"fit of {s['runs']} runs with 1,000 bootstraps",
            f"{s['fit_1000_bootstraps']['wall_s']:.1f} s",
            "10 s or less",
            f"{s['fit_1000_bootstraps']['cpu_s']:.1f} s of processor time",
        ),
        (
            "plan of 32 runs",
            f"{s['plan_32_runs']['wall_s']:.1f} s",
            "10 s or less",
            f"{s['plan_32_runs']['cpu_s']:.1f} s of processor time",
        ),
    ]
    lines = ["| what | measured | to reach | beside it |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _percent(value: float, interval: list[float] | None = None) -> str:
    text = f"{value:.3f} %"
    return text if interval is None else f"{text} ({interval[0]:.3f} to {interval[1]:.3f})"
