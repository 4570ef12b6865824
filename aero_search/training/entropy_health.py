"""Health of attention: how entropies are spread over the heads, overload and collapse; no torch here.

Overload and collapse are the two ill states that AERO (arXiv 2410.13060v2, section 3) and entropy-guided attention
(arXiv 2501.03489v2) describe. Both papers report the spread in quarters of the largest head entropy and call a
network well behaved with 90 % of its heads in the middle two. A verdict describes; it never stops a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

# Nats, n_layer x n_head.
Entropy = Sequence[Sequence[float]]
HealthVerdict = Literal["sound", "entropic_overload", "entropy_collapse"]

# Overload: more heads than this in the top quarter. Not published; half way between the 23 % of the paper's
# LayerNorm-free ReLU network, which trains well, and the 58 % of the GELU one, which is called overloaded.
OVERLOAD_SHARE = 0.4
# Collapse: a layer whose heads' mean is below this share of the largest entropy ("to 0" in the paper). Measured:
# 0.0006 to 0.014 in LayerNorm-free proxies of width 128 that stop learning, at least 0.69 in those that learn.
COLLAPSE_SHARE = 0.05


@dataclass(frozen=True)
class EntropyHealth:
    """The state of all heads at one validation.

    The quarter bounds are shares of what a head reaches that attends evenly (`uniform_entropy`): a fixed height,
    so that steps and variants compare, and a network whose heads are all equally low is not called overloaded. The
    published convention, quarters of the largest entropy that any head of the network has, is kept beside it.

    Attributes:
        verdict: `entropy_collapse` where a layer is at 0, whatever the others do; else `entropic_overload` where
            too many heads are in the top quarter; else `sound`.
        reason: the verdict in words.
        quarters: share of the heads in each quarter of `largest`, lowest first.
        published_quarters: the same, in quarters of the largest entropy observed.
        largest: entropy of even attention, nats.
        heads: how many there are.
        layer: where the verdict's state first appeared, counted from 0; None when sound.
        step: the validation since which the verdict has held without a break.
    """

    verdict: HealthVerdict
    reason: str
    quarters: tuple[float, ...]
    published_quarters: tuple[float, ...]
    largest: float
    heads: int
    layer: int | None
    step: int

    @property
    def balanced(self) -> float:
        """Share of the heads in the middle two quarters."""
        return self.quarters[1] + self.quarters[2]

    @property
    def overloaded_share(self) -> float:
        """Share of the heads in the top quarter."""
        return self.quarters[3]

    @property
    def overloaded(self) -> int:
        """Number of heads in the top quarter."""
        return round(self.quarters[3] * self.heads)


def entropy_health(
    entropy: Entropy, step: int, largest: float, before: EntropyHealth | None = None
) -> EntropyHealth:
    """The health of attention at one validation.

    Args:
        entropy: mean attention entropy in nats, n_layer x n_head; at least one head, every one a number.
        step: the optimizer step of the validation.
        largest: what even attention reaches in nats, above 0, see `uniform_entropy`.
        before: the health at the validation before; a verdict that still holds keeps its layer and step.
    """
    quarters = quarter_shares(entropy, largest)
    heads = sum(map(len, entropy))
    observed = max(head for layer in entropy for head in layer)
    verdict: HealthVerdict = "sound"
    layer = collapsed_layer(entropy, largest)
    if layer is not None:
        verdict = "entropy_collapse"
    elif quarters[3] > OVERLOAD_SHARE:
        verdict = "entropic_overload"
        layer = next(i for i, row in enumerate(entropy) if _top_share(row, largest) > OVERLOAD_SHARE)
    if before is not None and before.verdict == verdict:
        layer, step = before.layer, before.step
    health = EntropyHealth(
        verdict=verdict,
        reason="",
        quarters=quarters,
        published_quarters=quarter_shares(entropy, observed) if observed > 0 else (1.0, 0.0, 0.0, 0.0),
        largest=largest,
        heads=heads,
        layer=layer,
        step=step,
    )
    return replace(health, reason=_reason(health, entropy))


def uniform_entropy(length: int) -> float:
    """Mean entropy in nats of the rows of even causal attention: the largest a head can have.

    Row i of T sees i + 1 keys and reaches log(i + 1); the mean is log(T!) / T, 0.80 log T at T = 128.
    """
    return math.lgamma(length + 1) / length


def quarter_shares(entropy: Entropy, largest: float) -> tuple[float, ...]:
    """Share of the heads in each quarter of 0 to `largest`, lowest quarter first.

    A quarter holds its lower bound; what exceeds `largest` counts to the top quarter. A head without a number is
    counted as a head and lies in no quarter, so the shares then add up to less than 1.

    Args:
        entropy: nats, n_layer x n_head.
        largest: nats, above 0.
    """
    heads = [head for layer in entropy for head in layer]
    counts = [0, 0, 0, 0]
    for head in heads:
        if math.isfinite(head):
            counts[min(3, max(0, math.floor(4 * head / largest)))] += 1
    return tuple(count / max(1, len(heads)) for count in counts)


def collapsed_layer(entropy: Entropy, largest: float) -> int | None:
    """The first layer, counted from 0, whose heads attend to next to nothing but one token; None if there is none.

    One head alone is no collapse: sound networks have heads that look at a single token. Heads without a number
    are left out.
    """
    for layer, row in enumerate(entropy):
        mean = layer_mean(row)
        if math.isfinite(mean) and mean < COLLAPSE_SHARE * largest:
            return layer
    return None


def layer_mean(row: Sequence[float]) -> float:
    """Mean over those heads of a layer that have a number; NaN where none has."""
    numbers = [head for head in row if math.isfinite(head)]
    return sum(numbers) / len(numbers) if numbers else math.nan


def _top_share(row: Sequence[float], largest: float) -> float:
    return quarter_shares([row], largest)[3]


def _reason(health: EntropyHealth, entropy: Entropy) -> str:
    if health.layer is None:
        return ""
    since = f"since step {health.step:,}, first in layer {health.layer}"
    if health.verdict == "entropic_overload":
        bound = f"above {0.75 * health.largest:.2f} nats"
        return f"{health.overloaded} of {health.heads} heads in the top quarter ({bound}), {since}"
    # The layer that fell first may have recovered while others have not.
    layer = collapsed_layer(entropy, health.largest)
    assert layer is not None, "the verdict follows from a collapsed layer"
    return f"layer {layer} attends with {layer_mean(entropy[layer]):.2g} nats, {since}"
