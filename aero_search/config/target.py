"""`objective.target=NAME` and stages: the sizes of a model group, composed as `model=NAME` would be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from aero_search.architecture import ModelShape
from aero_search.config.architecture import ModelGroup
from aero_search.config.group_option import group_option
from aero_search.config.paths import conf_dir
from aero_search.errors import RequestError, nearest
from aero_search.schema import from_mapping


def load_shape(name: str, field: str = "objective.target", overrides: Sequence[str] = ()) -> ModelShape:
    """The sizes of `conf/model/NAME.yaml`, or of one in the user's own --config-dir.

    Args:
        field: that names it, for messages.
        overrides: `model.FIELD=VALUE`, on top of it.

    Raises:
        RequestError: there is no such model, with the nearest that there is.
    """
    if GlobalHydra.instance().is_initialized():
        return _load(name, field, overrides)
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return _load(name, field, overrides)


def _load(name: str, field: str, overrides: Sequence[str]) -> ModelShape:
    known = GlobalHydra.instance().config_loader().get_group_options("model")
    if name not in known:
        raise RequestError(f"{field}={name} is not a model: {nearest(name, known)}")
    try:
        # Through the shared menu: composed alone, a group that begins with another draws a warning from Hydra.
        if overrides:
            composed = compose("config", overrides=[f"model={name}", *overrides]).model
            group = OmegaConf.to_container(composed, resolve=True)
        else:
            group = group_option("model", name)
    except MissingConfigException as problem:
        raise RequestError(f"{field}={name}: {problem}") from problem
    model = from_mapping(ModelGroup, group, f"model={name}")
    sizes = {field.name: getattr(model, field.name) for field in fields(ModelShape) if field.name != "name"}
    return ModelShape(name=name, **sizes)
