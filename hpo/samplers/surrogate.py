"""A small Gaussian process for repeated, noisy and heavy-tailed measurements.

The j-th run of configuration i measures

    y_ij = c + g(x_i) + d_i + e_ij

with a constant c, a smooth function g (Matern-5/2 with one length scale a parameter), what is particular to the
configuration, d_i, and noise e_ij from seed to seed. The true value of a configuration is c + g(x_i) + d_i. Only
counts, means and sums of squares enter, so that many repeats cost nothing. Hyperparameters maximise the posterior
density (analytic gradient, L-BFGS-B).

It is written in NumPy because choosing an incumbent must not wait for PyTorch, and because a fit at 50 points takes
milliseconds here. :mod:`hpo.samplers.acquisition` hands the fitted hyperparameters to BoTorch.

Sources: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), eqs. 2.23-2.24, 5.9; length-scale
prior: log-normal and growing with the dimension as in Hvarfner, Hellsten and Nardi, "Vanilla Bayesian Optimization
Performs Great in High Dimensions" (2024), but shorter, narrower and growing more slowly: studies have few parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack
from scipy.optimize import minimize

__all__ = ["CONSTANT_VARIANCE", "Data", "Hyperparameters", "Surrogate", "draws", "fit"]

Array = npt.NDArray[np.float64]

# Means and standard deviations of the normal priors on logarithms, for values of unit spread. A vaguer prior of the
# length scales lets the best hyperparameters for a few dozen points over-fit them.
_LENGTH, _LENGTH_PER_DIMENSION, _LENGTH_SD = math.log(0.6), 0.25, 1.0
_SMOOTH = (0.0, 1.0)
# Without repeats d_i and e_ij look alike, and both like a wiggly g: the prior prefers g, and lets noise be any or none.
_QUIET = ((math.log(1e-4), 1.0), (math.log(1e-3), 3.0))
# Who repeats runs expects noise, and must not be talked out of it before the repeats have shown how much there is.
_NOISY = ((math.log(0.05), 1.0), (math.log(0.3), 1.0))
#: Prior variance of the constant, for values of unit spread.
CONSTANT_VARIANCE = 1.0
_BOUNDS_LENGTH = (math.log(0.02), math.log(100.0))
_BOUNDS_VARIANCE = (math.log(1e-6), math.log(1e2))


@dataclass(frozen=True)
class Data:
    """Measurements of n configurations, larger being better.

    Attributes:
        features: ``n x m`` (see :class:`hpo.samplers.encoding.Encoding`).
        groups: ``m``; which features share a length scale.
        means: ``n``; mean over runs.
        counts: ``n``; number of runs, at least one.
        squares: Sum of squared deviations of all runs from the mean of their configuration, each divided by
            ``relative``.
        noisy: Whether runs are repeated because they are expected to differ from seed to seed.
        relative: ``n``; noise variance of each configuration relative to that of good ones; ``None``: all alike.
    """

    features: Array
    groups: npt.NDArray[np.intp]
    means: Array
    counts: Array
    squares: float = 0.0
    noisy: bool = False
    relative: Array | None = None

    @property
    def effective(self) -> Array:
        """``n``; number of runs of a good configuration that would give a mean as sure as each."""
        return self.counts if self.relative is None else self.counts / self.relative

    def key(self) -> bytes:
        """The measurements as bytes: equal for equal data."""
        return b"".join(
            np.ascontiguousarray(part).tobytes()
            for part in (
                self.features,
                self.groups,
                self.means,
                self.counts,
                self.effective,
                np.array([self.squares, self.noisy]),
            )
        )


@dataclass(frozen=True)
class Hyperparameters:
    """Of the standardised values: ``lengths`` (``d``), and the variances of g, d_i and e_ij."""

    lengths: Array
    smooth: float
    own: float
    noise: float


@dataclass
class Surrogate:
    """A fitted process.

    Attributes:
        data: What it was fitted to.
        hyper: Its hyperparameters, of the standardised values.
        shift: Location of the values.
        scale: Scale of the values: value = shift + scale * standardised.
        factor: ``n x n``; lower Cholesky factor of the covariance of the means.
        alpha: ``n``; inverse covariance times the standardised means.
    """

    data: Data
    hyper: Hyperparameters
    shift: float
    scale: float
    factor: Array = field(init=False, repr=False)
    alpha: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        covariance = self.hyper.smooth * self._correlation(self.data.features) + CONSTANT_VARIANCE
        covariance[np.diag_indices_from(covariance)] += self.noise_variance()
        self.factor = _cholesky(covariance)
        self.alpha = lapack.dpotrs(self.factor, self.standardised(), lower=True)[0]

    @classmethod
    def of(cls, data: Data, hyper: Hyperparameters) -> Surrogate:
        """A process with given hyperparameters, its values standardised by the data."""
        return cls(data, hyper, *_standard(data))

    def standardised(self) -> Array:
        """``n``; the means on the scale of the hyperparameters."""
        return (self.data.means - self.shift) / self.scale

    def noise_variance(self) -> Array:
        """``n``; variance of each mean about the smooth part, standardised."""
        return self.hyper.own + self.hyper.noise / self.data.effective

    def predict(self, features: Array) -> tuple[Array, Array]:
        """True values of configurations not tried yet.

        Args:
            features: ``q x m``

        Returns:
            Mean and standard deviation, ``q`` each, in the unit of the values.
        """
        cross = self.hyper.smooth * self._correlation(self.data.features, features) + CONSTANT_VARIANCE
        solved = lapack.dtrtrs(self.factor, cross, lower=True)[0]
        prior = self.hyper.smooth + CONSTANT_VARIANCE + self.hyper.own
        variance = np.maximum(prior - np.einsum("nq,nq->q", solved, solved), 1e-12)
        return self.shift + self.scale * (cross.T @ self.alpha), self.scale * np.sqrt(variance)

    @cached_property
    def _tried(self) -> tuple[Array, Array]:
        prior = self.hyper.smooth * self._correlation(self.data.features) + CONSTANT_VARIANCE
        prior[np.diag_indices_from(prior)] += self.hyper.own
        solved = lapack.dtrtrs(self.factor, prior, lower=True)[0]
        covariance = prior - solved.T @ solved
        return self.shift + self.scale * (prior @ self.alpha), self.scale**2 * covariance

    def tried(self) -> tuple[Array, Array]:
        """True values of the configurations that were measured.

        Returns:
            Mean ``n`` and covariance ``n x n``, in the unit of the values.
        """
        return self._tried

    def weights(self, row: int) -> Array:
        """``n``; how much the posterior mean of a configuration that was measured moves with each mean."""
        prior = self.hyper.smooth * self._correlation(self.data.features, self.data.features[[row]])[:, 0]
        prior += CONSTANT_VARIANCE
        prior[row] += self.hyper.own
        return np.asarray(lapack.dpotrs(self.factor, prior, lower=True)[0])

    def skill(self) -> float:
        """Share of the variance between configurations that is predicted for each by the others, at most 1.

        Leave-one-out residuals in closed form (Rasmussen and Williams 2006, section 5.4.2), against those of a
        constant. Zero or less: the parameters tell nothing yet.
        """
        n = len(self.data.means)
        if n < 2:
            return 0.0
        inverse = lapack.dpotri(self.factor, lower=True)[0]
        residual = self.alpha / np.diagonal(inverse)
        weights = self.data.effective / self.data.effective.sum()
        values = self.standardised()
        constant = (values - weights @ values) * n / (n - 1)
        total = float(weights @ constant**2)
        return 1.0 - float(weights @ residual**2) / total if total > 0 else 0.0

    def with_pending(self, features: Array, most: float = math.inf) -> Surrogate:
        """The process once configurations under way have come back, each with the value expected of it.

        The mean stays as it is and the uncertainty about them shrinks, so that the next proposal goes elsewhere
        (Ginsbourger, Le Riche and Carraro 2010, "kriging believer").

        Args:
            features: ``p x m``
            most: Values expected to be larger than this are taken as this.
        """
        if not len(features):
            return self
        data = Data(
            features=np.vstack([self.data.features, features]),
            groups=self.data.groups,
            means=np.concatenate([self.data.means, np.minimum(self.predict(features)[0], most)]),
            counts=np.concatenate([self.data.counts, np.ones(len(features))]),
            squares=self.data.squares,
            noisy=self.data.noisy,
            relative=np.concatenate([self.data.counts / self.data.effective, np.ones(len(features))]),
        )
        return Surrogate(data, self.hyper, self.shift, self.scale)

    def _correlation(self, left: Array, right: Array | None = None) -> Array:
        weights = 1 / self.hyper.lengths[self.data.groups]
        a = left * weights
        b = a if right is None else right * weights
        squared = np.sum(a**2, 1)[:, None] + np.sum(b**2, 1)[None, :] - 2 * a @ b.T
        return _matern(np.maximum(squared, 0.0))[0]


def fit(data: Data, *, iterations: int = 60) -> Surrogate:
    """Fit the hyperparameters of a process.

    Args:
        data: Measurements of at least one configuration.
        iterations: Most L-BFGS-B steps.
    """
    shift, scale = _standard(data)
    posterior = _LogPosterior(data, (data.means - shift) / scale, data.squares / scale**2)
    found = [
        minimize(
            posterior,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=posterior.bounds,
            options={"maxiter": iterations},
        )
        for start in posterior.starts()
    ]
    return Surrogate(data, posterior.unpack(min(found, key=lambda result: result.fun).x), shift, scale)


def draws(surrogate: Surrogate, *, sweeps: int = 24, burn: int = 8, seed: int = 0) -> list[Surrogate]:
    """Processes with hyperparameters drawn from their posterior, where the best ones alone would claim too much.

    Metropolis steps in one coordinate at a time, from the best hyperparameters (Rasmussen and Williams 2006, section
    5.2; Snoek, Larochelle and Adams, "Practical Bayesian Optimization of Machine Learning Algorithms", 2012).

    Args:
        surrogate: As fitted.
        sweeps: Passes over all coordinates.
        burn: First passes that are thrown away; each later one gives a draw.
        seed: Of the steps.
    """
    data, rng = surrogate.data, np.random.default_rng(seed)
    posterior = _LogPosterior(data, surrogate.standardised(), data.squares / surrogate.scale**2)
    hyper = surrogate.hyper
    theta = np.concatenate([np.log(hyper.lengths), np.log([hyper.smooth, hyper.own, hyper.noise])])
    value = posterior(theta)[0]
    found = []
    for sweep in range(sweeps):
        for k in range(len(theta)):
            step = theta.copy()
            step[k] += rng.normal() * (1.5 if k < posterior.dimensions else 0.7)
            inside = posterior.bounds[k][0] <= step[k] <= posterior.bounds[k][1]
            proposed = posterior(step)[0] if inside else math.inf
            if math.log(rng.random()) < value - proposed:
                theta, value = step, proposed
        if sweep >= burn:
            found.append(Surrogate(data, posterior.unpack(theta), surrogate.shift, surrogate.scale))
    return found


def _standard(data: Data) -> tuple[float, float]:
    """Location and spread of the means, each run counting as much."""
    weights = data.counts / data.counts.sum()
    shift = float(weights @ data.means)
    spread = math.sqrt(float(weights @ (data.means - shift) ** 2))
    return shift, spread if spread > 1e-12 * max(1.0, abs(shift)) else 1.0


class _LogPosterior:
    """Negative log posterior density of the log hyperparameters, with its gradient."""

    def __init__(self, data: Data, values: Array, squares: float) -> None:
        self.counts = data.effective
        self.values = values
        self.squares = squares
        self.spare = float(data.counts.sum() - len(data.counts))
        self.dimensions = int(data.groups.max()) + 1
        n = len(values)
        difference = (data.features[:, None, :] - data.features[None, :, :]) ** 2
        squared = np.zeros((self.dimensions, n, n))
        for feature, group in enumerate(data.groups):
            squared[group] += difference[:, :, feature]
        self.squared = squared.reshape(self.dimensions, n * n)
        length = _LENGTH + _LENGTH_PER_DIMENSION * math.log(self.dimensions)
        own, noise = _NOISY if data.noisy else _QUIET
        self.prior_mean = np.array([*[length] * self.dimensions, _SMOOTH[0], own[0], noise[0]])
        self.prior_sd = np.array([*[_LENGTH_SD] * self.dimensions, _SMOOTH[1], own[1], noise[1]])
        self.bounds = [_BOUNDS_LENGTH] * self.dimensions + [_BOUNDS_VARIANCE] * 3

    def starts(self) -> list[Array]:
        """A nearly linear and a wiggly function: with few points the density has an optimum near each."""
        wiggly = self.prior_mean.copy()
        wiggly[: self.dimensions] = 0.5 * math.log(self.dimensions) - 1.0
        return [self.prior_mean.copy(), wiggly]

    def unpack(self, theta: Array) -> Hyperparameters:
        variances = np.exp(theta[self.dimensions :])
        return Hyperparameters(np.exp(theta[: self.dimensions]), *(float(v) for v in variances))

    def __call__(self, theta: Array) -> tuple[float, Array]:
        n = len(self.values)
        hyper = self.unpack(theta)
        precision = hyper.lengths**-2
        correlation, slope = _matern((precision @ self.squared).reshape(n, n))
        smooth = hyper.smooth * correlation
        covariance = smooth + CONSTANT_VARIANCE
        covariance[np.diag_indices(n)] += hyper.own + hyper.noise / self.counts
        factor = _cholesky(covariance)
        inverse = lapack.dpotri(factor, lower=True)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        alpha = inverse @ self.values
        residual = (theta - self.prior_mean) / self.prior_sd
        log_density = (
            -0.5 * self.values @ alpha
            - np.log(np.diagonal(factor)).sum()
            - 0.5 * (self.spare * theta[-1] + self.squares / hyper.noise)
            - 0.5 * residual @ residual
        )
        weight = 0.5 * (np.outer(alpha, alpha) - inverse)
        diagonal = np.diagonal(weight)
        gradient = np.empty_like(theta)
        gradient[: self.dimensions] = (
            -2 * precision * (self.squared @ (hyper.smooth * weight * slope).ravel())
        )
        gradient[-3] = np.sum(weight * smooth)
        gradient[-2] = hyper.own * diagonal.sum()
        gradient[-1] = hyper.noise * (diagonal @ (1 / self.counts))
        gradient[-1] += -0.5 * self.spare + 0.5 * self.squares / hyper.noise
        gradient -= residual / self.prior_sd
        return -float(log_density), -gradient


def _matern(squared: Array) -> tuple[Array, Array]:
    """Matern-5/2 correlation at squared scaled distances, and its derivative by them."""
    r = np.sqrt(5 * squared)
    decay = np.exp(-r)
    return (1 + r + r * r / 3) * decay, -5 / 6 * (1 + r) * decay


def _cholesky(covariance: Array) -> Array:
    """Lower factor; adds the least diagonal that makes it exist."""
    jitter = 0.0
    for _ in range(8):
        factor, failed = lapack.dpotrf(covariance + jitter * np.eye(len(covariance)), lower=True, clean=True)
        if not failed:
            return np.asarray(factor)
        jitter = max(1e-8, 10 * jitter)
    raise np.linalg.LinAlgError("covariance is not positive definite")
