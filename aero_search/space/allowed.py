"""What a file may set of a candidate: the settings that a space varies and a ladder's rows name, and no others.

Spaces and ladders come from other people too. Where results go, which server is asked, which text is read and what
Hydra runs are told on the command line alone; values are plain words, numbers and lists of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aero_search.errors import RequestError, nearest

# The groups of conf/ that make an architecture.
ARCHITECTURE_GROUPS = ("model", "norm", "activation", "ffn", "stabilizer", "attention", "regularizer")
CANDIDATE = (*ARCHITECTURE_GROUPS, "variant", "recipe", "distill", "train")
# How secure inference may run an operation: it changes no network, and what it costs.
LOWERING = "protocol.use."
# What may be tuned for each network by itself: it changes what training finds, and nothing of what inference costs.
TRAINING = ("recipe", "distill", "regularizer", "attention.temperature_init")
# What a space may be made for, beside its candidates' own settings: prices and a budget.
BASE = (
    *CANDIDATE,
    "objective",
    "protocol",
    "network",
    "workload",
    "price",
    "offline",
    "search.n_trials",
    "search.confirm",
)

# What is set without a dot and is no group.
_SCALARS = ("offline",)
# What Hydra reads as something else than a name.
_LITERAL = re.compile(r"(?i:null|true|false|nan|[+-]?inf)|[+-]?[\d_.]+(e[+-]?\d+)?|\[.*\]", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_WORDS = r"[\w.+-]+(?: [\w.+-]+)*"
_VALUE = re.compile(rf"{_WORDS}|\[\s*(?:{_WORDS}(?:\s*,\s*{_WORDS})*)?\s*\]", re.ASCII)


def check_setting(name: str, value: object, where: str, allowed: Sequence[str] = CANDIDATE) -> None:
    """Hold one setting of a file against what such a file may set.

    Args:
        name: of the override, such as `norm` or `recipe.lr`.
        value: a scalar; a text must be words or a list of words.
        allowed: groups, with all of their fields, and single fields.
        where: the file, and the part of it, in messages.

    Raises:
        RequestError: it may not set this, or not to this.
    """
    within = {name, name.partition(".")[0]}
    if name.startswith(LOWERING):
        within.add(LOWERING)
    if not _NAME.fullmatch(name) or not within & set(allowed):
        raise RequestError(
            f"{where} sets {name}, which a file may not: {nearest(name, allowed)}; anything else is said on the "
            "command line"
        )
    if isinstance(value, str) and not _VALUE.fullmatch(value):
        raise RequestError(
            f"{where} sets {name} to '{value}': a file may name words, numbers and lists such as [0,2] alone"
        )
    if "." not in name and name not in _SCALARS and (not isinstance(value, str) or _LITERAL.fullmatch(value)):
        said = "" if value is None else f" to {value}"
        raise RequestError(
            f"{where} sets {name}{said}: it is a group, which takes the names of its options, as in conf/{name}/"
        )


def check_override(line: str, where: str) -> None:
    """As `check_setting`, for an override of a candidate such as `ffn.layers=2`.

    Raises:
        RequestError: it is no override, or one that a file may not have.
    """
    name, equals, value = line.partition("=")
    if not equals:
        raise RequestError(f"{where} has '{line}': write GROUP=OPTION or GROUP.FIELD=VALUE")
    check_setting(name, value, where)
