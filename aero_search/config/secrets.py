"""Passwords stay in this process: what is sent to workers, saved or shown holds addresses without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from aero_search.passwords import without_password
from aero_search.tracking.address import read_address as read_tracking_address
from aero_search.workers.storage_address import read_address

# The settings that hold an address, and what takes its password away.
_ADDRESSES: Mapping[str, Callable[[str], str | None]] = {
    "search.storage": read_address,
    "hydra.sweeper.storage": read_address,
    "tracking.uri": read_tracking_address,
}


def put_away(config: DictConfig, arguments: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """Move the passwords of the study's database and of the tracking store to the environment.

    Args:
        config: of a sweep.
        arguments: its overrides.

    Returns:
        Both without them.

    Raises:
        RequestError: an address is none.
    """
    config = config.copy()
    left = [_open_line(argument) for argument in arguments]
    with read_write(config), open_dict(config):
        for name, read in _ADDRESSES.items():
            said = OmegaConf.select(config, name)
            if said is not None:
                OmegaConf.update(config, name, read(str(said)))
        for kind in ("task", "hydra"):
            lines = OmegaConf.select(config, f"hydra.overrides.{kind}") or []
            OmegaConf.update(config, f"hydra.overrides.{kind}", [_open_line(line) for line in lines])
    return config, left


def _open_line(line: str) -> str:
    """An override without its password."""
    name, _, said = line.partition("=")
    read = _ADDRESSES.get(name.lstrip("+"))
    if read is None or "://" not in said:
        return without_password(line)
    quote = said[0] if said[0] in "'\"" and said[-1] == said[0] else ""
    return f"{name}={quote}{read(said.strip(quote) if quote else said)}{quote}"
