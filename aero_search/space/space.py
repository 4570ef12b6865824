"""A search space: parameters in order, starting points, and how both are read from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from aero_search.errors import RequestError, nearest
from aero_search.schema import from_mapping
from aero_search.space.allowed import BASE, CANDIDATE, LOWERING, TRAINING, check_setting
from aero_search.space.parameter import Assignment, Categorical, Integer, Parameter, Real, Suggest, Value
from aero_search.user_files import read_settings

Bound = int | float | str


@dataclass(frozen=True)
class _Range:
    """`{low: 1, high: n_layer}`; a bound may name a size of the model."""

    low: Bound
    high: Bound
    log: bool = False
    step: int | float | None = None


@dataclass(frozen=True)
class _ParameterFile:
    """One entry of `parameters:` or `tune:`; exactly one of choices, int and real."""

    # By its name from outside: in here `int` is the field below.
    choices: tuple[Value, ...] | None = None
    int: _Range | None = None
    real: _Range | None = None
    when: Mapping[str, Any] | None = None
    each: Literal["layer"] | None = None


@dataclass(frozen=True)
class _SpaceFile:
    """A YAML file of search_spaces/."""

    description: str
    parameters: Mapping[str, _ParameterFile]
    tune: Mapping[str, _ParameterFile] = field(default_factory=dict)
    base: Mapping[str, Any] = field(default_factory=dict)
    start: tuple[Mapping[str, Any], ...] = ()

    @property
    def entries(self) -> Mapping[str, _ParameterFile]:
        return {**self.parameters, **self.tune}


@dataclass(frozen=True)
class Space:
    """What may vary.

    Attributes:
        name: the file's stem.
        description: one or two sentences for people.
        parameters: in the order they are drawn; a condition only looks back.
        start: assignments tried before the sampler's own.
        tune: overrides that change how a network is trained and not which one it is; those of the recipe always do.
        lowerings: that may run an operation, by entry of `protocol.use`; they are not drawn: a network takes the
            cheapest.
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    start: tuple[Assignment, ...] = ()
    tune: tuple[str, ...] = ()
    lowerings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def tuned(self, parameter: Parameter) -> bool:
        """Whether a parameter is a setting of the training alone."""
        return parameter.override.partition(".")[0] == "recipe" or parameter.override in self.tune

    @property
    def training(self) -> tuple[Parameter, ...]:
        """The parameters that are settings of the training alone."""
        return tuple(p for p in self.parameters if self.tuned(p))

    def network(self, assignment: Assignment) -> dict[str, Value]:
        """The assignment at usual training settings: equal for all those of one network."""
        found: dict[str, Value] = {}
        for p in self.parameters:
            if p.active(found):
                found[p.name] = p.usual if self.tuned(p) else assignment.get(p.name, p.first)
        return found

    def suggest(self, trial: Suggest) -> dict[str, Value]:
        """Draw one assignment; inactive parameters are left out."""
        assignment: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.active(assignment):
                assignment[parameter.name] = parameter.suggest(trial)
        return assignment

    def overrides(self, assignment: Assignment) -> list[str]:
        """The Hydra overrides that an assignment means, in the space's order.

        Parameters of single layers become one list. A layer in which the parameter does not count takes its
        first choice, which has no effect there.
        """
        lists: dict[str, list[str]] = {}
        for p in self.parameters:
            if p.name != p.override:
                value = assignment.get(p.name, p.first)
                lists.setdefault(p.override, []).append(_text(value))
        texts = {p.override: _text(assignment[p.name]) for p in self.parameters if p.name in assignment}
        texts |= {name: f"[{','.join(values)}]" for name, values in lists.items() if name in texts}
        return [f"{name}={text}" for name, text in texts.items()]

    def with_parameters(self, *parameters: Parameter) -> Space:
        """The same space with these parameters put in the place of those of the same name, or added.

        A starting point takes a parameter's only value, and is dropped where it names an impossible one. What a
        space varies layer by layer is narrowed in every layer.

        Raises:
            RequestError: such a parameter is given a list, or a lowering something else than names.
        """
        chosen = [p for p in parameters if p.name.startswith(LOWERING)]
        lowerings = {**self.lowerings, **dict(map(lowering_choices, chosen))}
        new = {p.name: p for p in parameters if p not in chosen}
        listed = {p.override for p in self.parameters if p.name != p.override} & new.keys()
        for name in listed:
            whole = new.pop(name)
            if isinstance(whole, Categorical) and any(str(v).startswith("[") for v in whole.choices):
                raise RequestError(
                    f"{name} varies by layer in space={self.name}: narrow it with single values"
                )
            new |= {p.name: replace(whole, name=p.name) for p in self.parameters if p.override == name}
        # A narrowed parameter still counts only where it did.
        merged = tuple(replace(new.pop(p.name, p), when=p.when) for p in self.parameters)
        merged += tuple(new.values())
        known = {p.name: p for p in merged}
        only = {p.name: p.choices[0] for p in merged if isinstance(p, Categorical) and len(p.choices) == 1}
        adapted = [{name: only.get(name, value) for name, value in point.items()} for point in self.start]
        start = [p for p in adapted if all(known[name].contains(value) for name, value in p.items())]
        return replace(self, parameters=merged, start=tuple(start), lowerings=lowerings)


def load_space(name: str, folder: Path, sizes: Mapping[str, int]) -> Space:
    """Read a space by name from `folder`, or by path.

    Args:
        name: a stem such as `aero`, or the path of a YAML file.
        folder: of the shipped spaces.
        sizes: values that bounds may name, such as {"n_layer": 4}; n_layer also says how many parameters
            `each: layer` makes.

    Raises:
        RequestError: no such space, or one that makes no sense, in one sentence.
    """
    path, read = _read(name, folder)
    lowerings = _lowerings(read)
    layered = {key for key, entry in read.entries.items() if entry.each}
    parameters = tuple(
        parameter
        for key, entry in read.entries.items()
        if not key.startswith(LOWERING)
        for parameter in _expand(_parameter(key, entry, sizes), entry, sizes, layered)
    )
    _check_conditions(parameters, path.name)
    start = tuple(_start(parameters, point, sizes, layered) for point in read.start)
    for point in start:
        _check_start(parameters, point, path.name)
    _check_allowed(read, path.name)
    described = " ".join(read.description.split())
    return Space(path.stem, described, parameters, start, tuple(read.tune), lowerings)


def space_base(name: str, folder: Path) -> tuple[str, ...]:
    """The overrides that a space was made for, which say the sizes its bounds may name.

    Raises:
        RequestError: as `load_space`.
    """
    path, read = _read(name, folder)
    _check_allowed(read, path.name)
    return tuple(f"{key}={_text(_plain(value))}" for key, value in read.base.items())


def _read(name: str, folder: Path) -> tuple[Path, _SpaceFile]:
    path = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    if not path.is_file():
        names = [p.stem for p in folder.glob("*.yaml")]
        raise RequestError(f"space={name} is neither a space nor a YAML file: {nearest(name, names)}")
    return path, from_mapping(_SpaceFile, read_settings(path), path.name)


def _lowerings(read: _SpaceFile) -> dict[str, tuple[str, ...]]:
    """The entries that choose a lowering, which no network is drawn for."""
    found = {}
    for name, entry in read.parameters.items():
        if name.startswith(LOWERING):
            if entry.choices is None or entry.when is not None or entry.each is not None:
                raise RequestError(f"parameter {name} chooses a lowering: give it choices alone")
            entry_name, names = lowering_choices(Categorical(name, entry.choices))
            found[entry_name] = names
    return found


def lowering_choices(parameter: Parameter) -> tuple[str, tuple[str, ...]]:
    """The entry of `protocol.use` that a parameter names, and the lowerings that may stand in it.

    Raises:
        RequestError: it does not list names.
    """
    names = parameter.choices if isinstance(parameter, Categorical) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise RequestError(f"parameter {parameter.name} chooses a lowering: give it a list of their names")
    return parameter.name.removeprefix(LOWERING), tuple(map(str, names))


def _check_allowed(read: _SpaceFile, where: str) -> None:
    """A space sets architecture and recipe; its base also what it is priced under."""
    for name, value in read.base.items():
        check_setting(name, value, f"{where}: base", BASE)
    varied = ("parameters", read.parameters, (*CANDIDATE, LOWERING)), ("tune", read.tune, CANDIDATE)
    for part, entries, allowed in varied:
        for name, entry in entries.items():
            for choice in entry.choices or (None,):
                check_setting(name, choice, f"{where}: {part}", allowed)
    for name in read.tune:
        if name in read.parameters:
            raise RequestError(f"{where} has {name} under parameters and under tune: leave one out")
        if not {name, name.partition(".")[0]} & set(TRAINING):
            raise RequestError(
                f"{where}: tune has {name}, which makes another network: write it under parameters (tune takes "
                f"{', '.join(TRAINING)})"
            )


def _parameter(name: str, entry: _ParameterFile, sizes: Mapping[str, int]) -> Parameter:
    when = {key: _values(value) for key, value in (entry.when or {}).items()}
    if sum(part is not None for part in (entry.choices, entry.int, entry.real)) != 1:
        raise RequestError(f"parameter {name} needs exactly one of choices, int and real")
    if entry.choices is not None:
        if not entry.choices:
            raise RequestError(f"parameter {name} has no choices")
        return Categorical(name, entry.choices, when=when)
    span = entry.int or entry.real
    assert span is not None
    low, high = (_bound(name, bound, sizes) for bound in (span.low, span.high))
    if entry.int is not None:
        if low != int(low) or high != int(high):
            raise RequestError(f"parameter {name} is int, so low={low} and high={high} must be whole numbers")
        step = 1 if span.step is None else span.step
        if step != int(step):
            raise RequestError(f"parameter {name} is int, so step={step} must be a whole number")
        return Integer(name, int(low), int(high), int(step), span.log, when=when)
    return Real(
        name, float(low), float(high), span.log, None if span.step is None else float(span.step), when=when
    )


def _expand(
    parameter: Parameter, entry: _ParameterFile, sizes: Mapping[str, int], layered: set[str]
) -> list[Parameter]:
    """`each: layer` makes one parameter a layer; a condition on another such parameter is on the same layer."""
    if entry.each is None:
        for name in parameter.when:
            if name in layered:
                raise RequestError(
                    f"parameter {parameter.name} waits for {name}, which every layer has: give it each: layer too"
                )
        return [parameter]
    return [
        replace(
            parameter,
            name=f"{parameter.name}[{i}]",
            when={f"{n}[{i}]" if n in layered else n: values for n, values in parameter.when.items()},
        )
        for i in range(sizes["n_layer"])
    ]


def _bound(name: str, bound: Bound, sizes: Mapping[str, int]) -> int | float:
    if isinstance(bound, str):
        if bound not in sizes:
            raise RequestError(f"parameter {name} has the bound '{bound}': {nearest(bound, sizes)}")
        return sizes[bound]
    return bound


def _check_conditions(parameters: tuple[Parameter, ...], where: str) -> None:
    seen: dict[str, Parameter] = {}
    for parameter in parameters:
        for name, values in parameter.when.items():
            if name not in seen:
                raise RequestError(
                    f"{where}: {parameter.name} is conditional on {name}, which must be a parameter above it"
                )
            bad = [value for value in values if not seen[name].contains(value)]
            if bad:
                raise RequestError(f"{where}: {parameter.name} waits for {name}={bad[0]}, which cannot be")
        seen[parameter.name] = parameter


def _check_start(parameters: tuple[Parameter, ...], point: Assignment, where: str) -> None:
    known = {p.name: p for p in parameters}
    for name, value in point.items():
        if name not in known:
            raise RequestError(f"{where}: start names {name}, which is no parameter: {nearest(name, known)}")
        if not known[name].contains(value):
            raise RequestError(f"{where}: start has {name}={value}, which the parameter cannot take")


def _start(
    parameters: tuple[Parameter, ...], point: Mapping[str, Any], sizes: Mapping[str, int], layered: set[str]
) -> Assignment:
    """A starting point; like a bound, a whole number may be the name of a size.

    What varies by layer is given once for all layers.
    """
    counts = {p.name for p in parameters if isinstance(p, Integer)}
    found: dict[str, Value] = {}
    for name, value in point.items():
        names = [p.name for p in parameters if p.override == name] if name in layered else [name]
        found |= {n: _plain(sizes.get(value, value) if n in counts else value) for n in names}
    return found


def _values(value: Any) -> tuple[Value, ...]:
    return tuple(_plain(v) for v in value) if isinstance(value, list) else (_plain(value),)


def _plain(value: Any) -> Value:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RequestError(f"{value!r} in a space must be a number, a text, true, false or null")


def _text(value: Value) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
