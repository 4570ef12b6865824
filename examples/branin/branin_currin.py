"""Two numbers at once: Branin's function is kept small while Currin's is made large, and the result is a front."""

import math

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="branin_currin")
def branin_currin(cfg: DictConfig) -> tuple[float, float]:
    """Return one number for each of `hydra.sweeper.directions`; both functions on the unit square."""
    u, v = cfg.u, cfg.v
    x, y = 15 * u - 5, 15 * v
    wave = y - 5.1 * x**2 / (4 * math.pi**2) + 5 * x / math.pi - 6
    branin = wave**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
    # Currin et al. 1988; what is in the exponent grows without bound as v falls to 0.
    damping = 1 - math.exp(-1 / (2 * v)) if v > 0 else 1.0
    currin = damping * (2300 * u**3 + 1900 * u**2 + 2092 * u + 60) / (100 * u**3 + 500 * u**2 + 4 * u + 20)
    return branin, currin


if __name__ == "__main__":
    branin_currin()
