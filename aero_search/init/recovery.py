"""How a candidate starts from a checkpoint and is brought back: the settings init, distill and train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from aero_search.errors import RequestError
from aero_search.init.checkpoint import Checkpoint, open_checkpoint
from aero_search.schema import from_mapping, to_mapping

Kind = Literal["logits", "logits+hidden", "logits+attention"]
Scope = Literal["all", "adapters", "norms_and_heads"]
# Raised when the rules of `init.carry` change what a candidate starts from.
SURGERY = 1
MAX_RANK = 4096


@dataclass(frozen=True)
class InitSpec:
    """conf/config.yaml: init

    Attributes:
        from_: a folder, `STUDY:TRIAL` or `hf:NAME`; None starts from random weights.
    """

    from_: str | None = None


@dataclass(frozen=True)
class DistillSpec:
    """conf/config.yaml: distill

    The loss is (1 - weight) * cross-entropy + weight * (temperature^2 * KL(teacher || student) + what `kind` adds),
    both distributions at that temperature (Hinton et al., arXiv 1503.02531, section 2).

    Attributes:
        kind: `logits` alone; with `hidden`, the stream after each layer as well (mean square over the teacher's);
            with `attention`, what attention adds to it.
    """

    weight: float = 0.0
    temperature: float = 1.0
    kind: Kind = "logits"

    def __post_init__(self) -> None:
        problems = list(self._violations())
        if problems:
            raise RequestError("; ".join(problems))

    def _violations(self) -> Iterator[str]:
        if not 0 <= self.weight <= 1:
            yield f"distill.weight={self.weight:g} must lie between 0 and 1"
        if not 0 < self.temperature <= 100:
            yield f"distill.temperature={self.temperature:g} must be above 0 and at most 100"


@dataclass(frozen=True)
class TrainSpec:
    """conf/config.yaml: train

    Attributes:
        scope: what is trained: `all`; `norms_and_heads`: gains, biases, temperatures, slopes and the LM head;
            `adapters`: gains, biases, temperatures, slopes, and of the layers' matrices a change of low rank.
        rank: of that change (LoRA's r).
    """

    scope: Scope = "all"
    rank: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= MAX_RANK:
            raise RequestError(f"train.rank={self.rank} must lie between 1 and {MAX_RANK}")

    def identifying(self) -> dict[str, Any]:
        """What of it decides a training."""
        rank = {"rank": self.rank} if self.scope == "adapters" else {}
        return {"scope": self.scope, **rank}


@dataclass(frozen=True)
class Recovery:
    """A candidate's start from a checkpoint.

    Attributes:
        distill: at its defaults where its weight is 0.
        cache: where the teacher's logits are kept; None computes them at every step.
    """

    checkpoint: Checkpoint
    distill: DistillSpec = DistillSpec()
    train: TrainSpec = TrainSpec()
    cache: Path | None = field(default=None, compare=False)

    def message(self) -> dict[str, Any]:
        """As plain data, for another process on this machine."""
        return {
            "folder": str(self.checkpoint.folder),
            "source": self.checkpoint.source,
            "distill": to_mapping(self.distill),
            "train": to_mapping(self.train),
            "cache": None if self.cache is None else str(self.cache),
        }

    @staticmethod
    def of_message(said: Mapping[str, Any]) -> Recovery:
        """What `message` told."""
        return Recovery(
            open_checkpoint(Path(said["folder"]), said["source"]),
            from_mapping(DistillSpec, said["distill"], "distill"),
            from_mapping(TrainSpec, said["train"], "train"),
            None if said["cache"] is None else Path(said["cache"]),
        )

    def identifying(self, seed: int) -> dict[str, Any]:
        """What of it decides a training with this `recipe.seed`."""
        said: dict[str, Any] = {"teacher": self.checkpoint.fingerprint, "surgery": SURGERY}
        if self.distill.weight:
            said["distill"] = asdict(self.distill)
        # Before the seed decided the order of batches, all seeds were one training under many names.
        if seed:
            said["order"] = "seeded"
        return said if self.train.scope == "all" else {**said, **self.train.identifying()}


def make_recovery(
    checkpoint: Checkpoint | None, distill: DistillSpec, train: TrainSpec, cache: Path | None = None
) -> Recovery | None:
    """The recovery of these settings; None for a start from random weights.

    Raises:
        RequestError: a setting without a checkpoint that it is about.
    """
    if checkpoint is not None:
        scoped = train if train.scope == "adapters" else TrainSpec(train.scope)
        return Recovery(checkpoint, distill if distill.weight else DistillSpec(), scoped, cache)
    for name, value, off in (
        ("distill.weight", distill.weight, 0.0),
        ("train.scope", train.scope, TrainSpec().scope),
    ):
        if value != off:
            raise RequestError(
                f"{name}={value} needs a trained network: give init.from=FOLDER, or leave it out"
            )
    return None
