"""Keys written into studies and bundles since the first release name the same networks for good."""

from __future__ import annotations

import pytest

from aero_search.architecture import Architecture, Attention, Layer, Regularizer, Stabilizer, key

SIZES = {"n_head": 4, "d_model": 64, "seq_len": 128, "vocab_size": 1024}
FUSED = Layer("none", "identity", "fused")

KEPT = {
    "08ad44ba26ab": Architecture(**SIZES, layers=(Layer(),) * 4),
    "5e9a55b2a6e8": Architecture(**SIZES, layers=(Layer("none", "relu"), Layer("rmsnorm", "silu", "none"))),
    "88406046a7c0": Architecture(
        **SIZES,
        layers=(FUSED,) * 3,
        attention=Attention(temperature="learned", temperature_init=0.3),
        stabilizer=Stabilizer("scaled"),
        regularizer=Regularizer(0.02, every=1),
    ),
    "ac10e4794343": Architecture(**SIZES, layers=(Layer(),) * 2, family="pythia", tied_embeddings=False),
    "920bca8c1712": Architecture(
        **SIZES,
        layers=(Layer("rmsnorm", "silu"),) * 2,
        family="llama",
        n_kv_head=2,
        gated=True,
        ffn_ratio=8 / 3,
        final_norm="rmsnorm",
    ),
    "315ab77bc069": Architecture(
        **SIZES,
        layers=(FUSED, Layer("none", "quadratic")),
        attention=Attention("identity", shaped=True),
        stabilizer=Stabilizer("spectral_norm", "qkv+ffn"),
    ),
    "df113c144fe5": Architecture(**SIZES, layers=(Layer("none", "leaky_relu_shared"),), final_norm="none"),
}


@pytest.mark.parametrize(("kept", "a"), KEPT.items(), ids=list(map(str, range(len(KEPT)))))
def test_key_is_kept(kept: str, a: Architecture) -> None:
    assert key(a) == kept
