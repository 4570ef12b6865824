"""What the table is of: the networks of `space.yaml`, and the request that each of them is a change of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from aero_search.app.sweeper import Compose
from aero_search.architecture import Architecture, canonical
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir, search_spaces_dir
from aero_search.config.request import Request
from aero_search.errors import RequestError
from aero_search.space import Space, Tree, space_base

SPACE = Path(__file__).parent / "space.yaml"


@dataclass(frozen=True)
class Networks:
    """Every network of a space.

    Attributes:
        request: what they have in common: recipe, corpus, sizes.
        architectures: canonical, by the overrides that name them, in the space's order; no two are equal.
    """

    space: Space
    request: Request
    architectures: Mapping[tuple[str, ...], Architecture]


def load_networks(space: Path = SPACE, overrides: Sequence[str] = ()) -> Networks:
    """List a space whole.

    Args:
        overrides: come after the space's own base.

    Raises:
        RequestError: two assignments name one network, or some name none.
    """
    base = (*space_base(str(space), search_spaces_dir()), *overrides)
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        said = [f"space={space}", *base]
        request = read_request(compose("config", overrides=said), said)
        found = request.load_space()
        master = compose("config", return_hydra_config=True)
        build = Compose(GlobalHydra.instance().config_loader(), master, base, "").quick().architecture
        architectures: dict[tuple[str, ...], Architecture] = {}
        names: dict[Architecture, tuple[str, ...]] = {}
        for assignment in Tree(found.parameters):
            name = tuple(found.overrides(assignment))
            architecture = canonical(build(name))
            if architecture in names:
                raise RequestError(
                    f"{space} names one network twice, {' '.join(names[architecture])} and {' '.join(name)}: "
                    "give the second a `when`"
                )
            architectures[name] = architecture
            names[architecture] = name
    return Networks(found, request, architectures)
