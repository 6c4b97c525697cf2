"""Noise-aware log expected improvement on BoTorch, for our surrogate.

Improvement counts from the best *posterior mean* among the configurations tried, never from the best value observed:
with noise that is the luckiest one, and a threshold there makes the search avoid what is good (Ament et al. 2023,
"Unexpected Improvements to Expected Improvement for Bayesian Optimization"; Picheny et al. 2013, section 3). What
improves is the posterior mean of the new configuration once it has been run, too: with noise, one run teaches less
than the true value would (Picheny et al. 2013, section 4, "expected quantile improvement" at the median).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.exceptions.warnings import OptimizationWarning
from botorch.generation.gen import gen_candidates_scipy
from botorch.models.model import Model
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from torch import Tensor

from hpo.samplers.landscape import PRIOR_WEIGHT, Landscape
from hpo.samplers.surrogate import CONSTANT_VARIANCE, Surrogate

__all__ = ["FeasibleLogEI", "SurrogateModel", "climb", "evaluate"]

Array = npt.NDArray[np.float64]


class SurrogateModel(Model):
    """A fitted :class:`~hpo.samplers.surrogate.Surrogate` as a BoTorch model, in standardised values.

    Its posterior is that of configurations not tried yet, their own deviation d_i included. Any BoTorch acquisition
    function works with it.
    """

    def __init__(self, surrogate: Surrogate) -> None:
        super().__init__()
        hyper = surrogate.hyper
        self.smooth, self.own = hyper.smooth, hyper.own
        self.weights = _tensor(1 / hyper.lengths[surrogate.data.groups])
        self.train = _tensor(surrogate.data.features) * self.weights
        self.factor = _tensor(surrogate.factor)
        self.alpha = _tensor(surrogate.alpha)

    @property
    def num_outputs(self) -> int:
        """One."""
        return 1

    @property
    def batch_shape(self) -> torch.Size:
        """Not batched."""
        return torch.Size()

    def posterior(self, X: Tensor, *args: Any, **kwargs: Any) -> GPyTorchPosterior:
        """Joint posterior at ``X``.

        Args:
            X: ``batch_shape x q x m``
            args: Not used; part of BoTorch's interface.
            kwargs: Not used; part of BoTorch's interface.

        Returns:
            Over ``batch_shape x q x 1``.
        """
        scaled = X * self.weights
        cross = self._covariance(scaled, self.train)
        # All columns at once: a batch of solves would copy the factor for each member.
        columns = cross.reshape(-1, cross.shape[-1]).mT
        solved = torch.linalg.solve_triangular(self.factor, columns, upper=False).mT.reshape(cross.shape)
        covariance = self._covariance(scaled, scaled) - solved @ solved.mT
        floor = torch.full(scaled.shape[:-1], self.own + 1e-10, dtype=X.dtype)
        return GPyTorchPosterior(MultivariateNormal(cross @ self.alpha, covariance + torch.diag_embed(floor)))

    def _covariance(self, left: Tensor, right: Tensor) -> Tensor:
        difference = left.unsqueeze(-2) - right.unsqueeze(-3)
        # The least distance keeps the derivative of the square root finite.
        r = (5 * difference.square().sum(-1)).clamp_min(1e-20).sqrt()
        return self.smooth * (1 + r + r.square() / 3) * (-r).exp() + CONSTANT_VARIANCE


class FeasibleLogEI(LogExpectedImprovement):
    """Log expected improvement plus the log probability that a run ends well (see :meth:`Landscape.success`)."""

    def __init__(self, landscape: Landscape, pending: Array) -> None:
        """Build from what is known.

        Args:
            landscape: The runs so far.
            pending: ``p x m``; configurations under way that have no value yet.
        """
        # Where runs fail the surrogate would promise what it likes. The search expects no more there than the median.
        fitted = landscape.surrogate
        surrogate = fitted.with_pending(landscape.failed, most=float(np.median(fitted.data.means)))
        surrogate = surrogate.with_pending(pending)
        super().__init__(
            SurrogateModel(surrogate), best_f=(landscape.best - surrogate.shift) / surrogate.scale
        )
        # Of a new configuration that is run as often as most.
        self.noise = surrogate.hyper.noise / float(np.median(fitted.data.counts))
        self.any_failed = landscape.any_failed
        if not self.any_failed:
            return
        where, good, failed = (_tensor(part) for part in landscape.ended)
        self.where, self.good, self.failed = where, good, failed
        self.share, self.widths = landscape.share, landscape.failure_widths

    def _mean_and_sigma(
        self, X: Tensor, compute_sigma: bool = True, min_var: float = 1e-12
    ) -> tuple[Tensor, Tensor | None]:
        mean, sigma = super()._mean_and_sigma(X, compute_sigma, min_var)
        if sigma is None:
            return mean, None
        # One run shows the true value through noise: what is known of it moves by less than the value may.
        return mean, sigma.square() / (sigma.square() + self.noise).sqrt()

    def forward(self, X: Tensor) -> Tensor:
        """Acquisition value, larger being better.

        Args:
            X: ``batch_shape x 1 x m``

        Returns:
            ``batch_shape``
        """
        value: Tensor = super().forward(X)
        if not self.any_failed:
            return value
        squared = (X - self.where).square().sum(-1)
        chance = torch.full_like(value, self.share)
        for width in self.widths:
            weight = (-squared / width).exp()
            good, failed = weight @ self.good, weight @ self.failed
            chance = (good + PRIOR_WEIGHT * chance) / (good + failed + PRIOR_WEIGHT)
        return value + chance.clamp_min(1e-12).log()


def evaluate(acquisition: FeasibleLogEI, features: Array) -> Array:
    """Acquisition values of many configurations.

    Args:
        acquisition: The function.
        features: ``q x m``

    Returns:
        ``q``
    """
    with torch.no_grad():
        return np.asarray(acquisition(_tensor(features).unsqueeze(-2)).numpy())


def climb(
    acquisition: FeasibleLogEI, starts: Array, smooth: npt.NDArray[np.bool_], iterations: int = 40
) -> Array:
    """Follow the gradient from all starts at once, moving smooth features only.

    Args:
        acquisition: The function.
        starts: ``q x m``
        smooth: ``m``; which features may move.
        iterations: Most L-BFGS-B steps.

    Returns:
        ``q x m``, where each start ended.
    """
    places = _tensor(starts)
    with warnings.catch_warnings():
        # A start that is already at its peak, to the last digit, is told as a failure.
        warnings.simplefilter("ignore", OptimizationWarning)
        ends, _ = gen_candidates_scipy(
            places.unsqueeze(-2),
            acquisition,
            lower_bounds=0.0,
            upper_bounds=1.0,
            fixed_features={int(column): places[:, column] for column in np.flatnonzero(~smooth)} or None,
            options={"maxiter": iterations},
        )
    return np.asarray(ends.squeeze(-2).detach().numpy())


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
