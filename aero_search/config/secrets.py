"""Passwords stay in this process: what is sent to workers, saved or shown holds addresses without them."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from aero_search.search.address import read_address, without_password

_STORAGES = ("search.storage", "hydra.sweeper.storage")


def put_away(config: DictConfig, arguments: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """Move the password of the study's database to the environment.

    Args:
        config: of a sweep.
        arguments: its overrides.

    Returns:
        Both without it.

    Raises:
        RequestError: an address is none.
    """
    config = config.copy()
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name.lstrip("+") in _STORAGES and "://" in value:
            read_address(value.strip("'\""))
    with read_write(config), open_dict(config):
        for name in _STORAGES:
            said = OmegaConf.select(config, name)
            if said is not None:
                OmegaConf.update(config, name, read_address(str(said)))
        for kind in ("task", "hydra"):
            lines = OmegaConf.select(config, f"hydra.overrides.{kind}") or []
            OmegaConf.update(config, f"hydra.overrides.{kind}", [without_password(line) for line in lines])
    return config, [without_password(argument) for argument in arguments]
