"""Measures a model: folds it, gives each party what it owns, and reads what the pass cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aero_search.cost import PREFILL, Network, Protocol, Workload, estimate
from aero_search.errors import AeroSearchError, RequestError
from aero_search.measure.arrays import server_arrays, server_pass
from aero_search.measure.mailbox import Role, runtime_of
from aero_search.measure.measurement import (
    Measurement,
    StageReading,
    agreement,
    priced_architecture,
    run_lowerings,
)
from aero_search.measure.meter import Reading, together
from aero_search.measure.pair import PairResult, PartyRecord, run_pair
from aero_search.measure.program import (
    ANSWERS_FILE,
    LOGITS_FILE,
    Pass,
    Stage,
    passes,
    public_names,
    run_name,
    sequence_name,
    stages,
    weight_names,
)
from aero_search.model import Decoder, fold
from aero_search.schema import from_mapping, to_mapping

Tokens = NDArray[np.integer[Any]]
OnStage = Callable[[int, Stage], None]
"""Called when a stage is done, with the sequence's number."""

# A request above this is refused: it is minutes that somebody waits for, not hours.
LONGEST_SECONDS = 1800.0


@dataclass(frozen=True)
class Plan:
    """A measurement to come.

    Attributes:
        sequences: forward passes, each on tokens of its own.
        shaped: slow the link down to `network`.
        workload: what one query is; each sequence is one.
    """

    forward: Pass
    protocol: Protocol
    network: Network
    sequences: int
    shaped: bool
    workload: Workload = PREFILL

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Those of one query, in the order they run."""
        query = passes(self.forward, self.workload)
        return tuple(stage for number, step in enumerate(query) for stage in stages(step, number))

    @property
    def seconds(self) -> float:
        """What all of it takes by the estimate, set-up included."""
        priced = priced_architecture(self.forward)
        latency = estimate(priced, self.protocol, self.network, workload=self.workload).latency_seconds
        return latency.setup + self.sequences * latency.total


def plan(
    model: Decoder,
    protocol: Protocol,
    network: Network,
    sequences: int,
    shaped: bool,
    workload: Workload = PREFILL,
) -> Plan:
    """What measuring a model will run.

    Raises:
        RequestError: no sequence is asked for, the protocol lacks an operation, SPU has none of its trust model,
            or the workload is more than a measurement runs.
        AeroSearchError: the model cannot be folded.
    """
    runtime_of(protocol)
    if sequences < 1:
        raise RequestError(f"measure.sequences={sequences} must be at least 1")
    forward = replace(server_pass(fold(model)), lowerings=run_lowerings(protocol), weights=protocol.weights)
    passes(forward, workload)
    return Plan(forward, protocol, network, sequences, shaped, workload)


def check_length(planned: Plan) -> None:
    """Refuse what would run for hours.

    Raises:
        RequestError: says how long it would take, and how to run it all the same.
    """
    if planned.seconds > LONGEST_SECONDS:
        raise RequestError(
            f"this measurement would take about {planned.seconds / 3600:.1f} hours "
            f"({planned.sequences} passes under {planned.protocol.name}): take a smaller model, or "
            "measure.force=true to run it all the same"
        )


def measure(
    model: Decoder,
    tokens_nt: Tokens,
    planned: Plan,
    folder: Path,
    *,
    python: str | None = None,
    on_stage: OnStage | None = None,
) -> Measurement:
    """Run the planned passes between two processes, or three.

    Args:
        tokens_nt: the client's sequences, (planned.sequences, T), prompts where the workload has an answer.
        folder: for the parties' files; new or empty.
        python: interpreter of an environment with spu and jax; this one if None.

    Raises:
        RequestError: SPU is not installed there.
        AeroSearchError: a party died, or the result is not what the program promised.
    """
    program = planned.stages
    known = {run_name(i, stage.name): (i, stage) for i in range(planned.sequences) for stage in program}

    def listen(role: Role, event: Mapping[str, Any]) -> None:
        if on_stage is not None and role == "server" and "run" in event:
            on_stage(*known[event["run"]["name"]])

    arrays = server_arrays(fold(model))
    result = run_pair(
        "aero_search.measure.parties:forward_pass",
        folder,
        server={name: arrays[name] for name in weight_names(planned.forward)},
        client={
            **{name: arrays[name] for name in public_names(planned.forward)},
            **{sequence_name(i): tokens_t for i, tokens_t in enumerate(tokens_nt)},
        },
        settings={
            "forward": to_mapping(planned.forward),
            "workload": to_mapping(planned.workload),
            "sequences": planned.sequences,
        },
        runtime=runtime_of(planned.protocol),
        python=python,
        network=planned.network if planned.shaped else None,
        listener=listen,
    )
    runs = result.runs()
    found = result.client.arrays(LOGITS_FILE)
    private_ntv = np.stack([found[sequence_name(i)] for i in range(planned.sequences)])
    seen_nt = tokens_nt.astype(np.int64)
    if planned.workload.generate > 1:
        answers = result.client.arrays(ANSWERS_FILE)
        answers_nt = np.stack([answers[sequence_name(i)] for i in range(planned.sequences)])
        # What came after the last token is in no pass.
        seen_nt = np.concatenate([seen_nt, answers_nt[:, :-1]], axis=1)
    with torch.no_grad():
        plain_ntv = model.eval()(torch.from_numpy(seen_nt)).numpy()[:, -private_ntv.shape[1] :]
    return Measurement(
        architecture=model.architecture,
        forward=planned.forward,
        protocol=planned.protocol,
        network=planned.network,
        shaped=planned.shaped,
        readings=tuple(
            tuple(StageReading(s, _total(runs, run_name(i, s.name))) for s in program)
            for i in range(planned.sequences)
        ),
        setup=_setup(result),
        agreement=agreement(private_ntv, plain_ntv),
        versions=result.environment.versions,
        workload=planned.workload,
    )


def _total(runs: Mapping[str, Reading], name: str) -> Reading:
    if name not in runs:
        raise AeroSearchError(f"the parties did not report {name}: their package is another version of ours")
    return runs[name]


def _setup(result: PairResult) -> Reading:
    if result.helper is None:
        return _told_setup(result.server)
    return together([_told_setup(party) for party in (result.server, result.client, result.helper)])


def _told_setup(party: PartyRecord) -> Reading:
    told = next(event["setup"] for event in party.events if "setup" in event)
    return from_mapping(Reading, told, "setup")
