"""`kind=onnx`: the folded decoder as one graph with dynamic batch and length, checked with onnxruntime.

Shapes: B batch, T position up to seq_len, V vocabulary entry.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aero_search.architecture import Architecture
from aero_search.architecture.registry import require_all
from aero_search.data.corpus import Corpus
from aero_search.errors import AeroSearchError
from aero_search.export.choice import Choice, write_folder
from aero_search.export.documents import write_provenance
from aero_search.export.extras import require
from aero_search.export.layout import ARCHITECTURE_FILE, CARD_FILE
from aero_search.export.models import difference, example_tokens, trained_and_folded
from aero_search.export.tokens import write_tokenizer
from aero_search.markdown import code, plain
from aero_search.model import FoldedDecoder
from aero_search.schema import to_mapping
from aero_search.search.files import write_yaml
from aero_search.training.result import read_result

TOLERANCE = 1e-4
GRAPH_FILE = "model.onnx"
INPUT, OUTPUT = "tokens", "logits"
# onnxruntime and every common runtime have it; later ones bring nothing that a decoder uses.
OPSET = 20


def write_onnx(choice: Choice, corpus: Corpus | None, folder: Path) -> float:
    """Write the graph with tokenizer and card, and compare logits at several batch sizes and lengths.

    Returns:
        The largest difference from ours, see `models.difference`.

    Raises:
        RequestError: onnx or onnxruntime is not installed, or `folder` holds something else.
        AeroSearchError: logits differ by more than 1e-4, or the candidate's files are gone.
    """
    require("onnx", "onnx", "onnxruntime", "onnxscript")
    require_all(choice.record.architecture.operations, "onnx")
    apart: list[float] = []
    write_folder(folder, "onnx", lambda partial: apart.append(_fill(choice, corpus, partial)))
    return apart[0]


def _fill(choice: Choice, corpus: Corpus | None, folder: Path) -> float:
    model, folded = trained_and_folded(choice)
    a = choice.record.architecture
    write_graph(folded, folder / GRAPH_FILE)
    run = onnx_logits(folder / GRAPH_FILE)
    apart = max(difference(model, run, example_tokens(a, *shape)) for shape in _shapes(a))
    if not apart <= TOLERANCE:
        raise AeroSearchError(
            f"onnxruntime's logits are {apart:.1e} from ours, above {TOLERANCE:g}: not written"
        )
    write_tokenizer(corpus, a.seq_len, folder)
    write_yaml(folder / ARCHITECTURE_FILE, to_mapping(a), choice.record.notation)
    write_provenance(choice, read_result(choice.record.folder), "onnx", folder, (CARD_FILE,))
    (folder / CARD_FILE).write_text(_card(choice, apart))
    return apart


def write_graph(folded: FoldedDecoder, path: Path) -> None:
    """Export tokens (B, T) int64 to logits (B, T, V) float32; T may be 1 to seq_len, B anything."""
    a = folded.architecture
    length: Any = torch.export.Dim("length", max=a.seq_len) if a.seq_len > 1 else None
    with _quiet():
        program = torch.onnx.export(
            folded,
            (example_tokens(a, 2, a.seq_len),),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"tokens_bt": {0: torch.export.Dim("batch"), 1: length}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.save(str(path), external_data=False)
    import onnx

    onnx.checker.check_model(str(path), full_check=True)


def onnx_logits(path: Path) -> Any:
    """A function from tokens (B, T) to logits (B, T, V) that runs the graph on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(tokens_bt: Tensor) -> Tensor:
        (logits_btv,) = session.run([OUTPUT], {INPUT: tokens_bt.numpy()})
        return torch.from_numpy(logits_btv)

    return run


def _shapes(a: Architecture) -> tuple[tuple[int, int], ...]:
    return (1, 1), (1, a.seq_len), (3, max(a.seq_len // 2, 1)), (5, a.seq_len)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells its progress and warns of its own internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _card(choice: Choice, apart: float) -> str:
    longest = choice.record.architecture.seq_len
    return f"""# {plain(choice.record.notation)}

Trial {choice.record.number} of study {code(choice.study)}, folded for inference, as an ONNX graph (opset {OPSET}):
`{INPUT}` (batch, length) int64 to `{OUTPUT}` (batch, length, vocabulary) float32, length up to {longest}. Logits of
onnxruntime differ from ours by {apart:.1e} at most, measured when this was written.

    import numpy, onnxruntime
    session = onnxruntime.InferenceSession("{GRAPH_FILE}")
    (logits,) = session.run(["{OUTPUT}"], {{"{INPUT}": numpy.zeros((1, 4), dtype=numpy.int64)}})
"""
