"""Learning rate and batch size for larger models: the pooled model and planned runs, replayed on Step Law's sweep."""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

import scaling
from benchmarks.sweep_surface import Surface, surface
from scaling.datasets import data_path
from scaling.planning import choose, initial_design, plan
from scaling.published import LAWS
from scaling.runs import load_runs
from scaling.sweep.pooled import fit_pooled
from scaling.sweep.table import build_sweep

Array = NDArray[np.float64]

FILE = "steplaw_lr_batch_small.csv"
HERE = Path(__file__).parent
CACHE = HERE / "cache" / "lr_batch"
CHEAP, TEST = 6.5e18, 3e19
SWEEP_FLOPS = 2.43e23
RUNS, BUDGET, FIRST, ROUND = 150, 3.6e20, 30, 24
TARGET = {"params": 1e9, "tokens": 1e11}
ALONE = "no offset shared by cells of one model size"
FIXED = (131072.0, 262144.0, 524288.0, 1048576.0, 2097152.0)


class Data:
    """The sweep, its cells in order of compute, and the surface of each."""

    def __init__(self) -> None:
        self.frame = load_runs(
            data_path(FILE), columns={"batch_size": "batch_size_tokens"}, require=("lr", "batch_size")
        ).frame
        self.frame["flops"] = 6.0 * self.frame["params"] * self.frame["tokens"]
        self.frame["cell"] = self.frame.groupby(["flops", "params", "tokens"], sort=True).ngroup()
        self.cells = self.frame.groupby("cell").first()
        self.surfaces: dict[int, Surface] = {}
        self.slices: dict[int, Surface] = {}
        kept = CACHE / "surfaces.pickle"
        if kept.is_file():
            self.surfaces, self.slices = pickle.loads(kept.read_bytes())
        for cell, rows in self.frame.groupby("cell"):
            if int(cell) in self.slices:
                continue
            columns = [rows[name].to_numpy() for name in ("lr", "batch_size", "loss")]
            self.surfaces[int(cell)] = surface(*columns)
            best = rows.groupby(rows["batch_size"].round())["loss"].transform("min").to_numpy()
            near = (columns[2] <= 1.02 * best) & (columns[2] <= 1.06 * columns[2].min())
            self.slices[int(cell)] = surface(*columns, keep=near)
        kept.write_bytes(pickle.dumps((self.surfaces, self.slices)))
        flops = self.cells["flops"]
        self.cheap = [int(cell) for cell in self.cells.index[flops <= CHEAP]]
        self.test = [int(cell) for cell in self.cells.index[flops >= TEST]]

    def rows(self, cells: list[int]) -> Any:
        """Runs of some cells."""
        return self.frame[self.frame["cell"].isin(cells)].reset_index(drop=True)

    def size(self, cell: int) -> dict[str, float]:
        """Inputs of a cell."""
        return {name: float(self.cells.loc[cell, name]) for name in ("params", "tokens")}

    def gaps(self, law: Any, cells: list[int]) -> Array:
        """Gap and nearest-grid gap, per cent. Shape ``(cells, 2)``."""
        found = []
        for cell in cells:
            said = law.answer(self.size(cell))["predictions"]
            at = np.log2([said["lr"]["value"], said["batch_size"]["value"]])
            found.append((self.surfaces[cell].gap(at), self.surfaces[cell].grid_gap(at)))
        return 100.0 * np.array(found)


def _interval(values: Array) -> list[float]:
    return [float(np.quantile(values, tail)) for tail in (0.05, 0.95)]


def _summary(gaps: Array) -> dict[str, Any]:
    return {"mean": float(gaps[:, 0].mean()), "max": float(gaps[:, 0].max()), "grid_mean": float(gaps[:, 1].mean()),
            "cells": gaps[:, 0].round(4).tolist()}  # fmt: skip


def transfer(data: Data, quick: bool) -> dict[str, Any]:
    """Fit on the cheap cells, score on the test cells; beside it Step Law's rule and its published law."""
    train = data.rows(data.cheap)
    pooled = scaling.fit(train, law="lr-batch", level=False, joint=False)
    rule = scaling.fit(train, law="lr-batch", method="step-law")
    published = LAWS["step-law"]
    result = {
        "train_runs": len(train),
        "train_flops_share": float(train["flops"].sum() / SWEEP_FLOPS),
        "pooled": _summary(data.gaps(pooled, data.test)),
        "pooled_no_bend": _summary(
            data.gaps(scaling.fit(train, law="lr-batch", bend=False, level=False, joint=False), data.test)
        ),
        "step_law_rule": _summary(data.gaps(rule, data.test)),
        "step_law_published": _summary(data.gaps(published, data.test)),
        "pooled_fitted_to_all": _summary(
            data.gaps(scaling.fit(data.frame, law="lr-batch", level=False, joint=False), data.test)
        ),
    }
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
    result["pooled"]["interval"] = _interval(np.array(pooled_means))
    result["step_law_rule"]["interval"] = _interval(np.array(rule_means))
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
    for name, options in {"used": {}, "no bend": {"bend": False}, ALONE: {}}.items():
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
    laws = [_replay(data, pool, seed)[1] for seed in range(4 if quick else 24)]
    for name, chosen in (
        ("planned", laws),
        ("planned, " + ALONE, [replace(law, shared=None) for law in laws]),
    ):
        gaps = [float(data.gaps(law, scored)[:, 0].mean()) for law in chosen]
        result[name] = {"median": float(np.median(gaps)), "p90": float(np.quantile(gaps, 0.9))}
    return result


def _replay(data: Data, pool: Any, seed: int) -> tuple[list[int], Any]:
    cost = pool["flops"].to_numpy()
    have = [int(row) for row in initial_design(pool, FIRST, budget_flops=BUDGET * FIRST / RUNS, seed=seed)]
    while len(have) < RUNS:
        rest = np.setdiff1d(np.arange(len(pool)), have)
        left = BUDGET - cost[have].sum()
        count = min(ROUND, RUNS - len(have))
        budget = min(left, 1.3 * left * count / (RUNS - len(have)))
        if budget < cost[rest].min():
            break
        fit = fit_pooled(build_sweep(load_runs(pool.iloc[have])))
        chosen, *_ = choose(fit, pool.iloc[rest], TARGET, budget_flops=budget, batch=count)
        have += [int(rest[row]) for row in chosen]
    return have, scaling.fit(pool.iloc[have], law="lr-batch", bootstrap=0, level=False, joint=False)


def _random(pool: Any, seed: int) -> tuple[list[int], Any]:
    cost = pool["flops"].to_numpy()
    have: list[int] = []
    spent = 0.0
    for row in np.random.default_rng(seed).permutation(np.flatnonzero(cost <= CHEAP)):
        if len(have) < RUNS and spent + cost[row] <= BUDGET:
            have.append(int(row))
            spent += cost[row]
    return have, scaling.fit(pool.iloc[have], law="lr-batch", bootstrap=0, level=False, joint=False)


def planned(data: Data, quick: bool) -> dict[str, Any]:
    """Replays of `scaling plan` on the pool of runs below the test cells, beside random choice at the same budget."""
    pool = data.rows([int(cell) for cell in data.cells.index[data.cells["flops"] < TEST]])
    result: dict[str, Any] = {"runs_at_most": RUNS, "budget_flops": BUDGET, "target": TARGET}
    for name, choice in (
        ("plan", lambda seed: _replay(data, pool, seed)),
        ("random", lambda seed: _random(pool, seed)),
    ):
        means, maxima, counts, spent, grid = [], [], [], [], []
        for seed in range(4 if quick else 24):
            have, law = choice(seed)
            gaps = data.gaps(law, data.test)
            means.append(float(gaps[:, 0].mean()))
            maxima.append(float(gaps[:, 0].max()))
            grid.append(float(gaps[:, 1].mean()))
            counts.append(len(have))
            spent.append(float(pool["flops"].to_numpy()[have].sum()))
        result[name] = {
            "replays": len(means), "median": float(np.median(means)), "p90": float(np.quantile(means, 0.9)),
            "median_grid": float(np.median(grid)), "median_max": float(np.median(maxima)),
            "runs": float(np.mean(counts)), "flops": float(np.mean(spent)), "flops_most": float(np.max(spent)),
        }  # fmt: skip
    return result


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


def coverage(data: Data, quick: bool) -> dict[str, Any]:
    """Do 90 % intervals cover the surface's optimum of each cell, when that cell is left out?"""
    result: dict[str, Any] = {}
    every = list(range(len(data.cells)))
    for name, cells in {"all cells": every, "cheap cells": data.cheap}.items():
        hit = {"lr": [], "batch_size": []}  # type: dict[str, list[bool]]
        width = {"lr": [], "batch_size": []}  # type: dict[str, list[float]]
        for left_out in cells[:: 4 if quick else 1]:
            law = scaling.fit(
                data.rows([cell for cell in cells if cell != left_out]),
                law="lr-batch",
                level=False,
                joint=False,
            )
            said = law.answer(data.size(left_out), level=0.9)["predictions"]
            for column, hyper in enumerate(hit):
                low, high = np.log2(said[hyper]["low"]), np.log2(said[hyper]["high"])
                hit[hyper].append(bool(low <= data.surfaces[left_out].best_at[column] <= high))
                width[hyper].append(float(high - low))
        result[name] = {hyper: {"coverage": float(np.mean(hit[hyper])), "cells": len(hit[hyper]),
                                "octaves": float(np.mean(width[hyper]))} for hyper in hit}  # fmt: skip
    return result


def loss_prediction(data: Data, quick: bool) -> dict[str, Any]:
    """R^2 of the loss of every run of the largest cell, predicted from other cells' runs (joint mode)."""
    largest = len(data.cells) - 1
    held, rest = data.rows([largest]), data.frame[data.frame["cell"] != largest]
    result: dict[str, Any] = {"runs_predicted": len(held)}
    for share in (0.1, 1.0):
        scores, sane = [], []
        for seed in range((2 if quick else 4) if share < 1 else 1):
            train = rest if share == 1.0 else rest.sample(frac=share, random_state=seed)
            law = scaling.fit(train, law="lr-batch", bootstrap=0)
            size = data.size(largest)
            d = np.log2(held[["lr", "batch_size"]].to_numpy()) - law.centre(size)[0]
            x = np.broadcast_to(law.position(size), (len(d), len(law.inputs)))
            # The same as `law.answer` with every hyperparameter held, for all runs at once.
            said = np.exp(
                law.level.log_loss(size, 0.9)[0] + np.maximum(law.walls.excess(law.basin, d, x), 0.0)
            )
            loss = held["loss"].to_numpy()
            scores.append(_r2(loss, said))
            near = loss <= 1.05 * loss.min()
            sane.append(_r2(loss[near], said[near]))
        result[f"{share:.0%}"] = {"r2": float(np.median(scores)), "r2_worst": float(np.min(scores)),
                                  "r2_within_5_percent": float(np.median(sane)), "draws": len(scores)}  # fmt: skip
    return result


def _r2(measured: Array, said: Array) -> float:
    return float(1.0 - ((measured - said) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())


def speed(data: Data, quick: bool) -> dict[str, Any]:
    """Processor and wall time of a fit of the whole sweep with 1,000 bootstraps, and of a plan of 32 runs."""
    result: dict[str, Any] = {}
    jobs: dict[str, Callable[[], Any]] = {
        "fit_1000_bootstraps": lambda: scaling.fit(data.frame, law="lr-batch", bootstrap=1000),
        "plan_32_runs": lambda: plan(
            data.frame, target_params=7e9, target_tokens=1.4e12, budget_flops=1e21, batch=32
        ),
    }
    for name, job in jobs.items():
        times = []
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            job()
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        result[name] = {"wall_s": min(t[0] for t in times), "cpu_s": min(t[1] for t in times)}
    result["runs"] = len(data.frame)
    return result


PARTS: dict[str, Callable[[Data, bool], dict[str, Any]]] = {
    "transfer": transfer, "form": form, "planned": planned, "fixed_batch": fixed_batch, "coverage": coverage,
    "loss_prediction": loss_prediction, "speed": speed,
}  # fmt: skip


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Few replicates; writes no result.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what the cache holds.")] = False,
) -> None:
    """Measure every part; parts that are in the cache are not measured again."""
    CACHE.mkdir(parents=True, exist_ok=True)
    data = Data()
    results: dict[str, Any] = {}
    for name, part in PARTS.items():
        cached = CACHE / f"{name}{'-quick' if quick else ''}.json"
        if cached.is_file() and not fresh:
            results[name] = json.loads(cached.read_text())
            continue
        start = time.perf_counter()
        results[name] = part(data, quick)
        results[name]["seconds"] = round(time.perf_counter() - start, 1)
        _write(cached, json.dumps(results[name], indent=1))
        print(f"{name}: {results[name]['seconds']} s", flush=True)
    print(_table(results))
    if not quick:
        (HERE / "results").mkdir(exist_ok=True)
        _write(HERE / "results" / "lr_batch.json", json.dumps(results, indent=1) + "\n")
        _write(HERE / "results" / "lr_batch.md", _table(results))


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def _table(results: dict[str, Any]) -> str:
    """The figures beside what they must reach, as Markdown."""
    t, p, fixed = results["transfer"], results["planned"], results["fixed_batch"]["mean"]
    c, r, s, f = results["coverage"], results["loss_prediction"], results["speed"], results["form"]
    rule, floor, random, law = (
        t["step_law_rule"],
        t["pooled_fitted_to_all"],
        p["random"],
        t["step_law_published"],
    )
    cheap = c["cheap cells"]
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
            _percent(t["pooled"]["max"]),
            "0.15 % or less",
            f"rule {_percent(rule['max'])}; published {_percent(law['max'])}; fitted to all {_percent(floor['max'])}",
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
            f"without the bend {_percent(f['no bend']['mean'])}; without what cells of one model size share "
            f"{_percent(f[ALONE]['mean'])}; rule {_percent(f['step-law rule']['mean'])}",
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
            f"on runs within 5 % of the best {r['100%']['r2_within_5_percent']:.3f}; the rest diverge",
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


if __name__ == "__main__":
    typer.run(main)
