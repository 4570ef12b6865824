"""Overrides checked one by one before Hydra composes them: what it would stumble over is refused by name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep

from aero_search.config.paths import conf_dir
from aero_search.errors import RequestError, nearest
from aero_search.invocation import typed

# Longer than any sensible list of seeds; Hydra's parser takes a millisecond for 100 characters.
LONGEST = 20_000
DEEPEST = 32
# Digits of the longest number: a float ends at 1e308.
_DIGITS = re.compile(r"\d{310,}")
# What a file's name may have on common file systems, with room for `.yaml` in UTF-8.
_LONGEST_NAME = 200
# Combinations of one sweep; composing them alone takes minutes.
MOST_COMBINATIONS = 10_000
# What of Hydra's own configuration a command may set: where workers run, where groups lie, their environment.
_OF_HYDRA = (
    "hydra/launcher",
    "hydra.launcher",
    "hydra.searchpath",
    "hydra.job.env_set",
    "hydra.job.env_copy",
)


def check_overrides(overrides: Sequence[str], folders: Iterable[Path]) -> None:
    """Refuse overrides that cannot be composed, whatever the configuration holds.

    Args:
        overrides: as typed.
        folders: of groups, beside the shipped one.

    Raises:
        RequestError: in one sentence, which names the override.
    """
    roots = (conf_dir(), *folders)
    combinations = 1
    for line in overrides:
        override = _parsed(line)
        name, short = override.key_or_group, _short(line)
        if max(map(len, re.split(r"[./]", name))) > _LONGEST_NAME:
            raise RequestError(f"{short} names a setting of more than {_LONGEST_NAME} characters")
        _check_hydra(name, line)
        sweep = override.is_sweep_override()
        values = _swept(override) if sweep else [override.value()]
        combinations *= max(len(values), 1)
        if combinations > MOST_COMBINATIONS:
            raise RequestError(
                f"{short} makes the sweep larger than {MOST_COMBINATIONS:,} combinations: sweep less, or let "
                f"`{typed('search')}` choose"
            )
        if _is_group(name, roots):
            if isinstance(override.value(), IntervalSweep):
                raise RequestError(f"{short}: a group has options, no interval: write {name}=OPTION,OPTION")
            for value in values:
                _check_option(name, value, override)


def _parsed(line: str) -> Override:
    """Hydra's reading of one override.

    Raises:
        RequestError: it has none.
    """
    short = _short(line)
    if len(line) > LONGEST:
        raise RequestError(f"{short} has {len(line):,} characters: at most {LONGEST:,} are read")
    if number := _DIGITS.search(line):
        raise RequestError(f"{short} has a number of {len(number[0]):,} digits: nothing here is that large")
    if not line.isprintable() and re.search(r"[\0\ud800-\udfff]", line):
        raise RequestError(f"{short!a} has characters that are no UTF-8 text")
    depth = 0
    for character in line:
        depth += (character in "[({") - (character in "])}")
        if depth > DEEPEST:
            raise RequestError(f"{short} is nested more than {DEEPEST} deep")
    try:
        override = OverridesParser.create().parse_override(line)
        if override.key_or_group:
            return override
        raise ValueError("it sets nothing")
    except Exception as problem:
        # Hydra's grammar calls functions of its own while it reads, and they raise what Python raises.
        if re.fullmatch(r"[~+]*[\w./@:-]+(=.*)?", line, re.DOTALL) and "(" in line:
            reason = " ".join(str(problem).split())[:200]
            raise RequestError(f"{short} cannot be read: {reason}") from problem
        raise RequestError(
            f"'{short}' is not an override: write GROUP=OPTION or GROUP.FIELD=VALUE"
        ) from problem


def _check_hydra(name: str, line: str) -> None:
    if not re.match(r"hydra\b", name):
        return
    allowed = any(name == known or name.startswith(f"{known}.") for known in _OF_HYDRA)
    if not allowed:
        raise RequestError(
            f"{_short(line)} is Hydra's own setting, and this command sets it: of Hydra's, "
            f"{', '.join(_OF_HYDRA)} are yours; results go where output_dir= says"
        )
    if "_target_" in line:
        raise RequestError(f"{_short(line)} names code to run: choose a launcher with hydra/launcher=NAME")


def _swept(override: Override) -> Sequence[object]:
    """The values of a sweep; an interval and a glob, which are finite or drawn from, count as one.

    Raises:
        RequestError: too many, or none that can be counted.
    """
    value, short = override.value(), _short(str(override.input_line))
    if isinstance(value, RangeSweep):
        start, stop, step = value.start, value.stop, value.step
        if start is None or stop is None or not all(map(math.isfinite, (start, stop, step))) or step == 0:
            raise RequestError(f"{short}: a range needs finite ends and a step that is not 0")
        if (stop - start) / step > MOST_COMBINATIONS:
            raise RequestError(f"{short} has more than {MOST_COMBINATIONS:,} values: take a larger step")
        return list(override.sweep_iterator())
    if isinstance(value, ChoiceSweep):
        return [item.text if isinstance(item, QuotedString) else item for item in value.list]
    return ()


def _is_group(name: str, roots: Iterable[Path]) -> bool:
    """Whether a name is a folder of options: in the shipped configuration or one of the user's."""
    return "." not in name and (name.startswith("hydra/") or any((root / name).is_dir() for root in roots))


def _check_option(group: str, value: object, override: Override) -> None:
    """A group takes the name of a file, or fields to change in its option."""
    if isinstance(value, dict) or (override.is_delete() and value is None):
        return
    if isinstance(value, str) and _is_name(value):
        return
    said = "null" if value is None else str(value)
    options = [path.stem for path in (conf_dir() / group).glob("*.yaml")]
    raise RequestError(
        f"{group}={_short(said)} is not a choice: {nearest(_short(said), options)}"
        + (f"; ~{group} leaves the group out" if value is None else "")
    )


def _is_name(value: str) -> bool:
    """Whether a text can name a file in a group's folder, and in none outside."""
    inside = not value.startswith("/") and ".." not in value.split("/")
    written = value.isprintable() and "${" not in value
    return inside and written and 0 < len(value.encode()) <= _LONGEST_NAME


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
