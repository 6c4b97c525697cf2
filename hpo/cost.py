"""What training runs cost: seconds, GPU-seconds, FLOPs, and energy with carbon where the machine lets it be measured.

Nothing is invented. Energy needs a counter (RAPL of the processor, NVML of an NVIDIA GPU); the guess from a
processor's nominal power that codecarbon falls back on is not taken. Carbon needs the country whose grid it was, in
``FORETUNE_COUNTRY`` (ISO code of three letters, such as ``DEU``). Where one of them is missing, so is the number.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hpo.ledger import RunRecord

__all__ = ["Total", "can_measure_energy", "energy_meter", "measure", "total"]

#: Units of what a run's ``cost`` may hold, in the order they are shown.
UNITS = {"gpu_seconds": "GPU-s", "flops": "FLOP", "kwh": "kWh", "kg_co2": "kg CO2eq"}


@contextmanager
def measure(*, gpus: float = 0.0, energy: bool = False) -> Iterator[dict[str, Any]]:
    """Measure what the block costs; the dictionary is filled when it ends, by an error too.

    Args:
        gpus: GPUs that are held meanwhile.
        energy: Whether to measure energy, where that is possible.

    Yields:
        To be filled with ``seconds``, ``cpu_seconds`` (of this process), ``gpu_seconds`` where there are GPUs, and
        where they can be measured ``kwh`` (of the whole machine meanwhile) and ``kg_co2``.
    """
    cost: dict[str, Any] = {}
    stop = energy_meter() if energy else None
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield cost
    finally:
        cost["seconds"] = time.perf_counter() - wall
        cost["cpu_seconds"] = time.process_time() - cpu
        if gpus:
            cost["gpu_seconds"] = cost["seconds"] * gpus
        if stop is not None:
            cost.update(stop())


def can_measure_energy() -> bool:
    """Whether this machine has an energy counter that codecarbon can read."""
    try:
        from codecarbon.core import cpu, gpu
    except ImportError:
        return False
    with suppress(Exception):
        if cpu.is_rapl_available():
            return True
    with suppress(Exception):
        return bool(gpu.is_nvidia_system() and gpu.is_gpu_details_available())
    return False


def energy_meter() -> Callable[[], dict[str, Any]] | None:
    """Start measuring the machine's energy; what is returned ends it and gives ``kwh`` and, of a known grid,
    ``kg_co2``.

    ``None`` where no counter can be read. Nothing is fetched: the carbon intensity is codecarbon's table by country.
    """
    if not can_measure_energy():
        return None
    country = os.environ.get("FORETUNE_COUNTRY")
    try:
        from codecarbon import OfflineEmissionsTracker

        tracker = OfflineEmissionsTracker(
            country_iso_code=country or "USA",  # it wants one; without ours only the energy is taken
            save_to_file=False,
            log_level="critical",
            allow_multiple_runs=True,
        )
        tracker.start()
    except Exception:  # a counter that cannot be read after all: no number
        return None

    def stop() -> dict[str, Any]:
        with suppress(Exception):
            kilograms = tracker.stop()
            found = {"kwh": float(tracker.final_emissions_data.energy_consumed), "energy_scope": "machine"}
            return (
                {**found, "kg_co2": float(kilograms), "country": country} if country and kilograms else found
            )
        return {}

    return stop


@dataclass(frozen=True)
class Total:
    """What many runs cost together.

    Attributes:
        runs: How many.
        seconds: Training time, summed over runs.
        span: Seconds from the first start to the last end.
        amounts: Sum of each known cost, by the keys of :data:`UNITS`.
        known: How many of the runs each amount is of.
        hosts: Where they ran.
        devices: On what.
    """

    runs: int
    seconds: float
    span: float
    amounts: dict[str, float]
    known: dict[str, int]
    hosts: tuple[str, ...]
    devices: tuple[str, ...]

    def describe(self) -> dict[str, str]:
        """Each cost in words, naming the runs that it is not known of."""
        lines = {
            "training time": _duration(self.seconds),
            "from first start to last end": _duration(self.span),
        }
        for key, amount in self.amounts.items():
            part = (
                "" if self.known[key] == self.runs else f" (known for {self.known[key]} of {self.runs} runs)"
            )
            lines[key.replace("_", " ")] = f"{amount:.4g} {UNITS[key]}{part}"
        for key in ("kwh", "kg_co2"):
            if key not in self.amounts:
                lines[key.replace("_", " ")] = "not measured"
        return lines


def total(records: Iterable[RunRecord]) -> Total:
    """Costs of many runs, failed ones included: they were paid for."""
    runs = list(records)
    amounts: dict[str, float] = {}
    known: dict[str, int] = {}
    for key in UNITS:
        having = [run for run in runs if run.cost.get(key) is not None]
        if having:
            known[key] = len(having)
            machine = key in ("kwh", "kg_co2")
            amounts[key] = _shared(having, key) if machine else sum(float(run.cost[key]) for run in having)
    started = [run for run in runs if run.started]
    span = max((run.started + run.seconds for run in started), default=0.0) - min(
        (run.started for run in started), default=0.0
    )
    return Total(
        runs=len(runs),
        seconds=sum(run.seconds for run in runs),
        span=span,
        amounts=amounts,
        known=known,
        hosts=tuple(sorted({str(run.cost["host"]) for run in runs if "host" in run.cost})),
        devices=tuple(sorted({str(run.cost["device"]) for run in runs if "device" in run.cost})),
    )


def _shared(runs: list[RunRecord], key: str) -> float:
    """Energy of machines on which runs overlapped: each run measured the whole machine, so shared time counts
    once.
    """
    by_host: dict[str, list[RunRecord]] = defaultdict(list)
    for run in runs:
        by_host[str(run.cost.get("host"))].append(run)
    spent = 0.0
    for together in by_host.values():
        times = sorted({time for run in together for time in (run.started, run.started + run.seconds)})
        for begin, end in pairwise(times):
            powers = [
                float(run.cost[key]) / run.seconds
                for run in together
                if run.seconds > 0 and run.started <= begin and run.started + run.seconds >= end
            ]
            spent += (end - begin) * sum(powers) / len(powers) if powers else 0.0
    return spent


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h"
