"""Requests and sweeps composed from Python: the same configuration as on the command line, without its flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from aero_search.config.hydra_main import quiet_hydra, read_request, told
from aero_search.config.overrides import check_overrides
from aero_search.config.paths import conf_dir, user_conf_dir
from aero_search.config.request import Request
from aero_search.cost import Network, PriceList, Protocol, Workload
from aero_search.errors import RequestError
from aero_search.invocation import quoted
from aero_search.unforeseen import start_reading


def compose_request(
    config: str, settings: Mapping[str, object], overrides: Sequence[str] = (), **whole: object
) -> Request:
    """The request that `aero-search CONFIG SETTINGS OVERRIDES` makes.

    Args:
        settings: group or field to value; one that is None keeps its default.
        overrides: further ones as the command line takes them, such as `recipe.steps=100`.
        whole: groups given as plain data instead of by name.

    Raises:
        RequestError: a name or a value is wrong, in one sentence.
    """
    lines = override_lines(settings, overrides)
    with _hydra(config, lines) as quiet:
        composed = read_request(compose(config, [*lines, *quiet]), lines)
    return Request({**composed.composed, **whole}, composed.overrides) if whole else composed


def named_protocol(name: str) -> Protocol:
    """The option NAME of the group `protocol`, shipped or the user's own.

    Raises:
        RequestError: there is none, with the nearest that there is; or it is not a protocol.
    """
    return _with_option("protocol", name, _changed("protocol", name)).protocol


def named_network(name: str) -> Network:
    """The option NAME of the group `network`; errors as with `named_protocol`."""
    return _with_option("network", name, _changed("network", name)).network


def named_workload(name: str) -> Workload:
    """The option NAME of the group `workload`; errors as with `named_protocol`."""
    return _with_option("workload", name, _changed("workload", name)).workload


def named_prices(name: str) -> PriceList:
    """The option NAME of the group `price`; errors as with `named_protocol`."""
    return _with_option("price", name, _changed("price", name)).prices


@lru_cache(maxsize=64)
def _with_option(group: str, name: str, changed: object) -> Request:
    """Kept, since composing takes 0.2 s of CPU: a notebook prices many architectures under one name."""
    return compose_request("cost", {group: name})


def _changed(group: str, name: str) -> object:
    """What tells that the user's own file of an option is another one."""
    path = user_conf_dir() / group / f"{name}.yaml"
    return (path, path.stat().st_mtime_ns) if path.is_file() else None


def run_sweep(config: str, settings: Mapping[str, object], overrides: Sequence[str] = ()) -> Any:
    """Run the sweep of `aero-search CONFIG SETTINGS OVERRIDES`; returns what its sweeper does, see `StudySweep`.

    Raises:
        RequestError: some part of the request is wrong.
        AeroSearchError: the work failed.
    """
    lines = override_lines(settings, overrides)
    with _hydra(config, lines) as quiet:
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        return hydra.multirun(config, _no_task, [*lines, *quiet], with_log_configuration=False)


def override_lines(settings: Mapping[str, object], overrides: Sequence[str]) -> list[str]:
    """Values from Python, and overrides already written, as Hydra's grammar has them.

    Raises:
        RequestError: an override is not text with an equals sign.
    """
    if isinstance(overrides, str):
        raise RequestError(f"overrides='{overrides}' must be a list of texts, such as ['{overrides}']")
    for override in overrides:
        if not isinstance(override, str) or "=" not in override:
            raise RequestError(
                f"overrides has {override!r}: each must be text such as 'recipe.steps=100' or 'data=text_folder'"
            )
    return [*(f"{name}={_text(v)}" for name, v in settings.items() if v is not None), *overrides]


@contextmanager
def _hydra(config: str, lines: Sequence[str]) -> Iterator[list[str]]:
    """Hydra on the folder of groups; one that the caller has initialized comes back afterwards."""
    start_reading()
    check_overrides(lines, [user_conf_dir()])
    theirs = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    start = initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="aero_search")
    try:
        with told(config), quiet_hydra(lines) as quiet, start:
            yield quiet
    finally:
        # Hydra's own context leaves another instance of the singleton behind.
        GlobalHydra.instance().hydra = theirs


def _no_task(cfg: DictConfig) -> None:
    """Hydra asks for a function of its own; the sweeper launches workers instead."""


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str | Path):
        return quoted(str(value))
    raise RequestError(f"{value!r} must be a name, a path, a number or a truth value")
