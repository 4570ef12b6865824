"""onnxruntime computes what we do, whatever the batch and the length."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aero_search.errors import RequestError
from aero_search.export.models import difference, example_tokens
from aero_search.export.onnx import GRAPH_FILE, onnx_logits, write_graph, write_onnx
from aero_search.export.verify_exports import exported_kind, verify_export
from aero_search.model import fold
from tests.export.made import VARIANTS, Made
from tests.export.test_huggingface import CASES, perturbed

QUICK = "entropy"


@pytest.mark.parametrize(
    "name", [QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS if name != QUICK)]
)
def test_logits_are_ours_for_every_batch_and_length(
    name: str, made: Callable[[str], Made], tmp_path: Path
) -> None:
    one, folder = made(name), tmp_path / "onnx"
    assert write_onnx(one.choice, one.corpus, folder) < 1e-4
    run = onnx_logits(folder / GRAPH_FILE)
    a = one.choice.record.architecture
    for batch, length in ((1, 1), (2, 1), (1, 2), (7, 5), (2, a.seq_len)):
        assert difference(one.model, run, example_tokens(a, batch, length)) < 1e-4
    assert not verify_export(folder, exported_kind(folder)).differing
    assert {"README.md", "tokenizer.json", "architecture.yaml"} <= {path.name for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        "attention of all kinds, by layer and head",
        "queries and keys normalized",
        "shared layers",
        "gated in factors",
    ],
)
def test_attention_of_every_kind(case: str, tmp_path: Path) -> None:
    architecture, _ = CASES[case]
    model = perturbed(architecture)
    write_graph(fold(model), tmp_path / GRAPH_FILE)
    run = onnx_logits(tmp_path / GRAPH_FILE)
    for batch, length in ((1, 1), (3, 5), (2, architecture.seq_len)):
        assert difference(model, run, example_tokens(architecture, batch, length)) < 1e-4


def test_without_onnxruntime_the_extra_is_named(
    made: Callable[[str], Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("fused")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        RequestError, match=r"an export for onnx needs onnxruntime: .*-m pip install .*\[onnx\]"
    ):
        write_onnx(one.choice, one.corpus, tmp_path / "onnx")
