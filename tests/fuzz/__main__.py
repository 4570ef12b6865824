"""`python -m tests.fuzz [SEED] [COUNT]`: runs cases, prints each kind of complaint once, and the counts."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter

from tests.fuzz.mutate import cases
from tests.fuzz.running import complaint


def fuzz(seed: int, count: int, seconds: float = float("inf")) -> tuple[int, Counter[str]]:
    """Run `count` cases of a seed, or those that fit into the time; returns how many, and what was wrong."""
    kinds: Counter[str] = Counter()
    end = time.monotonic() + seconds
    done = 0
    for case in cases(seed, count):
        if time.monotonic() > end:
            break
        done += 1
        if wrong := complaint(case):
            kind = re.sub(r"[^A-Za-z ]+", "#", wrong)[:90]
            kinds[kind] += 1
            if kinds[kind] == 1:
                print(f"{wrong}\n    {case!r}"[:1500], flush=True)
    return done, kinds


if __name__ == "__main__":
    seed, count = (int(text) for text in (*sys.argv[1:], "0", "500")[:2])
    started = time.process_time()
    done, kinds = fuzz(seed, count, float(sys.argv[3]) if len(sys.argv) > 3 else float("inf"))
    print(
        f"seed {seed}: {done} inputs, {kinds.total()} complaints of {len(kinds)} kinds, "
        f"{time.process_time() - started:.0f} s of CPU"
    )
