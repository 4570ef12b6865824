"""The program of all parties: the forward pass, stage by stage, between a server, a client and perhaps a helper.

The server's process holds the weights, the client's the tokens and the weights of public layers, which it runs in
the clear; the client learns the logits. Architecture and lowerings are known to all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from aero_search.cost import Workload
from aero_search.measure.forward import client_value, stage_function
from aero_search.measure.party import Party, Secret
from aero_search.measure.program import (
    ANSWERS_FILE,
    LOGITS,
    LOGITS_FILE,
    Pass,
    carried,
    entry,
    last_uses,
    passes,
    public_names,
    run_name,
    sequence_name,
    stages,
    weight_names,
)
from aero_search.measure.setup import set_up
from aero_search.schema import from_mapping


def forward_pass(party: Party) -> None:
    """Set up, bring in the weights once, and run the passes of a query for every sequence of the client.

    Settings: `forward`, a Pass as a mapping; `workload`, a Workload of which `passes` makes the query, one
    pass where there is none; `sequences`, how many the client has.
    """
    forward = from_mapping(Pass, party.settings["forward"], "forward")
    query = passes(forward, from_mapping(Workload, party.settings.get("workload", {}), "workload"))
    if not party.alone:
        set_up(party)
    private = forward.weights == "private"
    weights = {name: party.enter("server", party.owned.get(name), private) for name in weight_names(forward)}
    public = {name: party.owned[name] for name in public_names(forward)} if party.plays("client") else {}
    # Equal operations of a pass share one function, so that each is compiled once for all layers.
    functions: dict[tuple[int, str, str | None], Callable[..., Any]] = {}
    logits, answers = {}, {}
    for index in range(int(party.settings["sequences"])):
        name = sequence_name(index)
        seen = party.owned[name] if party.plays("client") else None
        rows, chosen = [], []
        cache: dict[str, Secret] = {}
        for number, step in enumerate(query):
            program, kept = stages(step, number), carried(step) if number + 1 < len(query) else {}
            dropped = last_uses(program, kept)
            brought = None if seen is None else client_value(step, public, seen)
            values: dict[str, Secret] = {**weights, **cache, entry(step): party.enter("client", brought)}
            for stage in program:
                function = (number, stage.op, stage.kind)
                if function not in functions:
                    functions[function] = stage_function(step, stage)
                made, _ = party.run(
                    run_name(index, stage.name),
                    functions[function],
                    *(values[value] for value in stage.reads),
                )
                values |= zip(stage.writes, made, strict=True)
                for value in dropped.get(stage.name, ()):
                    if value not in weights:
                        party.forget(values.pop(value))
            cache = {there: values[here] for here, there in kept.items()}
            opened = party.reveal(values[LOGITS], to="client")
            party.forget(values[LOGITS])
            if opened is not None and seen is not None:
                rows.append(opened)
                # The client takes the most likely token, and enters it in the next pass.
                chosen.append(opened[-1:].argmax(-1))
                seen = np.concatenate([seen, chosen[-1]])
        if rows:
            logits[name], answers[name] = np.concatenate(rows), np.concatenate(chosen)
    if logits:
        party.save(LOGITS_FILE, logits)
        party.save(ANSWERS_FILE, answers)
