"""What the groups of conf/ offer, read whole: every protocol, network and size that a page can choose from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from aero_search.architecture import Architecture, ModelShape
from aero_search.config.group_option import group_option
from aero_search.config.hydra_errors import sentence
from aero_search.config.paths import conf_dir
from aero_search.config.target import load_shape
from aero_search.cost import Network, Protocol
from aero_search.errors import AeroSearchError
from aero_search.printing import print_line
from aero_search.schema import from_mapping

T = TypeVar("T")


# Whatever a file of the user's does to Hydra, OmegaConf, YAML or us.
_UNREADABLE = (AeroSearchError, HydraException, OmegaConfBaseException, YAMLError, OSError, UnicodeError)


def offered_protocols() -> dict[str, Protocol]:
    """Every option of the group `protocol`, the user's own among them; what cannot be read is left out."""
    return _options(
        "protocol", lambda name: from_mapping(Protocol, group_option("protocol", name), "protocol")
    )


def offered_networks() -> dict[str, Network]:
    """Every option of the group `network` that is whole: `custom` waits for its numbers."""
    return _options("network", lambda name: from_mapping(Network, group_option("network", name), "network"))


def offered_shapes(like: Architecture) -> list[ModelShape]:
    """The sizes of every option of the group `model` that is wired like this one, smallest first."""
    chosen = [shape for shape in _options("model", load_shape).values() if shape.is_wired_like(like)]
    return sorted(chosen, key=lambda shape: (shape.d_model, shape.n_layer))


def _options(group: str, read: Callable[[str], T]) -> dict[str, T]:
    """Every option of a group that can be read; which of the user's own cannot is said on stderr."""
    found = {}
    for name in GlobalHydra.instance().config_loader().get_group_options(group):
        try:
            found[name] = read(name)
        except _UNREADABLE as problem:
            if not (conf_dir() / group / f"{name}.yaml").is_file():
                print_line(f"left out: {group}={name}, {sentence(problem, None)}", stderr=True)
    return found
