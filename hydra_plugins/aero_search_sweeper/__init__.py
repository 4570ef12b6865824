"""The shell through which Hydra finds the sweeper (it accepts plug-ins from this namespace only)."""

from hydra.core.config_store import ConfigStore

from aero_search.config.sweeper import AeroSweeper, SweeperConfig

__all__ = ["AeroSweeper"]

ConfigStore.instance().store(
    group="hydra/sweeper", name="aero_search", node=SweeperConfig, provider="aero_search"
)
