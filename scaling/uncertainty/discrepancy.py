"""A law that is nearly right: universal kriging of what the law leaves over.

The model of Kennedy and O'Hagan ("Bayesian calibration of computer models", J. R. Stat. Soc. B 63, 2001) with the
law as the computer model. On the law's residual scale (logs, for losses),

    y(x) = f(theta, x) + s(x) (delta(x) + noise),   s(x) = (f(x) / f_best)^kappa,

where ``delta`` is a Gaussian process over the logarithms of the law's inputs, and ``s`` says that runs far from the
best loss scatter more. ``theta`` has a flat prior and enters linearly around its estimate, so that everything the
parameters can explain is theirs, and ``delta`` holds only what they cannot: inside the runs it is pinned by them,
outside it grows with the distance. Its size, length and ``kappa`` are not chosen but averaged over, weighted by the
restricted likelihood (the density of the contrasts that are free of ``theta``) and a prior. Where the law is right the
likelihood prefers no discrepancy and the intervals become those of ordinary regression.

Single bad runs are discounted as under Student's t noise (Lange, Little and Taylor, J. Am. Stat. Assoc. 84, 1989).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.uncertainty.mixture import Mixture

__all__ = ["PRIOR", "Prior", "Scene", "predict_discrepancy"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What is believed before any run is seen. The grids are averaged over.

    Attributes:
        powers: Values of ``kappa``.
        lengths: Length scales of the discrepancy, in e-folds of the inputs.
        right: Probability that the law is right, and there is no discrepancy at all.
        sizes: Variance of the discrepancy visible within the runs, over that of the noise, where there is one.
        tail: Degrees of freedom of the t noise under which bad runs are discounted.
        consistency: Discounting takes the edge runs of a normal sample for half bad, and so underestimates its
            variance by this factor: 1.489 is the fixed point for four degrees of freedom.
        passes: Rounds of discounting.
        rank: Points that carry the Gaussian process.
    """

    powers: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0)
    lengths: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    right: float = 0.3
    sizes: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    tail: float = 4.0
    consistency: float = 1.489
    passes: int = 3
    rank: int = 60


PRIOR = Prior()


@dataclass(frozen=True)
class Scene:
    """Where runs or points are, and what the law says there.

    Attributes:
        where: Logarithms of the law's inputs, shape ``(n, d)``.
        slopes: Derivatives of the law (on its residual scale) by its parameters, shape ``(n, p)``.
        height: Logarithm of the law's value, shape ``(n,)``.
    """

    where: Array
    slopes: Array
    height: Array

    def scaled(self, factor: Array) -> Scene:
        """The slopes divided by ``factor`` (shape ``(n,)``)."""
        return Scene(self.where, self.slopes / factor[:, None], self.height)


def predict_discrepancy(runs: Scene, residuals: Array, points: Scene, prior: Prior = PRIOR) -> Mixture:
    """What to add to the law at new points, and how far a new run there may fall from it.

    Args:
        runs: The ``n`` runs of the fit.
        residuals: Measured minus fitted, on the residual scale, shape ``(n,)``.
        points: The ``m`` points asked for.
        prior: See :class:`Prior`.

    Returns:
        A mixture on the residual scale, relative to the law.
    """
    best = float(runs.height.min())
    logs: list[Array] = []
    centres: list[Array] = []
    scales: list[Array] = []
    degrees = 1.0
    sizes = np.array([0.0, *prior.sizes])
    before = np.log([prior.right, *(len(prior.sizes) * [(1.0 - prior.right) / max(len(prior.sizes), 1)])])
    bases = [_Basis.of(runs.where, points.where, length, prior.rank) for length in prior.lengths]
    for power in prior.powers:
        spread = np.exp(power * (runs.height - best))
        # A point better than every run is believed to scatter like the best run, no less.
        spread_there = np.exp(power * np.maximum(points.height - best, 0.0))
        near, far = runs.scaled(spread), points.scaled(spread_there)
        noise, penalty = _discount(near, residuals / spread, bases, prior)
        contrast = _Contrast.of(near.slopes, residuals / spread, far.slopes, noise)
        degrees = contrast.degrees
        for basis in bases:
            log, centre, scale = contrast.average(basis, sizes, prior.consistency)
            logs.append(log + before + penalty - np.log(spread).sum())
            centres.append(centre * spread_there)
            scales.append(scale * spread_there)
    log = np.concatenate(logs)
    weights = np.exp(log - log.max())
    return Mixture(weights / weights.sum(), np.concatenate(centres), np.concatenate(scales), degrees)


@dataclass(frozen=True)
class _Basis:
    """A Gaussian process of one length scale, carried by ``k`` of the runs (Nyström's approximation)."""

    near: Array  # (n, k)
    far: Array  # (m, k)
    missing: Array  # (m,): variance at the points that the runs do not carry

    @classmethod
    def of(cls, where: Array, there: Array, length: float, rank: int) -> _Basis:
        carriers = where[_spread_out(where, rank)]
        gram = _kernel(carriers, carriers, length)
        values, vectors = np.linalg.eigh(gram)
        kept = values > 1e-10 * values[-1]
        root = vectors[:, kept] / np.sqrt(values[kept])
        near, far = _kernel(where, carriers, length) @ root, _kernel(there, carriers, length) @ root
        return cls(near, far, np.maximum(1.0 - (far * far).sum(axis=1), 0.0))


def _kernel(left: Array, right: Array, length: float) -> Array:
    """Matérn covariance with two derivatives (smoothness 5/2), shape ``(len(left), len(right))``."""
    squared = ((left[:, None] - right[None]) ** 2).sum(axis=-1)
    distance = np.sqrt(5.0 * squared) / length
    result: Array = (1.0 + distance + distance * distance / 3.0) * np.exp(-distance)
    return result


def _spread_out(where: Array, count: int) -> NDArray[np.intp]:
    """Up to ``count`` of the rows, each as far as possible from those before (farthest-point sampling)."""
    distance = ((where - where.mean(axis=0)) ** 2).sum(axis=1)
    chosen = [int(np.argmax(distance))]
    distance = ((where - where[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count and distance.max() > 1e-12:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, ((where - where[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen)


@dataclass(frozen=True)
class _Contrast:
    """The runs with everything that the parameters explain taken out, in units of each run's noise."""

    weight: Array  # (n,): one over the relative noise
    explained: Array  # (n, r): orthonormal directions of the parameters
    residuals: Array  # (n,): orthogonal to them
    shift: Array  # (m, r): predictions in those directions
    centre: Array  # (m,): least-squares correction of the law
    degrees: float
    log: float

    @classmethod
    def of(cls, slopes: Array, residuals: Array, slopes_there: Array, noise: Array) -> _Contrast:
        weight = 1.0 / noise
        weighted, response = slopes * weight[:, None], residuals * weight
        size = np.linalg.norm(weighted, axis=0)
        size = np.where(size > 0.0, size, 1.0)
        u, s, vt = np.linalg.svd(weighted / size, full_matrices=False)
        # Directions that the runs do not identify are left where the fit put them.
        rank = max(int((s > 1e-7 * s[0]).sum()), 1)
        u, s, vt = u[:, :rank], s[:rank], vt[:rank]
        shift = (slopes_there / size) @ vt.T / s
        along = u.T @ response
        degrees = float(max(len(residuals) - rank, 1))
        log = -np.log(s).sum() - np.log(size).sum() + np.log(weight).sum()
        return cls(weight, u, response - u @ along, shift, shift @ along, degrees, float(log))

    def _project(self, basis: _Basis) -> tuple[Array, Array, Array, float, Array, Array]:
        near = basis.near * self.weight[:, None]
        along = self.explained.T @ near
        away = near - self.explained @ along
        # The thin singular value decomposition by way of the small Gram matrix: runs are many, carriers few.
        squared, vectors = np.linalg.eigh(away.T @ away)
        # Variance is counted as it shows among the runs: what the parameters absorb is not the discrepancy's.
        unit = self.degrees / max(float(squared.sum()), 1e-12)
        kept = (squared > 1e-12 * squared[-1]) & (squared * unit > 1e-12)
        squared, right = squared[kept], vectors[:, kept].T
        singular = np.sqrt(squared)
        left = away @ right.T / singular
        carried = left.T @ self.residuals
        rest = max(float(self.residuals @ self.residuals - carried @ carried), 0.0)
        far = (basis.far - self.shift @ along) @ right.T * np.sqrt(unit)
        outside = (basis.far - self.shift @ along) * np.sqrt(unit)
        variance = (outside * outside).sum(axis=1) + unit * basis.missing
        return left, singular * np.sqrt(unit), carried, rest, far, variance

    def average(self, basis: _Basis, sizes: Array, consistency: float) -> tuple[Array, Array, Array]:
        """Log restricted likelihood ``(k,)``, correction ``(k, m)`` and scale ``(k, m)`` at each of ``k`` sizes."""
        _, singular, carried, rest, far, variance = self._project(basis)
        inflation = 1.0 + sizes[:, None] * singular**2
        total = rest + (carried**2 / inflation).sum(axis=1) + 1e-300
        log = self.log - 0.5 * np.log(inflation).sum(axis=1) - 0.5 * self.degrees * np.log(total)
        gain = sizes[:, None] * singular / inflation
        centre = self.centre + (gain * carried) @ far.T
        known = (sizes[:, None] * singular * gain) @ (far * far).T
        spread = 1.0 + (self.shift * self.shift).sum(axis=1) + sizes[:, None] * variance - known
        scale = np.sqrt(np.maximum(spread, 1e-12) * consistency * total[:, None] / self.degrees)
        return log, centre, np.maximum(scale, 1e-12)

    def left_out(self, basis: _Basis, sizes: Array) -> tuple[Array, Array]:
        """Log restricted likelihood ``(k,)``, squared standardised residual of each run left out ``(k, n)``."""
        left, singular, carried, rest, _, _ = self._project(basis)
        inflation = 1.0 + sizes[:, None] * singular**2
        total = rest + (carried**2 / inflation).sum(axis=1) + 1e-300
        log = -0.5 * np.log(inflation).sum(axis=1) - 0.5 * self.degrees * np.log(total)
        shrink = 1.0 - 1.0 / inflation
        alone = 1.0 - (self.explained**2).sum(axis=1) - shrink @ (left**2).T
        error = self.residuals - (shrink * carried) @ left.T
        return log, error**2 / (np.maximum(alone, 1e-9) * (total / self.degrees)[:, None])


def _discount(near: Scene, residuals: Array, bases: list[_Basis], prior: Prior) -> tuple[Array, float]:
    """Relative noise of each run (shape ``(n,)``, at least one), and the log prior density of that choice."""
    noise = np.ones(len(residuals))
    # A few settings are enough to tell a bad run from a good one.
    bases, sizes = bases[1::2] or bases, np.array([0.0, *prior.sizes[2::3]])
    for turn in range(prior.passes):
        contrast = _Contrast.of(near.slopes, residuals, near.slopes[:1], noise)
        found = [contrast.left_out(basis, sizes) for basis in bases]
        log = np.concatenate([entry[0] for entry in found])
        weights = np.exp(log - log.max())
        squared = weights @ np.concatenate([entry[1] for entry in found]) / weights.sum()
        if turn:
            squared = squared * noise**2
        noise = np.maximum(np.sqrt((prior.tail + np.minimum(squared, 1e6)) / (prior.tail + 1.0)), 1.0)
    precision, half = noise**-2.0, 0.5 * prior.tail
    # Gamma density of the precisions (of which t noise is a scale mixture), relative to that of undisturbed runs.
    return noise, float(((half - 1.0) * np.log(precision) - half * (precision - 1.0)).sum())
