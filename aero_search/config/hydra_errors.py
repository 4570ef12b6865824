"""Hydra's and OmegaConf's errors, said in one sentence with the nearest valid choice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from aero_search.config.paths import conf_dir
from aero_search.errors import AeroSearchError, RequestError, nearest
from aero_search.unforeseen import described


@contextmanager
def composing(config_name: str | None = None) -> Iterator[None]:
    """Around what composes or resolves a configuration: whatever is raised there is the request's fault.

    Args:
        config_name: as of `sentence`.

    Raises:
        RequestError: in one sentence.
    """
    try:
        yield
    except AeroSearchError:
        raise
    except Exception as problem:
        raise RequestError(sentence(problem, config_name)) from problem


def sentence(problem: Exception, config_name: str | None) -> str:
    """What was wrong with the request.

    Args:
        problem: what Hydra or OmegaConf raised.
        config_name: the command's primary config, used to look up valid keys; None skips that.
    """
    text = str(problem).strip()
    if match := re.search(r"Could not find '([^']+)'", text):
        group, _, option = match[1].rpartition("/")
        options = _options(text) or _shipped_options(group)
        return f"{group}={option} is not a choice: {nearest(option, options)}"
    if match := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(match[1], config_name)
    if match := re.search(r"Key '([^']+)' is not in struct", text):
        return _unknown_key(match[1], config_name)
    if match := re.search(r"Could not append to config\. An item is already at '([^']+)'", text):
        return f"+{match[1]} exists already: write {match[1]}=VALUE without the +"
    if match := re.search(r"Ambiguous value for argument '([^']+)'", text):
        return f"{match[1]} asks for several values: add --multirun, or quote a list as '[1,2]'"
    if match := re.search(r"Error parsing override '([^']*)'", text):
        return f"'{match[1]}' is not an override: write GROUP=OPTION or GROUP.FIELD=VALUE"
    if match := re.search(r"Missing mandatory value: (\S+)", text):
        return f"{match[1]} has no value: give {match[1]}=VALUE"
    if isinstance(problem, RecursionError):
        return "the configuration refers to itself without end: look for it in defaults: lists and in ${...}"
    if isinstance(problem, HydraException | OmegaConfBaseException) and text:
        field = getattr(problem, "full_key", None)
        line = " ".join(text.split("\n")[0].split())
        return _shortened(f"{field}: {line}" if field and field not in line else line)
    # Hydra and OmegaConf let much of Python through; its types tell a reader of the message something.
    return f"the configuration cannot be composed: {described(problem)}"


def _shortened(line: str) -> str:
    return line if len(line) <= 400 else f"{line[:397]}..."


def _options(text: str) -> list[str]:
    """The choices that Hydra lists under its message, one a line, up to the next heading."""
    match = re.search(r"Available options in .*\n((?:\t\S+\n?)*)", text)
    return match[1].split() if match else []


def _shipped_options(group: str) -> list[str]:
    return [path.stem for path in (conf_dir() / group).glob("*.yaml")]


def _unknown_key(key: str, config_name: str | None) -> str:
    names = _near_keys(key, config_name)
    if names.get(key):
        return f"{key} is no choice in this configuration but a group of settings: write {key}.FIELD=VALUE"
    if key in names:
        return f"{key} is not set in this configuration: write +{key}=VALUE to add it"
    return f"{key} is not a setting: {nearest(key, names)}"


def _near_keys(key: str, config_name: str | None) -> dict[str, bool]:
    """The settings beside `key`, each with whether it is a mapping: those of the deepest mapping on its path."""
    if config_name is None:
        return {}
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import DictConfig, OmegaConf

    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        cfg = compose(config_name)
    parent = key
    while "." in parent:
        parent = parent.rpartition(".")[0]
        node = OmegaConf.select(cfg, parent)
        if isinstance(node, DictConfig):
            return {f"{parent}.{name!s}": OmegaConf.is_dict(node._get_node(name)) for name in node}
    return {str(name): OmegaConf.is_dict(cfg._get_node(name)) for name in cfg}
