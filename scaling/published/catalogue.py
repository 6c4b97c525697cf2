# Citations, recipes and notes are left on their lines: wrapped prose in data is hard to read and to grep.
# ruff: noqa: E501
"""Published laws for learning rate, batch size, weight decay and loss: formulas exactly as their papers print them.

Where a paper writes ``log`` it is the natural logarithm. Sequences are converted to tokens with the paper's own
sequence length, and the printed formula kept in ``text``.
"""

from __future__ import annotations

from scaling.published.law import Formula, LinearLog, Power, PublishedLaw, SumOfPowers

__all__ = ["CATALOGUE"]

STEP_LAW = PublishedLaw(
    name="step-law",
    title="Step Law",
    citation="Li et al., Predictable Scale: Part I, Step Law, 2025, arXiv:2503.04715",
    url="https://arxiv.org/abs/2503.04715",
    recipe="dense transformers, AdamW (weight decay 0.1), 2,000 warm-up steps, cosine to a fixed final rate of 1e-5, "
    "standard parameterisation; smoothed training loss",
    formulas=(
        Formula(
            "lr",
            "peak learning rate",
            "1.79 N^-0.713 D^0.307",
            Power(1.79, {"params": -0.713, "tokens": 0.307}),
        ),
        Formula("batch_size", "tokens", "0.58 D^0.571", Power(0.58, {"tokens": 0.571})),
    ),
    ranges={"params": (6.0e7, 1.07e9), "tokens": (2.0e9, 1.0e11)},
)

DEEPSEEK = PublishedLaw(
    name="deepseek",
    title="DeepSeek LLM",
    citation="DeepSeek-AI, DeepSeek LLM: Scaling Open-Source Language Models with Longtermism, 2024, arXiv:2401.02954",
    url="https://arxiv.org/abs/2401.02954",
    recipe="LLaMA-like transformers, AdamW (weight decay 0.1), 2,000 warm-up steps, multi-step schedule, sequences of "
    "4,096 tokens; near-optimal means within 0.25 % of the best loss",
    formulas=(
        Formula("lr", "peak learning rate", "0.3118 C^-0.1250", Power(0.3118, {"flops": -0.1250})),
        Formula("batch_size", "tokens", "0.2920 C^0.3271", Power(0.2920, {"flops": 0.3271})),
    ),
    ranges={"flops": (1.0e17, 2.0e19)},
    notes=(
        "its C is M*D, M being non-embedding FLOP a token with attention counted; 6ND leaves attention out and is about 14 % "
        "smaller for its 7B model (give --flops to be exact)",
    ),
)

KAPLAN = PublishedLaw(
    name="kaplan",
    title="Kaplan et al.",
    citation="Kaplan et al., Scaling Laws for Neural Language Models, 2020, arXiv:2001.08361 (eqs. 1.4, 1.5, D.1)",
    url="https://arxiv.org/abs/2001.08361",
    recipe="GPT-2-like decoders on WebText2, Adam, 3,000 warm-up steps, cosine to zero, batches of 512 sequences of "
    "1,024 tokens",
    formulas=(
        Formula(
            "lr",
            "peak learning rate",
            "0.003239 - 0.0001395 log(N)",
            LinearLog(0.003239, -0.0001395, "params"),
        ),
        Formula(
            "loss",
            "nats/token",
            "[(6.4e13/N)^(0.076/0.103) + 1.8e13/D]^0.103",
            SumOfPowers(
                0.0,
                (
                    Power(6.4e13 ** (0.076 / 0.103), {"params": -0.076 / 0.103}),
                    Power(1.8e13, {"tokens": -1.0}),
                ),
                outer=0.103,
            ),
            optional=True,
        ),
        Formula(
            "critical_batch_size",
            "tokens",
            "2e8 / L^(1/0.21)",
            Power(2.0e8, {"loss": -1 / 0.21}),
            optional=True,
        ),
    ),
    ranges={"params": (768.0, 1.5e9), "tokens": (2.2e7, 2.3e10)},
    notes=(
        "its critical batch size is where compute and time are traded evenly, not the batch of lowest loss; its loss is "
        "that of WebText2 with OpenAI's tokenizer",
    ),
    fixed_batch_size=512.0 * 1024,
)

PORIAN = PublishedLaw(
    name="porian",
    title="Porian et al.",
    citation="Porian et al., Resolving Discrepancies in Compute-Optimal Scaling of Language Models, 2024, arXiv:2406.19146",
    url="https://arxiv.org/abs/2406.19146",
    recipe="OpenLM transformers on RefinedWeb, AdamW with independent weight decay 1e-4 and tuned beta2, warm-up for N "
    "tokens, compute-optimal training (about 20 tokens a parameter), sequences of 2,048 tokens",
    formulas=(
        Formula("lr", "peak learning rate", "3.7 N^-0.36", Power(3.7, {"params": -0.36})),
        Formula("batch_size", "tokens", "0.7576 N^0.703", Power(0.7576, {"params": 0.703})),
    ),
    ranges={"params": (5.0e6, 9.01e8)},
    notes=("its N counts the output layer; it holds at about 20 tokens a parameter and does not see D",),
)

POWER_LINES = PublishedLaw(
    name="power-lines",
    title="Power Lines",
    citation="Bergsma et al., Power Lines: Scaling Laws for Weight Decay and Batch Size in LLM Pre-training, 2025, "
    "arXiv:2505.13738",
    url="https://arxiv.org/abs/2505.13738",
    recipe="GPT-2-like models with ALiBi and SwiGLU in maximal update parametrisation on SlimPajama, AdamW, linear decay "
    "to zero, sequences of 2,048 tokens",
    formulas=(
        Formula(
            "batch_size",
            "tokens",
            "0.0306 D^0.383 sequences of 2,048 tokens",
            Power(0.0306 * 2048, {"tokens": 0.383}),
        ),
        Formula(
            "critical_batch_size",
            "tokens",
            "0.0471 D^0.462 sequences of 2,048 tokens",
            Power(0.0471 * 2048, {"tokens": 0.462}),
        ),
        Formula(
            "timescale",
            "fraction of training",
            "1.084 (D/N)^-0.527",
            Power(1.084, {"tokens": -0.527, "params": 0.527}),
        ),
        Formula(
            "weight_decay",
            "AdamW weight decay",
            "B / (lr D timescale), at the lr that is used",
            Power(1.0, {"batch_size": 1.0, "lr": -1.0, "tokens": -1.0, "timescale": -1.0}),
            optional=True,
        ),
    ),
    ranges={"params": (1.11e8, 3.3e9), "tokens": (2.0e9, 6.6e10)},
    notes=(
        "its learning rates come from maximal update parametrisation, so it gives none; with --lr (and --batch-size) it "
        "gives the weight decay",
        "its constants were taken from secondary sources and have not been checked against the paper's own text",
    ),
)

MINICPM = PublishedLaw(
    name="minicpm",
    title="MiniCPM",
    citation="Hu et al., MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training Strategies, "
    "2024, arXiv:2404.06395",
    url="https://arxiv.org/abs/2404.06395",
    recipe="transformers of 9M to 170M parameters with tensor-program width and depth scaling, warm-up-stable-decay "
    "schedule; loss on C4; the batch that needs the fewest tokens to reach a loss",
    formulas=(Formula("batch_size", "tokens", "1.21e9 / L^6.24", Power(1.21e9, {"loss": -6.24})),),
    ranges={"params": (9.0e6, 1.7e8)},
    notes=("with its parametrisation the best learning rate stays at 0.01 from 0.04B to 2.1B parameters",),
)

BJORCK = PublishedLaw(
    name="bjorck",
    title="Bjorck et al. (Microsoft)",
    citation="Bjorck et al., Scaling Optimal LR Across Token Horizons, ICLR 2025, arXiv:2409.19913",
    url="https://arxiv.org/abs/2409.19913",
    recipe="GPT-3-like models on RefinedWeb, AdamW, cosine, batch of 0.5M tokens, standard parameterisation",
    formulas=(
        Formula(
            "lr",
            "peak learning rate",
            "1.55e-3 (N/1e9)^-0.23 (D/1e9)^-0.32",
            Power(1.55e-3 * 1e9 ** (0.23 + 0.32), {"params": -0.23, "tokens": -0.32}),
        ),
    ),
    ranges={"params": (7.6e8, 2.7e9), "tokens": (2.5e10, 8.0e11)},
    notes=(
        "its exponents in N and D are what the paper stands on; it fixes the batch, so D moves the rate down here; smaller "
        "models, left out of its fit, fall faster (D^-0.38 at 350M, D^-0.65 at 125M), a 7B model was held out to test it",
        "its constants were taken from secondary sources and have not been checked against the paper's own text",
    ),
    fixed_batch_size=5.0e5,
)

CHINCHILLA = PublishedLaw(
    name="chinchilla-2022",
    title="Chinchilla, approach 3",
    citation="Hoffmann et al., Training Compute-Optimal Large Language Models, 2022, arXiv:2203.15556 (eq. 10)",
    url="https://arxiv.org/abs/2203.15556",
    recipe="Gopher-like models on MassiveText, AdamW, cosine over the whole run",
    formulas=(
        Formula(
            "loss",
            "nats/token",
            "1.69 + 406.4/N^0.34 + 410.7/D^0.28",
            SumOfPowers(1.69, (Power(406.4, {"params": -0.34}), Power(410.7, {"tokens": -0.28}))),
        ),
    ),
    ranges={"params": (4.4e7, 1.6e10), "tokens": (5.0e9, 5.0e11)},
    notes=(
        "its printed parameters are rounded; refitted from the same runs they differ (see chinchilla-epoch)",
    ),
)

CHINCHILLA_EPOCH = PublishedLaw(
    name="chinchilla-epoch",
    title="Chinchilla, refitted by Epoch",
    citation="Besiroglu et al., Chinchilla Scaling: A replication attempt, 2024, arXiv:2404.10102",
    url="https://arxiv.org/abs/2404.10102",
    recipe="240 of Chinchilla's runs read off a figure",
    formulas=(
        Formula(
            "loss",
            "nats/token",
            "1.8172 + 482.01/N^0.3478 + 2085.43/D^0.3658",
            SumOfPowers(1.8172, (Power(482.01, {"params": -0.3478}), Power(2085.43, {"tokens": -0.3658}))),
        ),
    ),
    ranges={"params": (4.4e7, 1.6e10), "tokens": (2.0e8, 5.0e11)},
)

CATALOGUE: tuple[PublishedLaw, ...] = (
    STEP_LAW,
    DEEPSEEK,
    KAPLAN,
    PORIAN,
    POWER_LINES,
    MINICPM,
    BJORCK,
    CHINCHILLA,
    CHINCHILLA_EPOCH,
)
