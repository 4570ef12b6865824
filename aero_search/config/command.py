"""How a subcommand runs: its primary config, and what it does with one request or with a sweep of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aero_search.config.request import Request


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Attributes:
        config: the primary config in conf/, without its suffix.
        run: does the work of one request; its return value goes to `finish`.
        waits_for: what the first seconds go to, told where they are more than a moment.
        sweep: `none` refuses --multirun; `basic` runs every combination in this process, then `finish`;
            `study` hands the sweep to workers (see `config.sweeper`); `always` does so without --multirun.
        finish: prints the results, of one request or of a whole `basic` sweep.
        positional: the settings that bare first arguments give, in order, such as a path.
        spellings: regular expressions of overrides, and what is read instead.
        settings: those that people change, in the order of `--help`.
        examples: what follows the program's name, shown by `--help`.
    """

    config: str
    run: Callable[[Request], Any]
    waits_for: str
    sweep: Literal["none", "basic", "study", "always"] = "none"
    finish: Callable[[Sequence[Any]], None] | None = None
    positional: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
