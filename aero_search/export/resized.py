"""`export model=NAME`: the chosen architecture at another size, as data, with the command that trains it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from aero_search.architecture import Architecture, ModelShape, notation, retarget
from aero_search.cost import estimate, flops
from aero_search.export.choice import Choice, write_folder
from aero_search.export.documents import write_provenance
from aero_search.export.layout import ARCHITECTURE_FILE, CARD_FILE, CONFIG_FILE
from aero_search.invocation import BARE, typed
from aero_search.markdown import code, plain
from aero_search.schema import to_mapping
from aero_search.search.files import write_yaml
from aero_search.training.result import read_result

MakeConfig = Callable[[Mapping[str, Any], Architecture], dict[str, Any]]


def write_resized(choice: Choice, shape: ModelShape, config: MakeConfig, folder: Path) -> tuple[str, str]:
    """Write description, configuration and card; layers take the choices of the same relative depth.

    Args:
        config: from the candidate's composed configuration and the architecture to what trains it.

    Returns:
        The architecture in the paper's notation, and the command that trains it.

    Raises:
        RequestError: it cannot be built at that size, or `folder` holds something else.
    """
    architecture = retarget(choice.record.architecture, shape)
    name = notation(architecture)
    command = typed(f"train --config-dir {shlex.quote(str(folder))} --config-name candidate")

    def fill(partial: Path) -> None:
        old = yaml.safe_load(choice.file(CONFIG_FILE).read_text())
        write_yaml(partial / CONFIG_FILE, config(old, architecture), f"{name} at the size of {shape.text}")
        write_yaml(
            partial / ARCHITECTURE_FILE, to_mapping(architecture), f"{name} at the size of {shape.text}"
        )
        write_provenance(choice, read_result(choice.record.folder), "config", partial, (CARD_FILE,))
        (partial / CARD_FILE).write_text(_card(choice, architecture, shape))

    write_folder(folder, "config", fill)
    return name, command


def _card(choice: Choice, a: Architecture, shape: ModelShape) -> str:
    cost = estimate(a, choice.pricing.protocol, choice.pricing.network)
    priced = plain(f"{choice.pricing.protocol.name} on {choice.pricing.network.name}")
    proxy, name = choice.record.architecture, choice.record.notation
    return f"""# {plain(notation(a))} at the size of {plain(shape.text)}

The choices of trial {choice.record.number} of study {code(choice.study)} ({code(name)}, {proxy.n_layer} layers,
d_model {proxy.d_model}) carried over: layer j takes those of the layer at the same relative depth. There are no
weights, and what it reaches is not known before it is trained.

| figure | value | kind |
|---|---|---|
| FLOPs of a forward pass | {flops(a).total / 1e9:.4g} G | counted, 2 x multiply-accumulates |
| private-inference latency | {cost.latency_seconds.total:.4g} s | estimated, {priced} |
| private-inference communication | {cost.communication_bytes.total / 1e9:.4g} GB | estimated, {priced} |

Train it, from this folder ({BARE[:-1]}):

    aero-search train --config-dir . --config-name candidate

with another corpus and recipe:

    aero-search train architecture=architecture.yaml data=codeparrot recipe=paper_codeparrot
"""
