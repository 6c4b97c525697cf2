"""Public measurements to fit laws to: where they lie on this machine, and where their authors published them.

>>> from scaling.datasets import load
>>> runs = load("chinchilla")  # doctest: +SKIP

None of it belongs to Foretune: each set says whose it is and under which licence, and is fetched from its authors. A
copy on this machine is taken first (:func:`data_path`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaling.errors import ForetuneError, InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DATASETS", "Dataset", "available", "data_path", "load"]


@dataclass(frozen=True)
class Dataset:
    """A published set of measurements.

    Attributes:
        name: What :func:`load` calls it.
        title: What one row is.
        file: Its file among the local copies.
        home: Where its authors published it.
        licence: As they state it.
        citation: What to cite.
        columns: Our columns to the file's.
        url: Address of the same file as published, or ``None`` where the local copy is an excerpt of several files.
        sha256: Of the local copy. The published file is not known to be the same byte for byte where it has changed
            since; it is then refused, not used.
        derive: Columns made from others.
    """

    name: str
    title: str
    file: str
    home: str
    licence: str
    citation: str
    columns: dict[str, str]
    sha256: str
    url: str | None = None
    derive: Callable[[pd.DataFrame], dict[str, pd.Series]] | None = None


def _epoch_tokens(frame: pd.DataFrame) -> dict[str, pd.Series]:
    return {"tokens": frame["Training FLOP"] / (6.0 * frame["Model Size"])}


_SETS = (
    Dataset(
        "chinchilla",
        "one Chinchilla run read off a figure, with D = C / (6N); Epoch's fit leaves out the five of "
        "highest loss",
        "chinchilla_epoch_245.csv",
        "https://github.com/epoch-research/analyzing-chinchilla",
        "none stated",
        "Besiroglu et al., Chinchilla Scaling: A Replication Attempt, arXiv 2404.10102",
        {"params": "Model Size", "flops": "Training FLOP"},
        "193478df4e90f040016431996c45682659306840ecdadf83cfb9cd5ca0aa1b30",
        "https://raw.githubusercontent.com/epoch-research/analyzing-chinchilla/main/data/svg_extracted_data.csv",
        derive=_epoch_tokens,
    ),
    Dataset(
        "over-training",
        "one of 104 models trained on up to 640 tokens per parameter, with losses and 46 task errors",
        "overtraining_testbed_104.csv",
        "https://github.com/mlfoundations/scaling",
        "MIT",
        "Gadre et al., Language models scale reliably with over-training and on downstream tasks, arXiv "
        "2403.08540",
        {"params": "N", "tokens": "D", "loss": "loss_c4_val", "error": "err_avg_subset"},
        "c2c1896ad6297deb3c1e1fb8505077cfc3807248c1166f88ce1edc5b065ed390",
    ),
    Dataset(
        "over-training-hyperparameters",
        "the training settings of those 104 models: warm-up, batch size in sequences, learning rate, steps",
        "overtraining_hparams_104.csv",
        "https://github.com/mlfoundations/scaling",
        "MIT",
        "Gadre et al., Language models scale reliably with over-training and on downstream tasks, arXiv "
        "2403.08540",
        {
            "params": "N",
            "tokens": "D",
            "warmup_steps": "warm",
            "batch_sequences": "bs",
            "params_non_embedding": "Nne",
        },
        "72e628c9207685ea70e1152978b49d920c407a748e329377bf6613f9c8b6ed3e",
    ),
    Dataset(
        "misfitting",
        "one final checkpoint of a sweep over sizes, tokens and learning rates",
        "misfitting_last_checkpoint.csv",
        "https://github.com/hadasah/scaling_laws",
        "none stated",
        "Li et al., (Mis)Fitting: A Survey of Scaling Laws, arXiv 2502.18969",
        {"params": "N_no_emb", "tokens": "D", "lr": "peak_lr"},
        "cd96b9eb8e5b2adc80e6739a642dd8554590edc96234d36859ab6ed0f5c30562",
        "https://raw.githubusercontent.com/hadasah/scaling_laws/"
        "1f3708c0a12df0effb0ee906b1da5f9f0ff4f4f1/data/scaling_results_last_ckpt_only.csv",
    ),
    Dataset(
        "repeated-data",
        "one run over data repeated for several epochs",
        "datablations_repeats.csv",
        "https://github.com/huggingface/datablations",
        "Apache-2.0",
        "Muennighoff et al., Scaling Data-Constrained Language Models, arXiv 2305.16264",
        {"params": "N", "tokens": "D", "unique_tokens": "U"},
        "7b1dbc354320fffdfec8564ea0c888d441a667cbd22867d238105ef4cb782d79",
    ),
    Dataset(
        "vision-curves",
        "one point of 72 image-classification learning curves; `Training` marks those to fit",
        "revisiting_vision_curves.csv",
        "https://github.com/google-research/google-research/tree/master/revisiting_neural_scaling_laws",
        "CC BY 4.0",
        "Alabdulmohsin et al., Revisiting Neural Scaling Laws in Language and Vision, arXiv 2209.06640",
        {"examples": "Seen Examples", "loss": "Loss"},
        "23b00692d71e58aa5a2a941e831d57688e0977fdcf5f5125ff7b64283b5d9e83",
        "https://raw.githubusercontent.com/google-research/google-research/"
        "9853680c781781bd8d3de20aa61c7373ce059913/revisiting_neural_scaling_laws/data/benchmark.vision.csv",
    ),
    Dataset(
        "step-law",
        "one pretraining run of Step Law's sweep over learning rate and batch size, smoothed training loss",
        "steplaw_lr_batch_small.csv",
        "https://github.com/step-law/steplaw",
        "MIT (the collection it was taken from, PlanarG/active-sl); the authors state none",
        "Li et al., Predictable Scale: Part I, Step Law, arXiv 2503.04715",
        {"batch_size": "batch_size_tokens"},
        "7d3bfc33c8d64883d84f25db1f1bc65d47e6919fc338740d9789279e396d7357",
    ),
    Dataset(
        "pass-at-k",
        "pass@k of one problem and one of seven Pythia models; scores at k above the number of samples "
        "mean nothing",
        "monkeys_pythia_pass_at_k.parquet",
        "https://github.com/RylanSchaeffer/KoyejoLab-Large-Language-Monkeys",
        "none stated",
        "Schaeffer et al., How Do Large Language Monkeys Get Their Power (Laws)?, arXiv 2502.17578",
        {
            "samples": "Num. Samples",
            "correct": "Num. Samples Correct",
            "k": "Scaling Parameter",
            "pass_at_k": "Score",
        },
        "ee408b0c9c7b151b93636062bf7ac9ab400fc0a0f340cb39173e967b72a10935",
    ),
    Dataset(
        "inference-flaws",
        "single-sample accuracy of one of 17 models on HumanEval+, and its share of right among accepted "
        "answers",
        "inference_flaws_humaneval_17models.csv",
        "https://github.com/benediktstroebl/inference-scaling-limits",
        "MIT",
        "Stroebl et al., Inference Scaling fLaws, arXiv 2411.17501",
        {"accuracy": "single_sample_acc_plus", "precision": "acc_plus_given_base_pass"},
        "6bf5c83460f681540984a367c110ee83a9af238603a4f1eecd0d19c97506bc28",
    ),
)
DATASETS: dict[str, Dataset] = {entry.name: entry for entry in _SETS}


def available() -> list[Dataset]:
    """Every set, with its licence and citation."""
    return list(DATASETS.values())


def load(name: str, *, download: bool = True) -> pd.DataFrame:
    """A published set as a table with the columns of a runs table, beside its own.

    Args:
        name: One of :data:`DATASETS`.
        download: Whether to fetch it from its authors where this machine has no copy.

    Raises:
        InputError: No set of that name, or no copy here and none to be fetched.
        ForetuneError: The download failed, or is not the file that was checked.
    """
    import pandas as pd

    if name not in DATASETS:
        raise InputError(f"no data set {name!r}", key="name", remedy=f"one of {', '.join(DATASETS)}")
    entry = DATASETS[name]
    path = _find(entry, download)
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    # Counts as floats: 6ND overflows 64-bit integers.
    made = {ours: frame[theirs] for ours, theirs in entry.columns.items()}
    made |= entry.derive(frame) if entry.derive is not None else {}
    frame = frame.assign(**made)
    for column in ("params", "tokens", "unique_tokens", "flops"):
        if column in frame:
            frame[column] = frame[column].astype(float)
    return frame


def _find(entry: Dataset, download: bool) -> Path:
    try:
        return data_path(entry.file)
    except InputError:
        if entry.url is None or not download:
            raise InputError(
                f"no copy of {entry.file} on this machine",
                source=entry.name,
                remedy=f"make it from {entry.home} and set FORETUNE_DATA to its folder",
            ) from None
    return _download(entry)


def _download(entry: Dataset) -> Path:
    import pooch

    try:
        return Path(
            pooch.retrieve(
                entry.url, f"sha256:{entry.sha256}", fname=entry.file, path=pooch.os_cache("foretune")
            )
        )
    except ValueError:
        raise ForetuneError(
            f"{entry.url} is not the file that was checked (sha256 {entry.sha256[:12]}...); get it from "
            f"{entry.home} "
            "yourself and set FORETUNE_DATA to its folder"
        ) from None
    except OSError as error:
        raise ForetuneError(f"{entry.url} could not be fetched ({error})") from None


def data_path(name: str) -> Path:
    """Path of a published data file on this machine.

    Looks in the folder that the environment variable ``FORETUNE_DATA`` names, else in ``../shared/data`` beside the
    checkout.

    Raises:
        InputError: The file is in neither place.
    """
    folders = [Path(__file__).resolve().parents[2] / "shared" / "data"]
    if "FORETUNE_DATA" in os.environ:
        folders.insert(0, Path(os.environ["FORETUNE_DATA"]))
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        "no such data file",
        source=str(folders[0] / name),
        remedy="set FORETUNE_DATA to the folder that holds it",
    )
