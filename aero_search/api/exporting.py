"""Exports one architecture of a study, as a bundle or in another library's form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aero_search.app.saved_study import SavedStudy, open_saved_study
from aero_search.config.paths import writable
from aero_search.config.request import Request
from aero_search.errors import RequestError
from aero_search.front.budget import Maxima
from aero_search.front.quality import MAXIMIZED, QUALITIES
from aero_search.invocation import typed
from aero_search.passwords import masked
from aero_search.report.units import quality_name, quality_text
from aero_search.waiting import doing

if TYPE_CHECKING:
    from aero_search.data.corpus import Corpus
    from aero_search.export.choice import Choice


# What a file system takes, 255 bytes, with room for what is put behind it.
_LONGEST_NAME = 230


@dataclass(frozen=True)
class ExportOptions(Maxima):
    """conf/export.yaml"""

    kind: Literal["bundle", "hf", "onnx"]
    pick: str
    to: str | None
    register: bool
    register_as: str | None


@dataclass
class _Told:
    """What was done: a line at once for people, and one document for programs."""

    print: Callable[[str], None] | None
    document: dict[str, Any] = field(default_factory=dict)

    def say(self, line: str, **fields: Any) -> None:
        self.document |= fields
        if self.print is not None and line:
            self.print(line)


def export_request(request: Request, say: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Pick a point of the request's study and write what was asked for.

    Args:
        say: hears what is done, line by line.

    Returns:
        The document that `aero-search export format=json` prints, `folder` among its fields.

    Raises:
        RequestError: some part of the request is wrong.
        AeroSearchError: a file of the candidate is gone.
    """
    from aero_search.export.choice import Choice

    options = request.options(ExportOptions)
    resized = request.chosen("model")
    if resized and (options.kind != "bundle" or options.register):
        raise RequestError(
            "model= writes a description without weights: leave kind= and register= out beside it"
        )
    if options.register and options.kind != "bundle":
        raise RequestError(f"register=true registers the bundle: leave kind={options.kind} out beside it")
    past = open_saved_study(request)
    limits = options.limits(request.budget)
    record = past.front.within(limits) if limits else past.front.pick(options.pick)
    picked_by = (
        ", ".join(f"{m} {'>=' if m in MAXIMIZED else '<='} {v:g}" for m, v in limits.items()) or options.pick
    )
    pricing = past.pricing.of(record.architecture)
    choice = Choice(
        past.name, record, past.front, pricing, picked_by, masked(str(past.attrs.get("command", "")))
    )
    name = f"{past.name}-{'budget' if limits else options.pick.replace(':', '-')}"
    folder = Path(options.to) if options.to else request.output_dir / "exports" / name
    writable(folder.resolve().parent, "to")
    if len(folder.name.encode()) > _LONGEST_NAME:
        raise RequestError(
            f"to={folder.name[:60]}... is longer than the {_LONGEST_NAME} bytes that an export's name may have: "
            "name a folder with to="
        )
    told = _Told(say)
    quality = past.objective.quality
    reached = f"{quality_name(quality)} {quality_text(quality, record.metric(quality))}"
    told.say(
        f"{record.label}: {reached}, {record.costs['latency_s']:.3g} s",
        study=past.name,
        trial=record.number,
        notation=record.notation,
        key=record.candidate,
        picked_by=picked_by,
        **{name: record.metric(name) for name in QUALITIES},
        costs=dict(record.costs),
        **({"lowerings": dict(record.lowerings)} if record.lowerings else {}),
        target=None if past.pricing.target is None else past.pricing.target.name,
    )
    told.say(past.front.sizes)
    doing("writing the export and checking it")
    if record.state == "plateau":
        told.say(f"it has learned token frequencies alone: {record.reason}; train longer (recipe.steps)")
    if resized:
        _resized(request, choice, folder if options.to else None, name, told)
    else:
        if options.to is None and options.kind != "bundle":
            folder = folder.with_name(f"{name}-{options.kind}")
        _written(choice, options.kind, folder, told)
    if options.register:
        _registered(request, past, choice, folder, options.register_as, told)
    return told.document


def _written(choice: Choice, kind: str, folder: Path, told: _Told) -> None:
    corpus = _corpus(choice)
    if kind == "hf":
        from aero_search.export.huggingface import write_huggingface

        written = write_huggingface(choice, corpus, folder)
        told.say(
            f"transformers loads it as {written.loaded_as}; logits differ by {written.difference:.1e} at most",
            loaded_as=written.loaded_as,
            custom_code=written.custom_code,
            difference=written.difference,
        )
        flag = ", trust_remote_code=True" if written.custom_code else ""
        told.say(f'try: AutoModelForCausalLM.from_pretrained("{folder}"{flag})')
    elif kind == "onnx":
        from aero_search.export.onnx import write_onnx

        difference = write_onnx(choice, corpus, folder)
        told.say(f"onnxruntime runs it; logits differ by {difference:.1e} at most", difference=difference)
    else:
        from aero_search.export.bundle import write_bundle

        write_bundle(choice, corpus, folder)
        told.say(f"check it: {typed(f'verify {folder}')}")
    if corpus is None:
        told.say("without a tokenizer: the corpus it was trained on is no longer on this machine")
    told.say(f"written to {folder}", kind=kind, folder=str(folder), tokenizer=corpus is not None)


def _corpus(choice: Choice) -> Corpus | None:
    """The corpus the candidate was trained on, as its own configuration tells."""
    import yaml

    from aero_search.data.spec import CorpusSpec
    from aero_search.export.tokens import find_corpus
    from aero_search.schema import from_mapping
    from aero_search.search.files import CONFIG_FILE
    from aero_search.training.result import read_result

    config = yaml.safe_load(choice.file(CONFIG_FILE).read_text())
    spec = from_mapping(CorpusSpec, config["data"], "data")
    return find_corpus(spec, read_result(choice.record.folder).fingerprint)


def _resized(request: Request, choice: Choice, folder: Path | None, name: str, told: _Told) -> None:
    from aero_search.app.resize import asked_shape, resized_config
    from aero_search.export.resized import write_resized

    shape = asked_shape(request, choice.record.architecture)
    folder = folder or request.output_dir / "exports" / f"{name}-{shape.name}"
    architecture, command = write_resized(
        choice, shape, lambda config, a: resized_config(request, config, a), folder
    )
    told.say(f"{architecture} at the size of {shape.text}, without weights", notation=str(architecture))
    told.say(f"train it: {command}", command=command, size=shape.name)
    told.say(f"written to {folder}", kind="description", folder=str(folder))


def _registered(
    request: Request, past: SavedStudy, choice: Choice, folder: Path, register_as: str | None, told: _Told
) -> None:
    from aero_search.export.registry import register_bundle

    tracking = request.tracking
    uri = register_bundle(
        folder,
        register_as or f"aero-search-{past.name}",
        tracking.resolved_uri(request.output_dir),
        tracking.experiment,
        choice,
    )
    told.say(f"registered as {uri}", registered=uri)
    told.say(f"serve it: MLFLOW_TRACKING_URI={masked(tracking.resolved_uri(request.output_dir))} \\")
    told.say(f"  mlflow models serve --model-uri {uri} --env-manager local --port 5001")
