"""The shell through which Hydra finds the sweeper: it accepts plug-ins from this namespace only.

Hydra imports every plug-in at every start, so the sweeper itself is imported when it is first used.
"""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class SweeperConfig:
    """hydra/sweeper=aero_search.

    Attributes:
        strategy: `search` lets the sampler propose; `grid` trains every combination of the sweep;
            `ladder` trains the rows of `ladder=`.
    """

    _target_: str = "hydra_plugins.aero_search_sweeper.AeroSweeper"
    strategy: str = "search"


class AeroSweeper(Sweeper):
    """Hands everything to `aero_search.config.sweeper.StudySweep`."""

    def __init__(self, strategy: str) -> None:
        self.strategy = strategy

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def sweep(self, arguments: list[str]) -> Any:
        from aero_search.config.sweeper import StudySweep

        return StudySweep(self.strategy, self.hydra_context, self.config).sweep(arguments)


ConfigStore.instance().store(
    group="hydra/sweeper", name="aero_search", node=SweeperConfig, provider="aero_search"
)
