"""The Hydra sweeper: asynchronous workers behind any launcher, one resumable Optuna study in the middle.

Hydra hands a sweeper its launcher and a task function. Ours launches `search.workers` jobs once; each job is a
worker that claims, composes, trains and tells until the budget is used, so no candidate waits for another.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from aero_search.app.ablation import LadderCompose, LadderSweep
from aero_search.app.corpora import Corpora, check_choices, check_one_corpus, corpus_of, prepare_each
from aero_search.app.launch import launch_workers
from aero_search.app.planning import check_limits, plan_search
from aero_search.app.stages import StageCompose, asked_stages, stage_runner
from aero_search.app.study import finish_study, make_runner, watch_study
from aero_search.config.fast_compose import QuickCompose
from aero_search.config.group_option import PlainOptions
from aero_search.config.hydra_errors import composing
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import search_spaces_dir
from aero_search.config.request import Request
from aero_search.config.sweep_grammar import fixed_parameter, grid, swept_parameter
from aero_search.console import make_console
from aero_search.errors import RequestError, nearest
from aero_search.front.quality import PERPLEXITY
from aero_search.invocation import NAME, typed
from aero_search.passwords import masked
from aero_search.printing import escape_logs
from aero_search.report.stages import stages_table
from aero_search.search.candidate import Candidate, make_candidate
from aero_search.search.stages.foreseen import staged_networks
from aero_search.search.stages.spec import PROXY
from aero_search.search.stages.stage import Stage
from aero_search.search.study import Study
from aero_search.search.study_runner import StudyRunner
from aero_search.search.worker import Worker
from aero_search.space import Categorical, Parameter, Space, space_base
from aero_search.space.allowed import LOWERING
from aero_search.unforeseen import start_working

STRATEGIES = ("search", "grid", "ladder", "plan")


@dataclass(frozen=True)
class Compose:
    """From a worker's overrides to a candidate; travels to the workers.

    Attributes:
        fingerprint: of the corpus of candidates that are composed quickly, or without `corpora`.
        corpora: the study's; None where candidates are not to be trained.
    """

    loader: ConfigLoader
    master: DictConfig
    fixed: tuple[str, ...]
    fingerprint: str
    corpora: Corpora | None = None

    def quick(self) -> QuickCompose:
        """Composes the overrides of a search, without their configs."""
        return self._quick

    @cached_property
    def _quick(self) -> QuickCompose:
        with composing():
            composed = self._with_hydra(())
            alone = PlainOptions(self.loader, composed, self.fixed)
        bare = _without_hydra(composed)
        plain = _plain(bare)
        base = read_request(bare, self.fixed)

        def groups(overrides: Sequence[str]) -> Mapping[str, Any]:
            if not overrides:
                return plain
            with composing():
                changed = alone(overrides[0]) if len(overrides) == 1 else None
                return _plain(self._composed(overrides)) if changed is None else {**plain, **changed}

        def is_group(name: str) -> bool:
            return bool(self.loader.get_group_options(name))

        start = None if base.checkpoint is None else (base.checkpoint, base.output_dir, self.fixed)
        return QuickCompose(groups, is_group, self.by_hydra, self.fingerprint, base.composed, start)

    def __getstate__(self) -> dict[str, Any]:
        # What has been composed so far stays behind.
        return {name: value for name, value in self.__dict__.items() if name != "_quick"}

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        return _without_hydra(self._with_hydra(overrides))

    def _with_hydra(self, overrides: Sequence[str]) -> DictConfig:
        return self.loader.load_sweep_config(self.master, [*self.fixed, *overrides])

    def request(self, overrides: Sequence[str]) -> Request:
        """What the overrides ask for."""
        with composing():
            cfg = self._composed(overrides)
        return read_request(cfg, (*self.fixed, *overrides))

    def __call__(self, overrides: Sequence[str]) -> Candidate:
        """The candidate with the config that trains it.

        Raises:
            RequestError: it cannot be built, in one sentence.
        """
        composed = self._quick.configuration(overrides)
        if composed is None:
            return self.by_hydra(overrides)
        return self._candidate(Request(composed, (*self.fixed, *overrides)), overrides)

    def by_hydra(self, overrides: Sequence[str]) -> Candidate:
        """The same, every part composed by Hydra itself."""
        return self._candidate(self.request(overrides), overrides)

    def _candidate(self, request: Request, overrides: Sequence[str]) -> Candidate:
        corpus = corpus_of(request, self.corpora) if self.corpora is not None else None
        return make_candidate(
            request.architecture,
            request.recipe,
            corpus.fingerprint if corpus else self.fingerprint,
            tuple(overrides),
            request.portable(),
            corpus.folder if corpus else None,
            request.recovery,
        )


@dataclass
class WorkerTask:
    """The task function that the launcher runs: whatever the job's own config, it is the worker."""

    worker: Worker | None = field(default=None)

    def __call__(self, cfg: DictConfig) -> Exception | None:
        """Returns what went wrong instead of raising it: Hydra would announce it with a job that means nothing."""
        assert self.worker is not None, "launched before the sweep has begun"
        escape_logs()
        try:
            # The launcher's number of the job tells workers apart.
            replace(self.worker, index=int(HydraConfig.get().job.num)).run()
        except Exception as problem:
            return problem
        return None


class StudySweep:
    """One sweep; see the module's docstring.

    Args:
        strategy: `search` lets the sampler propose; `grid` trains every combination of the sweep; `ladder`
            trains the rows of `ladder=`; `plan` says what a search would do.

    Raises:
        RequestError: no such strategy.
    """

    def __init__(self, strategy: str, hydra_context: HydraContext, config: DictConfig) -> None:
        if strategy not in STRATEGIES:
            raise RequestError(
                f"hydra.sweeper.strategy={strategy} is no strategy: {nearest(strategy, STRATEGIES)}"
            )
        self.strategy = strategy
        self.config = config
        self.hydra_context = hydra_context
        self.task = WorkerTask()

    def sweep(self, arguments: list[str]) -> str | None:
        """Run the study that the arguments and the configuration describe; returns its name, None for a plan."""
        parsed = OverridesParser.create(self.hydra_context.config_loader).parse_overrides(arguments)
        if self.strategy == "ladder":
            return self._climb(read_request(_without_hydra(self.config), arguments), arguments, parsed)
        request, base = self._request(parsed, arguments)
        space, queued = self._space(request, parsed)
        start_working("preparing the study", request.output_dir)
        names = _varied(space)
        lines = [*base, *(str(o.input_line) for o in parsed)]
        fixed = tuple(line for line in lines if _key(line) not in names)
        # What varies must exist, before a study takes the name: Hydra says so of every key at once.
        some = space.overrides({p.name: p.first for p in space.parameters})
        self.hydra_context.config_loader.load_sweep_config(self.config, [*fixed, *some])
        compose = Compose(self.hydra_context.config_loader, self.config, fixed, "")
        if queued is None:
            check_one_corpus(space, request)
        if self.strategy == "plan":
            plan_search(request, space, compose.quick().architecture, compose.request)
            return None
        stages = asked_stages(request, space, compose.request) if queued is None else ()
        if queued is None:
            check_limits(request, space, compose.quick().architecture)
        runner = make_runner(
            request,
            space,
            start=queued if queued is not None else space.start,
            name=request.study_name or self._name(request, arguments),
            only_queued=queued is not None,
            command=self._command(arguments),
            prepare_corpora=None if queued is None else partial(prepare_each, space, queued, compose.request),
        )
        compose = _with_corpora(compose, runner)
        if queued is None:
            check_choices(space, compose)
        study = runner.prepare()
        start_working("searching", request.output_dir)
        try:
            front = runner.run(study, compose, self._launch, watch_study(runner))
            finish_study(runner, study, front)
        except RequestError:
            if not study.used():
                study.forget()
            raise
        if stages:
            self._go_on(stages, runner, study, compose, self._command(arguments))
        return runner.plan.name

    def _go_on(
        self, stages: Sequence[Stage], runner: StudyRunner, study: Study, compose: Compose, command: str
    ) -> None:
        """Train at each stage what the one below promotes, and say what is foreseen at the last of the rest."""
        name, records = runner.plan.name, [study.records()]
        for stage in stages:
            start_working(f"training at {stage.name}", runner.plan.output_dir)
            runner = stage_runner(stage, name, runner, study, compose.request, command)
            study = runner.prepare()
            front = runner.run(study, StageCompose(compose, stage), self._launch, watch_study(runner))
            finish_study(runner, study, front)
            records.append(study.records())
        if runner.plan.objective.quality == PERPLEXITY:
            titles = (PROXY, *(stage.name for stage in stages))
            make_console().print(stages_table(staged_networks(records), titles))

    def _climb(self, request: Request, arguments: Sequence[str], parsed: Sequence[Override]) -> str:
        """Train the request's ladder and write its table; returns the study's name."""
        ladder = LadderSweep(request, [str(o.input_line) for o in parsed if o.is_sweep_override()])
        start_working("preparing the ladder", request.output_dir)
        fixed = tuple(str(o.input_line) for o in parsed)
        compose = Compose(self.hydra_context.config_loader, self.config, fixed, "")
        runner = ladder.runner(compose, self._command(arguments))
        compose = _with_corpora(compose, runner)
        ladder.check_corpora(compose)
        study = runner.prepare()
        # With format=json stdout holds the document alone.
        watch = watch_study(runner, make_console(stderr=request.format == "json"))
        runner.run(study, LadderCompose(compose, ladder.overrides), self._launch, watch)
        ladder.finish(runner, study)
        return runner.plan.name

    def _request(self, parsed: Sequence[Override], arguments: list[str]) -> tuple[Request, tuple[str, ...]]:
        """What the user asked for, on top of what the space was made for."""
        request = read_request(_without_hydra(self.config), arguments)
        if self.strategy == "grid":
            return request, ()
        said = {_key(str(o.input_line)) for o in parsed}
        base = tuple(
            line
            for line in space_base(request.space, search_spaces_dir())
            # With a checkpoint the sizes are its own, whatever a space was made for.
            if _key(line) not in said and (request.checkpoint is None or not _key(line).startswith("model"))
        )
        if not base:
            return request, ()
        fixed = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
        with composing():
            composed = self.hydra_context.config_loader.load_sweep_config(self.config, [*base, *fixed])
        return read_request(_without_hydra(composed), arguments), base

    def _space(
        self, request: Request, parsed: Sequence[Override]
    ) -> tuple[Space, list[dict[str, Any]] | None]:
        """What varies, and for a grid every point of it."""
        swept: list[Parameter] = [swept_parameter(o) for o in parsed if o.is_sweep_override()]
        if self.strategy == "grid":
            if not swept:
                raise RequestError("--multirun sweeps nothing: write GROUP=OPTION,OPTION or GROUP.FIELD=1,2")
            choices = [p for p in swept if isinstance(p, Categorical)]
            if lowering := next((p.name for p in swept if p.name.startswith(LOWERING)), None):
                raise RequestError(
                    f"{lowering} chooses a lowering, which changes no training: compare prices with "
                    f"`{typed(f'cost --multirun {lowering}=...')}`, or search with it"
                )
            if len(choices) < len(swept):
                raise RequestError(
                    f"a plain sweep takes lists and ranges; for an interval use `{typed('search')}`"
                )
            return Space("sweep", "A plain sweep.", tuple(choices)), grid(choices)
        space = request.load_space()
        known = _varied(space)
        fixed = [fixed_parameter(o) for o in parsed if not o.is_sweep_override() and o.key_or_group in known]
        return space.with_parameters(*swept, *fixed), None

    def _name(self, request: Request, arguments: Sequence[str]) -> str:
        if self.strategy == "search":
            return request.space.rpartition("/")[2].removesuffix(".yaml")
        return "sweep-" + hashlib.sha256(" ".join(sorted(arguments)).encode()).hexdigest()[:8]

    def _command(self, arguments: Sequence[str]) -> str:
        command = {"grid": ["train", "--multirun"], "ladder": ["ablate"]}.get(self.strategy, ["search"])
        launcher = [o for o in self.config.hydra.overrides.hydra if "launcher" in o]
        return shlex.join([NAME, *command, *map(masked, [*arguments, *launcher])])

    def _launch(self, worker: Worker, count: int) -> None:
        self.task.worker = worker
        launch_workers(self.hydra_context, self.config, self.task, [[] for _ in range(count)])


def _with_corpora(compose: Compose, runner: StudyRunner) -> Compose:
    fingerprint = str(runner.settings["corpus fingerprint"])
    return replace(compose, fingerprint=fingerprint, corpora=runner.corpora)


def _varied(space: Space) -> set[str]:
    """The overrides that a space gives values to."""
    drawn = {parameter.override for parameter in space.parameters}
    return drawn | {LOWERING + entry for entry in space.lowerings}


def _key(line: str) -> str:
    """What an override sets."""
    return line.lstrip("+~").partition("=")[0]


def _plain(cfg: DictConfig) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", OmegaConf.to_container(cfg))  # a composed config is never a list


def _without_hydra(cfg: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
