"""One typed request from one composed configuration: what every command starts from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from aero_search.architecture import Architecture, ModelShape, retarget
from aero_search.config.architecture import GROUPS, read_architecture
from aero_search.config.checkpoint import architecture_from, find_checkpoint, recovery_of
from aero_search.config.paths import search_spaces_dir
from aero_search.cost import Network, PriceList, Protocol, Workload
from aero_search.data.spec import CorpusSpec
from aero_search.errors import RequestError
from aero_search.front.budget import Budget
from aero_search.front.objective import Objective
from aero_search.front.pricing import Pricing
from aero_search.init.checkpoint import Checkpoint
from aero_search.init.recovery import InitSpec, Recovery
from aero_search.schema import from_mapping, to_mapping
from aero_search.search.spec import SearchSpec
from aero_search.space import Space, load_space
from aero_search.space.allowed import LOWERING
from aero_search.tracking.address import read_address as read_tracking_address
from aero_search.tracking.spec import TrackingSpec
from aero_search.training.compute import Compute
from aero_search.training.recipe import Recipe
from aero_search.user_path import user_path
from aero_search.workers.storage_address import read_address

T = TypeVar("T")


@dataclass(frozen=True)
class StudySpec:
    """conf/config.yaml: study"""

    name: str | None


@dataclass(frozen=True)
class _Shared:
    """The fields of conf/config.yaml that are no group."""

    output_dir: str
    format: Literal["text", "json"]
    space: str
    study: StudySpec
    offline: Literal["apart", "include"] = "apart"


# Bytes that a folder's name may have on common file systems.
_LONGEST_NAME = 255
_SHARED = ("output_dir", "format", "space", "study", "offline")
_CORE = ("data", "recipe", "compute", "objective", "budget", "protocol", "network", "workload", "price", "search",
         "tracking", "init", "distill", "train")  # fmt: skip


def check_study_name(name: str, field: str) -> None:
    """A study's name is that of a folder.

    Raises:
        RequestError: it could be none, or lead elsewhere.
    """
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise RequestError(f"{field}={name} must be letters, digits and . + - _ alone: it names a folder")
    if len(name.encode()) > _LONGEST_NAME:
        raise RequestError(
            f"{field}={name[:60]}... must be at most {_LONGEST_NAME} bytes long: it names a folder"
        )


def override_names(overrides: Sequence[str]) -> list[str]:
    """What overrides set: groups and dotted fields."""
    return [override.lstrip("+~").partition("=")[0] for override in overrides]


class Request:
    """What the user asked for, validated part by part when it is first needed.

    A command reads the parts it uses; a wrong part it does not use does not stop it.

    Attributes:
        composed: the whole configuration, resolved, as plain dicts and lists.
        overrides: the overrides given by the user, as Hydra understood them.
    """

    def __init__(self, composed: Mapping[str, Any], overrides: tuple[str, ...] = ()) -> None:
        self.composed = composed
        self.overrides = overrides
        shared = from_mapping(_Shared, {name: composed[name] for name in _SHARED if name in composed})
        self.offline = shared.offline
        self.output_dir = Path(shared.output_dir)
        self.format = shared.format
        self.space = shared.space
        self.study_name = shared.study.name
        if self.study_name is not None:
            check_study_name(self.study_name, "study.name")

    @cached_property
    def architecture(self) -> Architecture:
        """What `architecture=` describes whole, else what the groups do.

        Raises:
            RequestError: it cannot be built, or a group is chosen that would have no effect.
        """
        for group in (*GROUPS, "variant"):
            if self.composed.get("architecture") is not None and self.chosen(group):
                raise RequestError(
                    f"architecture= describes the whole network, so {group}= would have no effect: leave one out"
                )
        if self.checkpoint is None:
            return read_architecture(self.composed)
        return architecture_from(self.checkpoint, self.composed, self.override_names())

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        """The trained network that `init.from` names; configurations of earlier versions have none."""
        source = from_mapping(InitSpec, self.composed.get("init") or {}, "init").from_
        if source is None:
            return None
        return find_checkpoint(source, self.output_dir.resolve(), self.search.storage, self.tracking)

    @cached_property
    def recovery(self) -> Recovery | None:
        """How candidates start from the checkpoint; None for random weights.

        Raises:
            RequestError: a setting of it without a checkpoint.
        """
        return recovery_of(self.composed, self.checkpoint, self.output_dir)

    def portable(self) -> dict[str, Any]:
        """The configuration that trains this again from any folder: the path of the corpus made absolute.

        Where results go, which servers are asked and where corpora are cached is not in it: that is for whoever
        trains again to say.
        """
        data = dict(self.composed["data"])
        if path := self.data.path:
            data["path"] = str(user_path(path).resolve())
        data["cache_dir"] = None
        whole = self.composed.get("architecture")
        said: dict[str, Any] = {}
        if whole is not None or self.checkpoint is not None:
            said["architecture"] = to_mapping(self.architecture)
        if self.checkpoint is not None:
            said["init"] = {"from": str(self.checkpoint.folder)}
        tracking, search = (
            {**self.composed["tracking"], "uri": None},
            {**self.composed["search"], "storage": None},
        )
        shared = {"data": data, "tracking": tracking, "search": search}
        return {**self.composed, **said, **shared, "output_dir": "outputs"}

    def load_space(self) -> Space:
        """The search space that `space=` names, with bounds such as n_layer taken from the model."""
        a = self.architecture
        sizes = {"n_layer": a.n_layer, "n_head": a.n_head, "d_model": a.d_model, "seq_len": a.seq_len}
        return load_space(self.space, search_spaces_dir(), sizes)

    @cached_property
    def data(self) -> CorpusSpec:
        return self._group(CorpusSpec, "data")

    @cached_property
    def recipe(self) -> Recipe:
        return self._group(Recipe, "recipe")

    @cached_property
    def compute(self) -> Compute:
        return self._group(Compute, "compute")

    @cached_property
    def objective(self) -> Objective:
        return self._group(Objective, "objective")

    @cached_property
    def budget(self) -> Budget:
        """The most that may be spent; configurations of earlier versions have none."""
        return from_mapping(Budget, self.composed.get("budget") or {}, "budget")

    @property
    def bounded_objective(self) -> Objective:
        """The objective of a search, with the budget among its limits."""
        return self.budget.bound(self.objective)

    @cached_property
    def target(self) -> ModelShape | None:
        """The shape that `objective.target` names; None where costs are those of what is trained.

        Raises:
            RequestError: no such model, or one that the request's cannot be carried over to.
        """
        if self.objective.target is None:
            return None
        # Hydra's composition takes half a second to import; workers are told the shape instead.
        from aero_search.config.target import load_shape

        shape = load_shape(self.objective.target)
        retarget(self.architecture, shape)
        return shape

    @property
    def pricing(self) -> Pricing:
        """What candidates are priced under."""
        return Pricing(self.protocol, self.network, self.target, self.workload, self.prices)

    @cached_property
    def protocol(self) -> Protocol:
        """With every query's preprocessing in its prices where `offline=include` asks for it."""
        protocol = self._group(Protocol, "protocol")
        return protocol.with_offline() if self.offline == "include" else protocol

    @cached_property
    def workload(self) -> Workload:
        """What one query is; configurations of earlier versions have none."""
        return from_mapping(Workload, self.composed.get("workload") or {}, "workload")

    @cached_property
    def prices(self) -> PriceList:
        """Of traffic and machines; configurations of earlier versions have none."""
        return from_mapping(PriceList, self.composed.get("price") or {}, "price")

    @cached_property
    def network(self) -> Network:
        return self._group(Network, "network")

    @cached_property
    def search(self) -> SearchSpec:
        """The budget; a password in its storage's address moves to the environment, and is not in it."""
        spec = self._group(SearchSpec, "search")
        return replace(spec, storage=read_address(spec.storage))

    @cached_property
    def tracking(self) -> TrackingSpec:
        """The store; a password in its address moves to the environment, and is not in it."""
        spec = self._group(TrackingSpec, "tracking")
        return replace(spec, uri=read_tracking_address(spec.uri))

    def options(self, cls: type[T]) -> T:
        """The command's own settings, those of its primary config, as `cls`."""
        shared = {*_SHARED, *_CORE, *GROUPS, "architecture"}
        return from_mapping(cls, {key: value for key, value in self.composed.items() if key not in shared})

    def chosen(self, group: str) -> bool:
        """Whether the user named this group, or one of its fields, on the command line."""
        return any(name == group or name.startswith(f"{group}.") for name in self.override_names())

    def override_names(self) -> list[str]:
        """What the user's overrides set: groups and dotted fields."""
        return override_names(self.overrides)

    def named_lowerings(self) -> frozenset[str]:
        """The entries of `protocol.use` that the user's overrides set."""
        return frozenset(
            name.removeprefix(LOWERING) for name in self.override_names() if name.startswith(LOWERING)
        )

    def _group(self, cls: type[T], name: str) -> T:
        return from_mapping(cls, self.composed.get(name), name)
