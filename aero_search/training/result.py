"""What one training run leaves behind, as data: the content of a candidate's `result.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aero_search.architecture import Architecture
from aero_search.errors import AeroSearchError
from aero_search.init.recovery import Recovery
from aero_search.init.sizes import unserved
from aero_search.integrity import DamagedError, file_digest, read_sealed, write_sealed
from aero_search.schema import SchemaError, from_mapping, to_mapping
from aero_search.training.entropy_health import EntropyHealth
from aero_search.training.norm_health import NormHealth

Verdict = Literal["finished", "plateau", "stopped", "diverged"]
RESULT_FILE = "result.json"
WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True)
class CurvePoint:
    """One validation: losses in nats a token; `train_loss` is the mean since the last point.

    Attributes:
        entropy: mean attention entropy in nats by layer and head; empty where a head had no number, and in
            results of earlier versions.
        health: of the attention; None where entropy is empty.
        accuracy: share of the held-out tokens that are the most likely one, 0 to 1.
        bits_per_byte: of the held-out text; None where the corpus does not say how many bytes it has.
        norms: of the norms with running statistics; None without such.
    """

    step: int
    train_loss: float | None
    validation_loss: float
    perplexity: float
    seconds: float
    entropy: tuple[tuple[float, ...], ...] = ()
    health: EntropyHealth | None = None
    # None in results of versions that did not measure them.
    accuracy: float | None = None
    bits_per_byte: float | None = None
    norms: NormHealth | None = None


@dataclass(frozen=True)
class Teacher:
    """The trained network that a training started from.

    Attributes:
        name: its folder and notation.
        fingerprint: of its network and weights.
        distilled: share of the loss that followed it.
        without_rule: parts of the trained network that none of its weights serve, in words.
    """

    name: str
    fingerprint: str
    distilled: float = 0.0
    without_rule: tuple[str, ...] = ()

    @staticmethod
    def of(recovery: Recovery, architecture: Architecture) -> Teacher:
        """The teacher of a recovery, for a student of this architecture."""
        checkpoint = recovery.checkpoint
        lost = tuple(unserved(checkpoint.architecture, architecture))
        return Teacher(checkpoint.name, checkpoint.fingerprint, recovery.distill.weight, lost)


@dataclass(frozen=True)
class Result:
    """One trained candidate.

    Attributes:
        key: the architecture's key.
        notation: its name in the paper's notation.
        verdict: `finished`; `plateau`: never left the unigram loss; `stopped`: at a rung, where its checkpoint
            waits to go on; `diverged`: the loss is no number, or far above that of token frequencies.
        reason: the verdict in words, with step, learning rate and layer where known.
        perplexity: on the held-out split after the last step that was trained; None when diverged.
        curve: one point a validation.
        entropy: mean attention entropy in nats by layer and head, of the last validation that was finite.
        parameters: weights of the network, thresholds of the regularizer not counted.
        seconds: wall time of training and validation.
        tokens: seen in training.
        unigram_perplexity: of the held-out split under the training split's token frequencies.
        health: of the attention at the last validation that was finite; None without one.
        accuracy, bits_per_byte: as perplexity; None too in results of earlier versions.
        unigram_accuracy: of the held-out split when always the training split's most frequent token is told.
        teacher: None where it started from random weights.
        norms: of the norms with running statistics at the last validation; None without such.
        labels: of a labelled set, each class and the token that answers for it; else empty.
        weights_digest: of weights.safetensors; empty where there are none, and in results of earlier versions.
    """

    key: str
    notation: str
    verdict: Verdict
    reason: str
    perplexity: float | None
    validation_loss: float | None
    curve: tuple[CurvePoint, ...]
    entropy: tuple[tuple[float, ...], ...]
    parameters: int
    seconds: float
    tokens: int
    steps: int
    lr: float
    seed: int
    data_seed: int
    fingerprint: str
    unigram_perplexity: float
    versions: Mapping[str, str] = field(default_factory=dict)
    health: EntropyHealth | None = None
    weights_digest: str = ""
    accuracy: float | None = None
    bits_per_byte: float | None = None
    unigram_accuracy: float | None = None
    teacher: Teacher | None = None
    norms: NormHealth | None = None
    labels: Mapping[str, int] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Write `result.json` with its checksum, whole or not at all."""
        return write_sealed(folder / RESULT_FILE, to_mapping(self))


def read_result(folder: Path) -> Result:
    """Read a candidate's `result.json`.

    Raises:
        AeroSearchError: the file is missing or not the result that was written.
    """
    path = folder / RESULT_FILE
    try:
        return from_mapping(Result, read_sealed(path), "result")
    except (OSError, DamagedError, SchemaError) as problem:
        raise AeroSearchError(f"{path} is not a readable result: {problem}") from problem


def check_weights(folder: Path, result: Result) -> None:
    """Refuse weights that are not those that the result was measured on.

    Raises:
        AeroSearchError: they are missing where there were some, or damaged.
    """
    path = folder / WEIGHTS_FILE
    if not result.weights_digest:
        return
    try:
        if file_digest(path) != result.weights_digest:
            raise DamagedError("they do not match the checksum in result.json")
    except (OSError, DamagedError) as problem:
        raise AeroSearchError(f"{path} are not the weights of this training: {problem}") from problem
