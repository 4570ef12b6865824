"""Gaussian processes of scikit-learn: perplexity's logarithm, the chance to finish, the seconds of a training.

Hyperparameters are maximum a posteriori: scikit-learn maximizes the likelihood alone, which overfits dozens of
length scales to a dozen trials, so the optimizer handed to it adds the log density of a prior. Length scales have
the dimension-scaled log-normal prior of Hvarfner et al. (2024, arXiv 2402.02229, section 4), with features scaled
to 0..1, centred halfway between its median and its mode, in logarithms: around the median, surfaces of eight trials
claim a third of the error that they have, and around the mode they unlearn straight lines. The noise's variance, a
share of the values', has a log-normal one.

Shapes: n trials, c candidates, d features.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import Ridge

Array = npt.NDArray[np.float64]
_Loss = Callable[..., Any]

# Trials that hyperparameters are fitted on; a gradient costs their square times the features.
_FITTED_ON = 96
_ITERATIONS = 40
_LENGTH_BOUNDS = (0.05, 200.0)
_SCALE_BOUNDS = (0.05, 20.0)
_NOISE_BOUNDS = (1e-6, 1.0)
# What of a column must be its own, root mean square, to be no combination of others.
_DEPENDENT = 1e-6
# Mean and standard deviation of the logarithms.
_SCALE_PRIOR = (0.0, 1.0)
_NOISE_PRIOR = (-4.0, 1.0)
_LENGTH_SPREAD = math.sqrt(3)
# What a prediction never claims to be surer than, as a share of the values' spread.
_LEAST_SD = 1e-4
# The least chance to finish that a candidate is given.
_LEAST_CHANCE = 0.02
# Of the regression of seconds, for features scaled to 0..1.
_RIDGE = 0.1


@dataclass(frozen=True)
class Scaling:
    """Features mapped to 0..1 over what was seen; those that follow linearly from ones before them are dropped."""

    low: Array
    span: Array
    kept: npt.NDArray[np.intp]

    @classmethod
    def of(cls, x: Array) -> Scaling:
        """Fit to rows that tell what varies and what depends on what among those to be looked at, (n, d)."""
        low = x.min(axis=0)
        span = x.max(axis=0) - low
        varied = np.flatnonzero(span > 1e-9)
        kept = varied[_independent((x[:, varied] - low[varied]) / span[varied])]
        return cls(low[kept], span[kept], kept)

    def __call__(self, x: Array) -> Array:
        if len(self.kept) == 0:  # every row is the same
            return np.zeros((len(x), 1))
        return np.asarray((x[:, self.kept] - self.low) / self.span, dtype=np.float64)


def _independent(x: Array) -> npt.NDArray[np.intp]:
    """The columns of x, (n, d), that are no linear combination of a constant and the columns before them."""
    basis = np.full((len(x), 1), 1 / math.sqrt(len(x)))
    kept = []
    for index, column in enumerate(x.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # what the first subtraction has lost in digits
        size = float(np.linalg.norm(rest))
        if size > _DEPENDENT * math.sqrt(len(x)):
            basis = np.column_stack([basis, rest / size])
            kept.append(index)
    return np.array(kept, dtype=np.intp)


def capped(values: Array) -> Array:
    """Values with the worst brought down to as far above the median as the best lies below it, (n,).

    The worst values are clipped so they do not dominate the target scale.
    """
    most = 2 * float(np.median(values)) - float(values.min())
    return np.asarray(np.minimum(values, most), dtype=np.float64)


class Surface:
    """One Gaussian process: Matern 5/2 with a length scale a feature, and learned noise.

    Args:
        x: scaled features of the observations, the most telling first, (n, d), n >= 1.
        y: observations, (n,).
    """

    def __init__(self, x: Array, y: Array) -> None:
        self._x, self._mean = x, float(np.mean(y))
        self._spread = float(np.std(y)) or 1.0
        self._y = (y - self._mean) / self._spread
        self._kernel = _fitted_kernel(x[:_FITTED_ON], self._y[:_FITTED_ON])
        self._process = self._condition(self._x, self._y)

    @property
    def noise(self) -> float:
        """Learned standard deviation of an observation, in the observations' unit."""
        return self._spread * math.sqrt(self._kernel.k2.noise_level)

    def believing(self, pending: Array) -> Surface:
        """The same process after `pending` points, (p, d), came out as predicted.

        Conditioned on predicted means: the kriging believer (Ginsbourger et al., 2010).
        """
        if len(pending) == 0:
            return self
        mean = self._process.predict(pending)
        believed = copy.copy(self)
        believed._process = self._condition(np.vstack([self._x, pending]), np.concatenate([self._y, mean]))
        return believed

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the value without its noise, (c,) each."""
        mean, sd = self._process.predict(x, return_std=True)
        latent = np.sqrt(np.maximum(sd**2 - self._kernel.k2.noise_level, _LEAST_SD**2))
        return self._mean + self._spread * mean, self._spread * latent

    def _condition(self, x: Array, y: Array) -> GaussianProcessRegressor:
        return GaussianProcessRegressor(self._kernel, optimizer=None).fit(x, y)


def _fitted_kernel(x: Array, y: Array) -> Any:
    d = x.shape[1]
    kernel = ConstantKernel(1.0, _SCALE_BOUNDS) * Matern(
        np.full(d, math.sqrt(d)), _LENGTH_BOUNDS, nu=2.5
    ) + WhiteKernel(math.exp(_NOISE_PRIOR[0]), _NOISE_BOUNDS)
    if len(y) == 1:
        return kernel
    with warnings.catch_warnings():
        # A length scale at its bound belongs to a feature that does not matter.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianProcessRegressor(kernel, optimizer=_maximum_a_posteriori).fit(x, y).kernel_


def _maximum_a_posteriori(loss: _Loss, start: Array, bounds: Array) -> tuple[Array, float]:
    """What scikit-learn calls to choose the logarithms theta: (scale, length scales ..., noise)."""
    d = len(start) - 2
    length = math.sqrt(2) + 0.5 * math.log(d) - 0.5 * _LENGTH_SPREAD**2
    mean = np.array([_SCALE_PRIOR[0], *[length] * d, _NOISE_PRIOR[0]])
    sd = np.array([_SCALE_PRIOR[1], *[_LENGTH_SPREAD] * d, _NOISE_PRIOR[1]])

    def penalized(theta: Array) -> tuple[float, Array]:
        value, gradient = loss(theta)
        away = (theta - mean) / sd
        return float(value + 0.5 * away @ away), np.asarray(gradient + away / sd)

    found = minimize(
        penalized, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": _ITERATIONS}
    )
    return found.x, float(found.fun)


class Chance:
    """The probability that a training finishes.

    Least-squares classification (Rasmussen & Williams, section 6.5): the process of the labels 0 and 1, which goes
    back to the share of finished trials far from every one of them.

    Args:
        x: scaled features of the trials that ended, (n, d).
        finished: whether they did, (n,).
    """

    def __init__(self, x: Array, finished: npt.NDArray[np.bool_]) -> None:
        mixed = bool(finished.any()) and not finished.all()
        self._surface = Surface(x, finished.astype(np.float64)) if mixed else None
        self._share = float((finished.sum() + 1) / (len(finished) + 2))

    def __call__(self, x: Array) -> Array:
        """Of candidates, (c,); never quite 0."""
        if self._surface is None:
            return np.full(len(x), self._share)
        return np.clip(self._surface.predict(x)[0], _LEAST_CHANCE, 1.0)


class Seconds:
    """How long a training takes: a ridge regression of the logarithm, for time is smooth in sizes and kinds.

    Args:
        x: scaled features of trials with known times, (n, d).
        seconds: above 0, (n,).
    """

    def __init__(self, x: Array, seconds: Array) -> None:
        # Two times are the least that differ.
        self._ridge = Ridge(alpha=_RIDGE).fit(x, np.log(seconds)) if len(seconds) > 1 else None

    def log(self, x: Array) -> Array:
        """Its logarithm for candidates, (c,); 0 where no times are known."""
        if self._ridge is None:
            return np.zeros(len(x))
        return np.asarray(self._ridge.predict(x), dtype=np.float64)
