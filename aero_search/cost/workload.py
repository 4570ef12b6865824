"""What is asked of a network at once: a forward pass, a conversation of so many tokens, a classification.

A workload is a list of passes over the inventory. A prefill runs every token of the prompt; each further token is a
pass of one token over a key-value cache of all before it. The first token of an answer comes from the prefill's
logits, so `generate` tokens take `generate` - 1 such passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from aero_search.architecture import Architecture, Layer
from aero_search.cost.inventory import (
    Operation,
    input_operations,
    inventory,
    layer_operations,
    output_operations,
)
from aero_search.errors import RequestError

# Passes are priced one by one, each with a cache of its own length.
_LONGEST = 1 << 20
_MOST_GENERATED = 1 << 14


class Pass(NamedTuple):
    """Tokens that attention sees, and whether all of them run or the last alone."""

    tokens: int
    decode: bool


@dataclass(frozen=True, slots=True)
class Workload:
    """conf/workload: what one query is; every cost and limit is that of a query.

    Attributes:
        prompt: tokens of each sequence; None: as many as the network is trained with.
        generate: tokens of the answer; 0: the forward pass alone.
        batch: sequences of a query, answered together: their round trips are shared.
        logits: of `every` token of the prompt, or of the `last`.
        sampling: who takes the next token: the `client`, from logits that are opened to it, or the parties, who
            open the largest alone (`argmax`) or draw from the `top_k` largest.
        top_k: how many; each is a maximum of its own.
        embedding: by the `protocol`, or by the `client`, who then holds the table.
    """

    name: str = "prefill"
    prompt: int | None = None
    generate: int = 0
    batch: int = 1
    logits: Literal["every", "last"] = "every"
    sampling: Literal["client", "argmax", "top_k"] = "client"
    top_k: int = 50
    embedding: Literal["protocol", "client"] = "protocol"

    def __post_init__(self) -> None:
        prompt = 1 if self.prompt is None else self.prompt
        for field, value, least, most in (
            ("prompt", prompt, 1, _LONGEST),
            ("generate", self.generate, 0, _MOST_GENERATED),
            ("batch", self.batch, 1, _LONGEST),
            ("top_k", self.top_k, 1, _LONGEST),
        ):
            if not least <= value <= most:
                raise RequestError(f"workload.{field}={value} must be from {least} to {most}")
        if self.sampling != "client" and not self.generate:
            raise RequestError(
                f"workload.sampling={self.sampling} takes no token where workload.generate=0: ask for one at least"
            )

    @property
    def text(self) -> str:
        """For people: what one query is."""
        prompt = (
            "a prompt of the network's length" if self.prompt is None else f"a prompt of {self.prompt} tokens"
        )
        answer = f", {self.generate} tokens generated ({self.sampling} takes them)" if self.generate else ""
        return f"{self.name}: {self.batch} times {prompt}{answer}"

    def passes(self, seq_len: int) -> tuple[Pass, ...]:
        """In order; `seq_len` is that of the network."""
        prompt = seq_len if self.prompt is None else self.prompt
        return (Pass(prompt, False), *(Pass(prompt + i, True) for i in range(1, self.generate)))

    def operations(
        self, architecture: Architecture, decode: bool = False
    ) -> Iterator[tuple[bool, Operation]]:
        """Every operation of a query, each with whether it is one of the first pass.

        Args:
            decode: instead of the workload's passes one of a token at the network's last position.
        """
        passes = (Pass(architecture.seq_len, True),) if decode else self.passes(architecture.seq_len)
        for number, step in enumerate(passes):
            for operation in self.adapted(inventory(sized(architecture, step.tokens), step.decode)):
                yield number == 0, operation

    def outside(self, architecture: Architecture, step: Pass) -> list[Operation]:
        """Those of one pass outside the decoder layers."""
        a = sized(architecture, step.tokens)
        return list(self.adapted([*input_operations(a, step.decode), *output_operations(a, step.decode)]))

    def layer(self, architecture: Architecture, layer: Layer, step: Pass) -> list[Operation]:
        """Those of one pass in one decoder layer."""
        a = sized(architecture, step.tokens)
        return list(self.adapted(layer_operations(a, layer, 0, step.decode)))

    def adapted(self, operations: Iterable[Operation]) -> Iterator[Operation]:
        """The operations of one pass as this workload runs them, and who takes the token after it."""
        for operation in operations:
            if self.embedding == "client" and operation.part == "embedding":
                continue
            if self.logits == "last" and operation.layer is None and operation.part in ("norm", "lm_head"):
                operation = replace(operation, shape=(1, *operation.shape[1:]))
            yield operation if self.batch == 1 else self._batched(operation)
            if operation.part == "lm_head" and self.sampling != "client":
                times = 1 if self.sampling == "argmax" else self.top_k
                token = Operation("sampling", "token", "argmax", (self.batch, operation.shape[-1]))
                # One maximum after another: the place of each is secret.
                yield from [token] * times

    def _batched(self, operation: Operation) -> Operation:
        """Rows of every sequence together; what looks along a sequence runs once for each."""
        if operation.kind == "matmul" or operation.causal:
            return replace(operation, count=self.batch * operation.count)
        rows, *rest = operation.shape
        return replace(operation, shape=(self.batch * rows, *rest))


def sized(architecture: Architecture, tokens: int) -> Architecture:
    """The network at another length."""
    return architecture if tokens == architecture.seq_len else replace(architecture, seq_len=tokens)


PREFILL = Workload()
"""One forward pass of a network's own length, with logits for every token: what AERO's tables price."""
