"""What `measure` and `evaluate emulate=true` run: a bundle, a study's candidate, or fresh random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aero_search.architecture import Architecture, notation
from aero_search.config.architecture import GROUPS
from aero_search.config.request import Request
from aero_search.cost import Protocol
from aero_search.data.spec import CorpusSpec
from aero_search.errors import RequestError
from aero_search.invocation import typed
from aero_search.schema import from_mapping
from aero_search.search.files import ARCHITECTURE_FILE, CONFIG_FILE
from aero_search.training.result import WEIGHTS_FILE
from aero_search.user_files import read_settings

if TYPE_CHECKING:
    from aero_search.model import Decoder


@dataclass(frozen=True)
class MeasureTarget:
    """A network to be measured.

    Attributes:
        label: for people.
        weights: its file; None for random weights.
        corpus: the text it was trained with; None for random weights.
        validation_sequences: held-out windows of its recipe.
        lowerings: that it takes in its study, by entry of `protocol.use`.
        parent_run: of its study in the tracking store, empty where there is none.
    """

    label: str
    architecture: Architecture
    weights: Path | None
    corpus: CorpusSpec | None
    parent_run: str = ""
    validation_sequences: int = 512
    lowerings: Mapping[str, str] = field(default_factory=dict)

    def protocol(self, request: Request) -> Protocol:
        """The request's protocol with the network's own lowerings, but for those that the request names.

        Raises:
            RequestError: the protocol has no such lowering.
        """
        named = request.named_lowerings()
        own = {entry: name for entry, name in self.lowerings.items() if entry not in named}
        return request.protocol.with_use(own)

    def model(self, seed: int) -> Decoder:
        """The network in evaluation mode. Imports torch.

        Args:
            seed: of random weights, where it has none of its own.
        """
        from aero_search.model import build_model, load_weights

        model = build_model(self.architecture, seed=seed)
        if self.weights is not None:
            load_weights(model, self.weights)
        return model.eval()


def require_one(bundle: str | None, study: str | None) -> None:
    """Raises: RequestError: both name a network."""
    if bundle is not None and study is not None:
        raise RequestError(f"bundle={bundle} and study={study} name two networks: leave one out")


def find_target(request: Request, bundle: str | None, pick: str | None) -> MeasureTarget:
    """The network that the request names.

    Raises:
        RequestError: it names two, one that does not exist, or settings of another one.
    """
    study = request.study_name
    require_one(bundle, study)
    if pick is not None and study is None:
        raise RequestError(f"pick={pick} picks from a study: add study=NAME")
    if bundle is None and study is None:
        architecture = request.architecture
        return MeasureTarget(f"{notation(architecture)}, random weights", architecture, None, None)
    named = f"bundle={bundle}" if bundle is not None else f"study={study}"
    changed = [group for group in ("variant", *GROUPS) if request.chosen(group)]
    if changed:
        raise RequestError(f"{named} brings its own architecture: leave out {changed[0]}=")
    if bundle is not None:
        return from_folder(request, Path(bundle), f"bundle={bundle}")
    # Brings Optuna, which no bundle and no help needs.
    from aero_search.app.saved_study import open_saved_study

    # Prices do not matter for picking by name; the study's own are kept, whatever measure compares with.
    past = open_saved_study(_without_prices(request))
    record = past.front.pick(pick or "knee")
    found = from_folder(request, record.folder, f"the folder of trial {record.number}")
    run = str(past.attrs.get("run", ""))
    return replace(found, label=record.label, parent_run=run, lowerings=record.lowerings)


def _without_prices(request: Request) -> Request:
    kept = tuple(o for o in request.overrides if not o.lstrip("+~").startswith(("protocol", "network")))
    return Request(request.composed, kept)


def from_folder(request: Request, folder: Path, named: str) -> MeasureTarget:
    """The network in a folder of `export` or of a candidate.

    Args:
        named: the folder, in a refusal.

    Raises:
        RequestError: it holds no network.
    """
    missing = [name for name in (ARCHITECTURE_FILE, WEIGHTS_FILE) if not (folder / name).is_file()]
    if missing:
        raise RequestError(
            f"{named} has no {missing[0]}: name a folder that `{typed('export')}` or `train` has written"
        )
    architecture = from_mapping(Architecture, read_settings(folder / ARCHITECTURE_FILE), ARCHITECTURE_FILE)
    corpus = request.data
    config = read_settings(folder / CONFIG_FILE) if (folder / CONFIG_FILE).is_file() else {}
    if not request.chosen("data") and config:
        corpus = from_mapping(CorpusSpec, config.get("data"), f"{CONFIG_FILE}: data")
    recipe = config.get("recipe", {})
    return MeasureTarget(
        notation(architecture),
        architecture,
        folder / WEIGHTS_FILE,
        corpus.cut_for(architecture.seq_len),
        validation_sequences=recipe.get("validation_sequences", request.recipe.validation_sequences),
    )
