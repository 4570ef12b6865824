"""A plain function under `hydra/sweeper=aero_search`: Branin's, which has three equal minima of 0.397887."""

import math

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="branin")
def branin(cfg: DictConfig) -> float:
    """Return what the sweeper is to keep small."""
    x, y = cfg.x, cfg.y
    wave = y - 5.1 * x**2 / (4 * math.pi**2) + 5 * x / math.pi - 6
    return wave**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


if __name__ == "__main__":
    branin()
