"""How attention entropies are spread over the heads, in quarters of a largest entropy; no torch here.

Overload and collapse are the two ill states that AERO (arXiv 2410.13060v2, section 3) and entropy-guided
attention (arXiv 2501.03489v2) describe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# Nats, n_layer x n_head.
Entropy = Sequence[Sequence[float]]


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
