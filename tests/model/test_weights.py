"""Weight files hold one model's tensors, each once, and are refused by any other."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from aero_search.architecture import Attention, Regularizer, Stabilizer
from aero_search.errors import RequestError
from aero_search.model import build_model, load_weights, save_weights
from tests.model.helpers import batch, tiny


def test_what_layers_share_is_written_once(tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    model = build_model(tiny(activation="leaky_relu_shared"), seed=0)
    save_weights(model, path)
    written = load_file(path)
    assert sum(tensor.numel() for tensor in written.values()) == sum(p.numel() for p in model.parameters())


def test_everything_learned_comes_back(tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    architecture = tiny(
        norm="layernorm",
        activation="leaky_relu_learned",
        stabilizer=Stabilizer("spectral_norm", "qkvo+ffn"),
        attention=Attention(temperature="learned"),
        regularizer=Regularizer(0.1),
    )
    model = build_model(architecture, seed=0)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.ndim <= 2:
                tensor.add_(torch.rand_like(tensor))
    save_weights(model, path)
    other = build_model(architecture, seed=1)
    load_weights(other, path)
    expected = model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in other.state_dict().items())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (tiny(n_layer=3), r"lacks layers\.2"),
        (tiny(n_layer=1), r"also has layers\.1"),
        (tiny(ffn="fused"), "and also has"),
        (tiny(ffn_ratio=2.0), r"up.* is \(64"),
    ],
)
def test_another_architecture_is_refused_and_left_as_it_was(other, message, tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(build_model(tiny(), seed=0), path)
    model = build_model(other, seed=1)
    logits_btv = model(batch()[0])
    with pytest.raises(RequestError, match=message) as refusal:
        load_weights(model, path)
    assert "\n" not in str(refusal.value)
    assert torch.equal(model(batch()[0]), logits_btv)


def test_files_that_are_no_weights_are_refused(tmp_path) -> None:
    model = build_model(tiny())
    with pytest.raises(RequestError, match="there are no weights at"):
        load_weights(model, tmp_path / "absent")
    (tmp_path / "text").write_text("not tensors")
    with pytest.raises(RequestError, match="not a safetensors file"):
        load_weights(model, tmp_path / "text")


def test_the_model_needs_torch_alone() -> None:
    code = (
        "import sys\n"
        "for name in ('safetensors', 'lightning', 'numpy', 'hydra', 'omegaconf', 'yaml', 'fvcore'):\n"
        "    sys.modules[name] = None\n"
        "import torch\n"
        "from aero_search.architecture import Architecture, Layer, Regularizer\n"
        "from aero_search.model import build_model, fold\n"
        "a = Architecture(2, 16, 8, 31, (Layer(), Layer()), regularizer=Regularizer(0.1))\n"
        "m = build_model(a, seed=0)\n"
        "x = torch.zeros(2, 8, dtype=torch.long)\n"
        "m.loss(x, x).total.backward(); m.head_entropy(x); fold(m)(x)\n"
    )
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
