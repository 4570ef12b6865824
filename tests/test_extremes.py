"""Numbers that no machine holds: a sentence with field and bound, exit code 2, nothing written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aero_search.architecture import Architecture, Attention, Layer
from aero_search.cli import main
from aero_search.errors import RequestError
from aero_search.model.decoder import build_model
from aero_search.schema import from_mapping
from aero_search.training import memory
from aero_search.training.compute import Compute

LINES = {
    "train recipe.seed=18446744073709551616": "recipe.seed=18446744073709551616 is too large",
    "train recipe.steps=1e300": "recipe.steps=.* is too large",
    "train recipe.steps=1e10": "recipe.steps=10000000000 must be at most 1,000,000,000",
    "train recipe.batch_size=1e9": "recipe.batch_size=1000000000 must be at most 1,000,000",
    "train recipe.lr=1e308": r"recipe.lr=1e\+308 must be at most 1e\+06",
    "train recipe.lr=1e309": "recipe.lr=inf must be a finite number",
    "train recipe.clip=1e30": r"recipe.clip=1e\+30 must be at most",
    "search search.threads=1000000": "search.threads=1000000 must be at most 1,024",
    "search search.seed=4294967296": "search.seed=4294967296 must be at most 4,294,967,295",
    "search search.heartbeat=1e300": "search.heartbeat=1e\\+300 must be above 0 seconds and at most 86,400",
    "cost model.n_layer=1000000000": "model.n_layer=1000000000 must be at most 10,000",
    "cost model.n_head=1e15 model.d_model=1e15": "model.n_head=1000000000000000 must be at most 10,000,000",
    "cost model.seq_len=1e15": "model.seq_len=1000000000000000 must be at most",
    "cost model.ffn_ratio=1e300": r"model.ffn_ratio=1e\+300 must be at most 10,000",
    "train model.d_model=1000000": r"a network of 48 T weights \(model.d_model=1000000, n_layer=4\) takes 576 TB",
    "search study.name=" + "n" * 256: "study.name=n+... must be at most 255 bytes long: it names a folder",
    "search output_dir=" + "a" * 300: "output_dir=.*a+ cannot be written to",
    **{
        f"{line}{'x' * 300}": r"x+\.\.\. is too long for the name of a file \(at most 255 bytes"
        for line in (
            "cost architecture=",
            "verify ",
            "evaluate ",
            "measure bundle=",
            "plan output_dir=",
            "train data=text_folder data.path=",
            "train data=tokenized data.path=",
        )
    },
    "cost architecture=~nobody.here/a": "architecture=~nobody.here/a is no file",
    "train init.from=~nobody.here/a": "init.from=~nobody.here/a: there is no such folder",
    "verify ~nobody.here/a": "~nobody.here/a",
    "evaluate ~nobody.here/a": "~nobody.here/a",
    "measure bundle=~nobody.here/a": "~nobody.here/a",
    "train data=text_folder data.path=~nobody.here/a": "~nobody.here/a",
    "train data=tokenized data.path=~nobody.here/a": "~nobody.here/a",
    "train data=classification data.path=~nobody.here/a": "~nobody.here/a",
}


@pytest.mark.parametrize(("line", "says"), LINES.items(), ids=[line[:40] for line in LINES])
def test_an_extreme_is_refused(
    line: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    err = capsys.readouterr().err
    assert re.search(says, err), err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_integers_beyond_floats_and_64_bits() -> None:
    with pytest.raises(RequestError, match=r"devices=.* is too large"):
        from_mapping(Compute, {"devices": 2**63})
    assert from_mapping(Compute, {"devices": 2.0}).devices == 2


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tied_embeddings": False},
        {"layers": (Layer(ffn="fused"), Layer(ffn="none"))},
        {"n_kv_head": 2, "family": "llama", "gated": True},
        {"attention": Attention(value_projection="identity")},
    ],
)
def test_the_least_weights_are_what_the_model_has(changes: dict[str, object]) -> None:
    """The matrices that are counted are all of the model's but for positions, norms, biases and gains."""
    said = {"n_head": 4, "d_model": 64, "seq_len": 8, "vocab_size": 300, "layers": (Layer(),) * 2, **changes}
    a = Architecture(**said)  # type: ignore[arg-type]  # fields of several types
    model = build_model(a, seed=0)
    built = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "position" not in name)
    assert memory.matrix_weights(a) == built


def test_what_fits_passes(monkeypatch: pytest.MonkeyPatch, proxy: Architecture) -> None:
    needed = memory.BYTES_PER_WEIGHT * memory.matrix_weights(proxy)
    monkeypatch.setattr(memory, "machine_bytes", lambda: needed)
    memory.check_fits(proxy)
    monkeypatch.setattr(memory, "machine_bytes", lambda: needed - 1)
    with pytest.raises(RequestError, match="this machine has"):
        memory.check_fits(proxy)
    monkeypatch.setattr(memory, "machine_bytes", lambda: None)
    memory.check_fits(proxy)
