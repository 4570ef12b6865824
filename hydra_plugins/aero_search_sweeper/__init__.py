"""The shell through which Hydra finds the sweeper: it accepts plug-ins from this namespace only.

Hydra imports every plug-in at every start, so the sweeper itself is imported when it is first used.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class SweeperConfig:
    """hydra/sweeper=aero_search.

    Attributes:
        strategy: `function` calls the application's own function, see `FunctionSweepOptions` for the other fields.
            aero-search's commands set theirs: `search` lets the sampler propose architectures, `grid` trains
            every combination of a sweep, `ladder` the rows of `ladder=`, `plan` says what a search would do.
    """

    _target_: str = "hydra_plugins.aero_search_sweeper.AeroSweeper"
    strategy: str = "function"
    study_name: str | None = None
    folder: str = "outputs"
    directions: list[str] = field(default_factory=lambda: ["minimize"])
    n_trials: int = 20
    workers: int = 1
    sampler: str = "tpe"
    n_startup: int = 10
    seed: int = 0
    storage: str | None = None
    heartbeat: float = 10.0
    retries: int = 1
    params: dict[str, Any] = field(default_factory=dict)


class AeroSweeper(Sweeper):
    """Hands everything to `aero_search.config`: a function's sweep, or one of aero-search's own."""

    def __init__(self, strategy: str, **options: Any) -> None:
        self.strategy, self.options = strategy, options

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        from aero_search.config.secrets import put_away

        self.config, arguments = put_away(self.config, arguments)
        if self.strategy == "function":
            from aero_search.app.function_sweep import FunctionSweep

            options = OmegaConf.to_container(OmegaConf.create(self.options), resolve=True)
            assert isinstance(options, dict)
            return FunctionSweep(options, self.hydra_context, self.task_function, self.config).sweep(
                arguments
            )
        from aero_search.app.sweeper import StudySweep

        return StudySweep(self.strategy, self.hydra_context, self.config).sweep(arguments)


ConfigStore.instance().store(
    group="hydra/sweeper", name="aero_search", node=SweeperConfig, provider="aero_search"
)
