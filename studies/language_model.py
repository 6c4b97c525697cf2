"""A small language model: a decoder-only transformer on the bytes of Python's own standard library.

One file, read top to bottom: data, model, schedule, loop. Tune its learning rate and batch size at a few small sizes,
and predict them for a larger one. The recipe is the usual one: pre-norm blocks (Xiong et al. 2020), AdamW (Loshchilov
and Hutter 2019), linear warm-up and a cosine that ends with the tokens (Hoffmann et al. 2022), clipped gradients.

>>> from studies.language_model import train
>>> train({"params": 6000, "tokens": 60_000, "lr": 1e-2, "batch_size": 1024}, seed=0)["loss"]  # doctest: +SKIP
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from scaling.errors import InputError
from studies.text import VOCABULARY, standard_library

if TYPE_CHECKING:
    import hpo

__all__ = ["Settings", "Transformer", "shape_for", "train"]

#: How often a run reports a held-out loss for early stopping.
REPORTS = 10
#: Held-out sequences that those are taken on; the loss at the end is taken on all of them.
REPORT_ON = 128
#: Seconds between checkpoints, of runs that take longer than that.
SAVE_EVERY = 60.0
#: A training loss so many times that of guessing does not come back.
RUNAWAY = 4.0


@dataclass(frozen=True)
class Settings:
    """What a configuration may say.

    Attributes:
        params: Non-embedding parameters wanted; width and depth are chosen nearest. Or give both of those.
        tokens: Tokens (bytes) to train on.
        lr: Peak learning rate.
        batch_size: Tokens in a step; rounded to whole sequences.
        context: Tokens in a sequence.
        warmup: Fraction of the steps over which the learning rate rises.
        final_lr: Learning rate at the end, as a fraction of the peak.
        beta1, beta2: AdamW's; shorter memories than usual, since runs here are only some hundred steps long.
        held_out: Tokens of the held-out text that the loss is taken on: the same ones in every run.
        device: ``cpu``, ``cuda`` or ``auto``.
        threads: Threads of one run on a CPU. The same number gives the same loss to the last digit.
        micro_batch_size: Tokens of one pass; a larger step is taken in several.
    """

    tokens: int
    lr: float
    batch_size: int
    params: int | None = None
    width: int | None = None
    depth: int | None = None
    context: int = 64
    weight_decay: float = 0.1
    beta1: float = 0.8
    beta2: float = 0.9
    clip: float = 1.0
    warmup: float = 0.1
    final_lr: float = 0.0
    held_out: int = 65536
    device: str = "auto"
    threads: int = 1
    micro_batch_size: int = 65536

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """Check a configuration.

        Raises:
            InputError: A key is unknown or missing, or a value cannot be.
        """
        unknown = sorted(set(config) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise InputError("is no setting of the language model", key=unknown[0], remedy=f"known: {known}")
        for key in ("tokens", "lr", "batch_size"):
            if not (isinstance(config.get(key), (int, float)) and 0 < config[key] < math.inf):
                raise InputError(f"must be a number above zero, not {config.get(key)!r}", key=key)
        if not (config.get("params") or (config.get("width") and config.get("depth"))):
            raise InputError("is missing", key="params", remedy="give params, or both width and depth")
        counts = ("tokens", "batch_size", "params")
        whole = {key: round(config[key]) for key in counts if config.get(key) is not None}
        return cls(**{**config, **whole})


def shape_for(params: int) -> tuple[int, int]:
    """Width and depth of the model nearest to ``params`` non-embedding parameters, 12 * depth * width^2.

    Widths are whole attention heads: 16 wide, 64 from a million parameters on. Kaplan et al. (2020) find the loss flat
    in the ratio of width and depth over a wide range.
    """
    head = 64 if params >= 1_000_000 else 16

    def distance(shape: tuple[int, int]) -> tuple[float, float]:
        width, depth = shape
        # Among shapes within a few per cent of the size, the one whose width is nearest to 16 times the depth.
        size = abs(math.log(12 * depth * width**2 / params))
        return max(0.0, size - 0.05) + 0.02 * abs(math.log(width / (16 * depth))), size

    return min(((head * heads, depth) for heads in range(1, 65) for depth in range(2, 33)), key=distance)


class Block(nn.Module):
    """Attention and a feed-forward layer four times as wide, each added to its input. 12 * width^2 parameters."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // (64 if width >= 256 else 16))
        self.attention_in = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.feed_in = nn.Linear(width, 4 * width, bias=False)
        self.feed_out = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: ``(batch, context, width)`` to the same."""
        batch, context, width = x.shape
        parts = self.attention_in(F.layer_norm(x, (width,))).view(batch, context, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        # Normed queries and keys (Henry et al. 2020): high learning rates stay stable, so the basin is smooth.
        query, key = F.layer_norm(query, query.shape[-1:]), F.layer_norm(key, key.shape[-1:])
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attention_out(mixed.transpose(1, 2).reshape(batch, context, width))
        hidden = F.relu(self.feed_in(F.layer_norm(x, (width,)))).square()
        added: Tensor = self.feed_out(hidden)
        return x + added


class Transformer(nn.Module):
    """Bytes to logits of the next byte."""

    def __init__(self, width: int, depth: int, context: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.head = nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape: ``(batch, context)`` to ``(batch, context, VOCABULARY)``."""
        x = self.embedding(tokens) + self.position.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(F.layer_norm(x, x.shape[-1:]))
        return logits

    def initialise(self, generator: torch.Generator) -> None:
        """Normal weights, 1/sqrt(inputs) wide; what adds to the residual stream less by 1/sqrt(2 * depth) (GPT-2)."""
        for name, weight in self.named_parameters():
            if name in ("embedding.weight", "position.weight"):
                std = 1.0
            elif name == "head.weight":
                std = 0.02
            else:
                std = weight.shape[1] ** -0.5
                if name.endswith(("attention_out.weight", "feed_out.weight")):
                    std /= math.sqrt(2 * len(self.blocks))
            nn.init.normal_(weight, std=std, generator=generator)

    @property
    def params(self) -> int:
        """Parameters of the blocks: neither embeddings nor the head, as in Kaplan et al. (2020)."""
        return sum(weight.numel() for weight in self.blocks.parameters())


def flatten(model: nn.Module) -> Tensor:
    """One tensor that holds all weights, and one that holds all gradients; the model's own become views of them.

    A step of the optimiser is then one operation and not one a weight: half the time of a step of the smallest models.
    """
    weights = list(model.parameters())
    flat = torch.cat([weight.detach().flatten() for weight in weights]).requires_grad_()
    flat.grad = torch.zeros_like(flat)
    sizes = [weight.numel() for weight in weights]
    for weight, values, slopes in zip(
        weights, torch.split(flat.detach(), sizes), torch.split(flat.grad, sizes), strict=True
    ):
        weight.data, weight.grad = values.view_as(weight), slopes.view_as(weight)
    return flat


def sequences(text: NDArray[np.uint8], context: int) -> NDArray[np.uint8]:
    """The text cut into pieces of ``context`` tokens and the one that follows. Shape: ``(pieces, context + 1)``."""
    pieces = (len(text) - 1) // context
    return np.lib.stride_tricks.sliding_window_view(text, context + 1)[: pieces * context : context]


def batches(
    text: NDArray[np.uint8], context: int, size: int, total: int, seed: int, *, first: int = 0
) -> Iterator[Tensor]:
    """``total`` sequences, ``size`` at a time, each once before any again; starts with batch number ``first``.

    Shape: ``(size, context + 1)``; the last batch holds what is left.
    """
    pieces = sequences(text, context)
    draw = np.random.default_rng([seed, 1])
    rounds = math.ceil(total / len(pieces))
    order = np.concatenate([draw.permutation(len(pieces)) for _ in range(rounds)])[:total]
    for start in range(first * size, total, size):
        yield torch.from_numpy(pieces[order[start : start + size]].astype(np.int64))


def loss_of(model: Transformer, pieces: Tensor) -> Tensor:
    """Mean cross-entropy in nats a byte. Shape: ``(batch, context + 1)`` to ``()``."""
    logits = model(pieces[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1).float(), pieces[:, 1:].flatten())


def learning_rate(step: int, steps: int, warmup: int, peak: float, final: float) -> float:
    """Linear warm-up to ``peak``, then a cosine down to ``final * peak`` at the last step."""
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup + 1) / max(1, steps - warmup)
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Train with so many threads: sums are taken in another order with another number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(config: Mapping[str, Any], *, seed: int, trial: hpo.Trial | None = None) -> dict[str, float]:
    """Train one model.

    Args:
        config: See :class:`Settings`.
        seed: Reaches initialisation and data order; nothing else draws.
        trial: Told of the held-out loss along the way; may stop the run.

    Returns:
        ``loss`` (held-out, nats a byte), ``params``, ``tokens`` and ``batch_size`` as trained, ``steps``,
        ``warmup_steps``, ``unique_tokens``, ``flops``, ``seconds``.

    Raises:
        InputError: The configuration cannot be trained.
        hpo.Diverged: The loss is not finite, or worse than that of a model that knows nothing.
    """
    settings = Settings.of(config)
    with threads(settings.threads):
        return _train(settings, seed, trial)


def _train(settings: Settings, seed: int, trial: hpo.Trial | None) -> dict[str, float]:
    started = time.perf_counter()
    automatic = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(automatic if settings.device == "auto" else settings.device)
    corpus, context = standard_library(), settings.context
    width, depth = settings.width, settings.depth
    if width is None or depth is None:
        width, depth = shape_for(settings.params or 0)
    model = Transformer(width, depth, context)
    model.initialise(torch.Generator().manual_seed(seed))
    model.to(device)
    weights = flatten(model)
    optimiser = torch.optim.AdamW(
        [weights],
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    # Whole sequences, and the last step takes what is left: every batch size sees as many tokens.
    total = max(1, round(settings.tokens * (trial.fidelity if trial is not None else 1.0) / context))
    size = min(total, max(1, round(settings.batch_size / context)))
    steps = math.ceil(total / size)
    warmup = max(1, round(settings.warmup * steps))
    pieces = sequences(corpus.validation, context)[: max(1, settings.held_out // context)]
    held_out = torch.from_numpy(pieces.astype(np.int64)).to(device)
    progress = _Progress(model, optimiser, held_out, steps, trial)
    first = progress.restore()
    for step, batch in enumerate(batches(corpus.training, context, size, total, seed, first=first), first):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, warmup, settings.lr, settings.final_lr)
        loss = _step(model, weights, optimiser, batch.to(device), settings)
        if not math.isfinite(loss) or loss > RUNAWAY * math.log(VOCABULARY):
            raise _diverged(f"training loss {loss:g} at step {step + 1} of {steps}")
        progress.after(step + 1)
    final = _evaluate(model, held_out)
    if not final < math.log(VOCABULARY):
        raise _diverged(f"held-out loss {final:g}, where guessing gives {math.log(VOCABULARY):.3f}")
    tokens = total * context
    return {
        "loss": final,
        "params": model.params,
        "tokens": tokens,
        "batch_size": size * context,
        "steps": steps,
        "warmup_steps": warmup,
        "unique_tokens": min(tokens, len(corpus.training)),
        "flops": 6.0 * model.params * tokens,
        "seconds": time.perf_counter() - started,
    }


@dataclass
class _Progress:
    """What the trial is told, and what it keeps, along the way."""

    model: Transformer
    optimiser: torch.optim.Optimizer
    held_out: Tensor
    steps: int
    trial: hpo.Trial | None

    def __post_init__(self) -> None:
        self._report_at = {self.steps * k // REPORTS for k in range(1, REPORTS)}
        self._saved = time.monotonic()

    def restore(self) -> int:
        """Steps that an interrupted run had taken when it was last saved."""
        state = self.trial.restore() if self.trial is not None else None
        if state is None or state["steps"] != self.steps:
            return 0
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        return int(state["step"])

    def after(self, step: int) -> None:
        """Report where it is time to, and now and then save; may raise :class:`hpo.Pruned`."""
        if self.trial is None or step not in self._report_at:
            return
        self.trial.report(step, loss=_evaluate(self.model, self.held_out[:REPORT_ON]))
        if time.monotonic() - self._saved > SAVE_EVERY:
            weights, moments = self.model.state_dict(), self.optimiser.state_dict()
            self.trial.save({"step": step, "steps": self.steps, "model": weights, "optimiser": moments})
            self._saved = time.monotonic()


def _step(
    model: Transformer, weights: Tensor, optimiser: torch.optim.Optimizer, batch: Tensor, settings: Settings
) -> float:
    assert weights.grad is not None
    weights.grad.zero_()
    total = 0.0
    for part in torch.split(batch, max(1, settings.micro_batch_size // settings.context)):
        with _precision(batch.device):
            loss = loss_of(model, part) * (len(part) / len(batch))
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    weights.grad.mul_((settings.clip / (weights.grad.norm() + 1e-6)).clamp(max=1.0))
    optimiser.step()
    return total


@torch.no_grad()
def _evaluate(model: Transformer, held_out: Tensor) -> float:
    losses = []
    for part in torch.split(held_out, 128):
        with _precision(held_out.device):
            losses.append(loss_of(model, part).double() * len(part))
    return float(torch.stack(losses).sum() / len(held_out))


def _precision(device: torch.device) -> Any:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _diverged(reason: str) -> Exception:
    import hpo

    return hpo.Diverged(reason)


def _main() -> None:
    """``python -m studies.language_model --params 6000 --lr 0.01 ... --seed 0`` prints the metrics as JSON."""
    import argparse
    import json

    parser = argparse.ArgumentParser(description="Train one small language model; settings as in Settings.")
    for name, field in Settings.__dataclass_fields__.items():
        kind = {"float": float, "str": str}.get(str(field.type), int)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind)
    parser.add_argument("--seed", type=int, required=True)
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    seed = given.pop("seed")
    print(json.dumps(train(given, seed=seed)))


if __name__ == "__main__":
    _main()
