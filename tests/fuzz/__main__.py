"""`python -m tests.fuzz [SEED] [COUNT] [SECONDS] [FIRST]`: runs cases, prints each kind of complaint, counts.

FIRST leaves out as many cases of the seed, so that a long run may be made of parts.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter

from tests.fuzz.mutate import cases
from tests.fuzz.running import complaint

# Inputs between two words of progress.
_TOLD = 100


def fuzz(seed: int, count: int, seconds: float = float("inf"), first: int = 0) -> tuple[int, Counter[str]]:
    """Run cases of a seed from `first` to `count`, or those that fit into the time.

    Returns:
        How many ran, and what was wrong.
    """
    kinds: Counter[str] = Counter()
    end = time.monotonic() + seconds
    done = 0
    for case in cases(seed, count)[first:]:
        if time.monotonic() > end:
            break
        done += 1
        if wrong := complaint(case):
            kind = re.sub(r"[^A-Za-z ]+", "#", wrong)[:90]
            kinds[kind] += 1
            if kinds[kind] == 1:
                print(f"{wrong}\n    {case!r}"[:1500], flush=True)
        if done % _TOLD == 0:
            print(f"seed {seed}: {first + done} of {count}", file=sys.stderr, flush=True)
    return done, kinds


if __name__ == "__main__":
    seed, count = (int(text) for text in (*sys.argv[1:], "0", "500")[:2])
    started = time.process_time()
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else float("inf")
    first = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    done, kinds = fuzz(seed, count, seconds, first)
    print(
        f"seed {seed}: {done} inputs from {first}, {kinds.total()} complaints of {len(kinds)} kinds, "
        f"{time.process_time() - started:.0f} s of CPU"
    )
