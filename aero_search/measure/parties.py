"""The program of all parties: the forward pass, stage by stage, between a server, a client and perhaps a helper.

The server's process holds the weights, the client's the tokens; the client learns the logits. Architecture and
lowerings are known to all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aero_search.measure.forward import client_tokens, stage_function
from aero_search.measure.party import Party, Secret
from aero_search.measure.program import (
    LOGITS,
    LOGITS_FILE,
    TOKENS,
    Pass,
    last_uses,
    run_name,
    sequence_name,
    stages,
    weight_names,
)
from aero_search.measure.setup import set_up
from aero_search.schema import from_mapping


def forward_pass(party: Party) -> None:
    """Set up, bring in the weights once, and run the pass for every sequence of the client.

    Settings: `forward`, a Pass as a mapping; `sequences`, how many the client has.
    """
    forward = from_mapping(Pass, party.settings["forward"], "forward")
    if not party.alone:
        set_up(party)
    private = forward.weights == "private"
    weights = {name: party.enter("server", party.owned.get(name), private) for name in weight_names(forward)}
    program = stages(forward)
    # Equal operations share one function, so that each is compiled once for all layers.
    functions: dict[tuple[str, str | None], Callable[..., Any]] = {}
    for stage in program:
        functions.setdefault((stage.op, stage.kind), stage_function(forward, stage))
    dropped = last_uses(program)
    logits = {}
    for index in range(int(party.settings["sequences"])):
        name = sequence_name(index)
        tokens = client_tokens(forward, party.owned[name]) if party.plays("client") else None
        values: dict[str, Secret] = {**weights, TOKENS: party.enter("client", tokens)}
        for stage in program:
            made, _ = party.run(
                run_name(index, stage.name),
                functions[stage.op, stage.kind],
                *(values[value] for value in stage.reads),
            )
            values |= zip(stage.writes, made, strict=True)
            for value in dropped.get(stage.name, ()):
                if value not in weights:
                    party.forget(values.pop(value))
        opened = party.reveal(values[LOGITS], to="client")
        party.forget(values[LOGITS])
        if opened is not None:
            logits[name] = opened
    if logits:
        party.save(LOGITS_FILE, logits)
