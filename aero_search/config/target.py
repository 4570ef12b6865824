"""`objective.target=NAME`: the sizes of a model group, composed as `model=NAME` would be."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from aero_search.architecture import ModelShape
from aero_search.config.architecture import ModelGroup
from aero_search.config.paths import conf_dir
from aero_search.errors import RequestError, nearest
from aero_search.schema import from_mapping


def load_shape(name: str) -> ModelShape:
    """The sizes of `conf/model/NAME.yaml`, or of one in the user's own --config-dir.

    Raises:
        RequestError: there is no such model, with the nearest that there is.
    """
    if GlobalHydra.instance().is_initialized():
        return _load(name)
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return _load(name)


def _load(name: str) -> ModelShape:
    known = GlobalHydra.instance().config_loader().get_group_options("model")
    if name not in known:
        raise RequestError(f"objective.target={name} is not a model: {nearest(name, known)}")
    try:
        # Through the shared menu: composed alone, a group that begins with another draws a warning from Hydra.
        group = compose("config", overrides=[f"model={name}"]).model
    except MissingConfigException as problem:
        raise RequestError(f"objective.target={name}: {problem}") from problem
    model = from_mapping(ModelGroup, OmegaConf.to_container(group, resolve=True), f"model={name}")
    return ModelShape(
        name=name,
        family=model.family,
        n_layer=model.n_layer,
        n_head=model.n_head,
        n_kv_head=model.n_kv_head,
        d_model=model.d_model,
        seq_len=model.seq_len,
        vocab_size=model.vocab_size,
        tied_embeddings=model.tied_embeddings,
    )
