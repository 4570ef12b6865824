"""Searches and their studies, from Python."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aero_search.api.exporting import export_request
from aero_search.app.saved_study import SavedStudy, open_saved_study
from aero_search.config.compose import compose_request, run_sweep
from aero_search.front.quality import QUALITIES
from aero_search.front.record import Record

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from aero_search.front.front import Front


def search(
    space: str | Path = "aero",
    objective: str | None = None,
    *,
    name: str | None = None,
    n_trials: int | None = None,
    workers: int | None = None,
    model: str | None = None,
    data: str | None = None,
    protocol: str | None = None,
    network: str | None = None,
    output_dir: str | Path = "outputs",
    progress: bool = True,
    overrides: Sequence[str] = (),
) -> Study:
    """Run a search to the end of its budget, as `aero-search search` does; the same call again resumes it.

    Workers are processes of their own that never import the caller's script: neither a notebook nor a script
    needs `if __name__ == "__main__"`.

    Args:
        space: a name in search_spaces/ or the path of a YAML file.
        objective, model, data, protocol, network: options of the groups of these names; None is the default of
            the space or of the commands.
        name: of the study; None is the space's.
        n_trials: candidates to train; more than before goes on with the same study.
        workers: processes that train at the same time.
        progress: show the search on stdout while it runs, and its front at the end.
        overrides: any other setting as on the command line, such as `recipe.steps=100` or `search.seed=1`.

    Raises:
        RequestError: a setting is wrong, with the nearest choice; nothing has been written.
        AeroSearchError: the work failed; the same call resumes.
    """
    settings = {
        "space": space,
        "objective": objective,
        "study.name": name,
        "search.n_trials": n_trials,
        "search.workers": workers,
        "model": model,
        "data": data,
        "protocol": protocol,
        "network": network,
        "output_dir": output_dir,
    }
    with contextlib.nullcontext() if progress else contextlib.redirect_stdout(io.StringIO()):
        ran = run_sweep("search", settings, overrides)
    return open_study(ran, output_dir)


def open_study(
    name: str | None = None,
    output_dir: str | Path = "outputs",
    *,
    protocol: str | None = None,
    network: str | None = None,
    overrides: Sequence[str] = (),
) -> Study:
    """Open a study that was searched before, or that runs now.

    Args:
        name: None is the only study, or the newest.
        protocol, network: other prices than the study's own, by name; nothing is trained.
        overrides: any other setting of `aero-search front`, such as `objective.target=gpt2_small`.

    Raises:
        RequestError: there is no such study or setting, with the nearest that there is.
    """
    settings: dict[str, object] = {
        "study.name": name,
        "output_dir": output_dir,
        "protocol": protocol,
        "network": network,
    }
    study = Study(settings, tuple(overrides))
    settings["study.name"] = study.name
    return study


class Study:
    """A study, read anew at every call: what is asked of a running one is as it is at that moment.

    Attributes:
        name: of the study.
    """

    def __init__(self, settings: dict[str, object], overrides: tuple[str, ...]) -> None:
        self._settings, self._overrides = settings, overrides
        self.name = self._open().name

    def __repr__(self) -> str:
        return f"Study('{self.name}', {self._settings['output_dir']!s})"

    def front(self) -> Front:
        """The non-dominated candidates as `.points`, cheapest first, and what each is worth.

        `.knee()`, `.best()`, `.cheapest()` and `.within({"latency_s": 10})` pick one; `.hypervolume` is the share
        of the reference box.
        """
        return self._open().front

    def records(self) -> pd.DataFrame:
        """Every candidate trained, stopped or in training, one row each, by trial number.

        Columns: notation, state, reason, perplexity, bits_per_byte, accuracy, on_front, each known cost in SI
        units (latency_s,
        communication_bytes, flops, rounds), lr, seed, seconds, key, folder, and one column for each override that
        the space sets, such as `ffn.layers`. Perplexity is missing while a candidate runs, when it was stopped and
        when it diverged.
        """
        import pandas as pd

        past = self._open()
        on_front = {record.number for record in past.front.points}
        rows = [_row(record, record.number in on_front) for record in past.records]
        return pd.DataFrame(rows, index=pd.Index([r.number for r in past.records], name="trial"))

    def plot(self) -> Figure:
        """Perplexity against each cost, as a plotly figure; the last value of a notebook's cell shows itself."""
        from aero_search.report.plot import figure_of

        return figure_of(self.front())

    def export(
        self,
        pick: str | int | Record = "knee",
        to: str | Path | None = None,
        kind: Literal["bundle", "hf", "onnx"] = "bundle",
    ) -> Path:
        """Write one candidate as a bundle, for transformers or as ONNX, as `aero-search export` does.

        Args:
            pick: knee, best, cheapest, trial:N, a trial number or a record of the front.
            to: the folder to write; None is OUTPUT_DIR/exports/STUDY-PICK.

        Returns:
            The folder; `aero_search.load_bundle` opens a bundle.

        Raises:
            RequestError: there is no such candidate, or `to` holds something else.
            AeroSearchError: a file of the candidate is gone.
        """
        number = pick.number if isinstance(pick, Record) else pick
        settings = {
            **self._settings,
            "pick": f"trial:{number}" if isinstance(number, int) else number,
            "to": to,
            "kind": kind,
        }
        return Path(export_request(compose_request("export", settings, self._overrides))["folder"])

    def _open(self) -> SavedStudy:
        return open_saved_study(compose_request("front", self._settings, self._overrides))


def _row(record: Record, on_front: bool) -> dict[str, object]:
    pairs = (override.partition("=") for override in record.overrides)
    return {
        "notation": record.notation,
        "state": record.state,
        "reason": record.reason,
        **{name: record.metric(name) for name in QUALITIES},
        "on_front": on_front,
        **record.costs,
        **{f"protocol.use.{entry}": name for entry, name in record.lowerings.items()},
        "lr": record.lr,
        "seed": record.seed,
        "seconds": record.seconds,
        "key": record.candidate,
        "folder": str(record.folder),
        **{name: _number(value) for name, _, value in pairs},
    }


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
