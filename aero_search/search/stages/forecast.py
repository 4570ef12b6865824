"""What a network's perplexities at smaller stages say of the one at a larger stage, with an interval.

With y the logarithm of perplexity at the larger stage and x_1 ... x_q those at the stages below, nearest last,

    y = a + b_1 x_1 + ... + b_q x_q + e,   e normal with variance v,

fitted on the networks that have been at both. The prior says that differences stay what they were at the nearest
stage: b_q is 1 and the other b are 0, each with standard deviation SLOPE; a is flat; v is scaled inverse
chi-squared, worth PRIOR networks that scatter by SCATTER. This is conjugate (Gelman et al., Bayesian Data Analysis,
3rd ed., sections 14.2 and 14.8): with the precision L of the prior in units of v, X the rows (1, x) and m0 the
prior's mean,

    V = (X'X + L)^-1,   m = V (X'y + L m0),
    s^2 = (PRIOR SCATTER^2 + |y - X m|^2 + (m - m0)' L (m - m0)) / (PRIOR + n - 1),

and a new y is Student-t with PRIOR + n - 1 degrees of freedom around (1, x) m, of the scale
s sqrt(1 + (1, x) V (1, x)').

Shapes: n networks, q stages below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Array = npt.NDArray[np.float64]

# Relative scatter of a network around the line, and the networks that this is worth.
SCATTER, PRIOR = 0.03, 4
# Of the coefficients around their prior means.
SLOPE = 0.3


@dataclass(frozen=True)
class Prediction:
    """Logarithm of perplexity that is expected: Student-t around `mean` with this scale and degrees of freedom."""

    mean: float
    scale: float
    freedom: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Ends of the central interval, as perplexities."""
        half = float(stdtrit(self.freedom, 0.5 + level / 2)) * self.scale
        return float(np.exp(self.mean - half)), float(np.exp(self.mean + half))

    @property
    def perplexity(self) -> float:
        """The median, as a perplexity."""
        return float(np.exp(self.mean))


class Forecast:
    """Fitted on networks that have been at the larger stage and at those below.

    Args:
        below: logarithms of perplexity at the stages below, nearest last, (n, q), q >= 1.
        above: at the larger stage, (n,), n >= 1.
    """

    def __init__(self, below: Array, above: Array) -> None:
        n, q = below.shape
        # Centred, so that the flat constant does not depend on the level.
        self._centre = below.mean(axis=0)
        x = np.column_stack([np.ones(n), below - self._centre])
        prior = np.zeros(q + 1)
        prior[-1] = 1.0
        precision = np.diag([0.0, *[(SCATTER / SLOPE) ** 2] * q])
        self._covariance = np.linalg.inv(x.T @ x + precision)
        self._mean = self._covariance @ (x.T @ above + precision @ prior)
        self._freedom = PRIOR + n - 1
        away, moved = above - x @ self._mean, self._mean - prior
        squares = PRIOR * SCATTER**2 + away @ away + moved @ precision @ moved
        self._variance = float(squares) / self._freedom

    def __call__(self, below: Array) -> Prediction:
        """What is expected of a network with these logarithms at the stages below, (q,)."""
        x = np.concatenate([[1.0], below - self._centre])
        variance = self._variance * (1 + x @ self._covariance @ x)
        return Prediction(float(x @ self._mean), float(np.sqrt(variance)), self._freedom)
