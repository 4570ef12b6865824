"""The SPU protocols against what SPU's profiler read: whole decoders, and operations one by one."""

import pytest

from aero_search.architecture import Architecture, Layer
from aero_search.cost import estimate
from aero_search.cost.charge import call_rounds, charge
from aero_search.cost.inventory import Operation


def decoder(norm, activation, n_layer=2, d_model=128, n_head=4, seq_len=32):
    return Architecture(
        n_head=n_head,
        d_model=d_model,
        seq_len=seq_len,
        vocab_size=512,
        layers=(Layer(norm, activation),) * n_layer,
        final_norm=norm,
    )


@pytest.mark.parametrize(
    ("norm", "activation", "weights", "megabytes"),
    [
        ("layernorm", "relu", "secret", 97.917540),
        ("layernorm", "relu", "private", 91.0),
        ("layernorm", "gelu", "private", 179.251341),
        ("none", "identity", "private", 68.702032),
    ],
)
def test_cheetah_decoders_on_a_fresh_runtime(protocol, network, norm, activation, weights, megabytes):
    cost = estimate(decoder(norm, activation), protocol("spu_cheetah_0_9_5", weights=weights), network("lan"))
    sent = cost.communication_bytes
    assert (sent.total + sent.setup) / 1e6 == pytest.approx(megabytes, rel=0.05)
    assert sent.setup == 22.7e6


def test_cheetah_layer_of_gpt2_size_on_a_fresh_runtime(protocol, network):
    layer = decoder("layernorm", "relu", n_layer=1, d_model=768, n_head=12, seq_len=128)
    cost = estimate(layer, protocol("spu_cheetah_0_9_5"), network("lan"))
    sent = cost.communication_bytes
    assert (sent.total + sent.setup) / 1e6 == pytest.approx(615, rel=0.01)
    # Compute was read to about 50 %.
    assert cost.latency_seconds.compute == pytest.approx(219, rel=0.5)


@pytest.mark.parametrize(("activation", "megabytes"), [("relu", 21.857344), ("gelu", 43.091008)])
def test_semi2k_decoders(protocol, network, activation, megabytes):
    cost = estimate(decoder("layernorm", activation), protocol("spu_semi2k"), network("lan"))
    assert cost.communication_bytes.total / 1e6 == pytest.approx(megabytes, rel=0.01)


SHARED = {"layernorm": "layernorm_secret"}
DIVIDE, BUMBLEBEE = {"softmax": "softmax_divide"}, {"softmax": "softmax_bumblebee"}
CHEETAH = [
    (Operation("activation", "-", "relu", (1, 131072)), {}, 12_910_592, 0.001),
    (Operation("activation", "-", "multiply", (1, 131072)), {}, 29_015_920, 0.001),
    (Operation("activation", "-", "multiply", (1, 4096)), {}, 1_287_899, 0.002),
    (Operation("activation", "-", "public_scale", (1, 131072)), {}, 409_600, 0.0),
    (Operation("activation", "-", "gelu", (1, 131072)), {}, 366_260_270, 0.002),
    (Operation("activation", "-", "gelu", (1, 4096)), {}, 16_192_408, 0.001),
    (Operation("activation", "-", "gelu", (1, 32768)), {"gelu": "gelu_segments"}, 31_543_791, 0.001),
    (Operation("activation", "-", "gelu", (1, 32768)), {"gelu": "gelu_puma"}, 39_415_445, 0.001),
    # A refill of the pool of triples (1.14 MB) falls into a reading or not; the price is the mean of many.
    (Operation("norm", "-", "layernorm", (128, 768)), {}, 58_849_365, 0.02),
    (Operation("norm", "-", "layernorm", (128, 768)), SHARED, 65_427_318, 0.01),
    (Operation("softmax", "-", "softmax", (128, 128), 12), {}, 294_510_958, 0.01),
    # One with a refill and one without.
    (Operation("softmax", "-", "softmax", (32, 32), 4), {}, (12_228_019 + 13_371_889) / 2, 0.03),
    (Operation("softmax", "-", "softmax", (64, 64), 12), DIVIDE, 202_252_177, 0.02),
    (Operation("softmax", "-", "softmax", (128, 128), 12), BUMBLEBEE, 350_949_451, 0.01),
    # Whole ciphertexts of power-of-two widths: d_model 96 and heads of 24 channels pay for what they do not fill.
    (Operation("projections", "-", "linear", (128, 768, 768)), {}, 5_579_123, 0.001),
    (Operation("projections", "-", "linear", (256, 768, 768)), {}, 11_158_321, 0.001),
    (Operation("projections", "-", "linear", (128, 768, 3072)), {}, 15_657_520, 0.001),
    (Operation("projections", "-", "linear", (128, 3072, 768)), {}, 12_237_587, 0.001),
    (Operation("projections", "-", "linear", (32, 768, 768)), {}, 1_394_789, 0.001),
    (Operation("projections", "-", "linear", (32, 64, 192)), {}, 458_533, 0.001),
    (Operation("projections", "-", "linear", (32, 96, 288)), {}, 907_416, 0.001),
    (Operation("projections", "-", "linear", (32, 384, 96)), {}, 633_868, 0.001),
    (Operation("projections", "-", "linear", (32, 80, 240)), {}, 648_295, 0.001),
    (Operation("projections", "-", "linear", (32, 1024, 96)), {}, 1_003_740, 0.001),
    (Operation("projections", "-", "linear", (128, 192, 576)), {}, 3_074_565, 0.001),
    (Operation("projections", "-", "linear", (100, 64, 100)), {}, 724_961, 0.001),
    (Operation("embedding", "-", "lookup", (128, 2048, 768)), {}, 9_278_424, 0.001),
    (Operation("embedding", "-", "lookup", (32, 512, 128)), {}, 637_142, 0.001),
    (Operation("attention_products", "-", "matmul", (128, 64, 128), 12), {}, 17_263_217, 0.001),
    (Operation("attention_products", "-", "matmul", (128, 128, 64), 12), {}, 10_851_092, 0.001),
    (Operation("attention_products", "-", "matmul", (64, 64, 64), 12), {}, 10_697_436, 0.001),
    (Operation("attention_products", "-", "matmul", (32, 16, 32), 4), {}, 3_527_578, 0.001),
    (Operation("attention_products", "-", "matmul", (32, 24, 32), 4), {}, 5_007_150, 0.001),
    # A product that fits one ciphertext sends half of the result's, and its results alone of the other half.
    (Operation("attention_products", "-", "matmul", (1, 16, 17)), {}, 625_198, 0.001),
    (Operation("attention_products", "-", "matmul", (1, 16, 64), 4), {}, 2_507_622, 0.001),
    (Operation("attention_products", "-", "matmul", (16, 16, 16), 4), {}, 2_535_970, 0.001),
    (Operation("attention_products", "-", "matmul", (5, 16, 100)), {}, 643_203, 0.001),
    (Operation("attention_products", "-", "matmul", (24, 16, 21)), {}, 643_271, 0.001),
    (Operation("attention_products", "-", "matmul", (1, 90, 91)), {}, 628_085, 0.001),
    (Operation("attention_products", "-", "matmul", (1, 90, 92)), {}, 882_566, 0.005),
    (Operation("attention_products", "-", "matmul", (1, 130, 64)), {}, 881_604, 0.004),
    (Operation("projections", "-", "linear", (1, 64, 64)), {}, 313_598, 0.001),
    (Operation("projections", "-", "linear", (1, 64, 192)), {}, 440_008, 0.001),
    (Operation("activation", "-", "multiply", (1, 8192)), {}, 2_574_688, 0.001),
    (Operation("activation", "-", "multiply", (1, 16384)), {}, 3_625_980, 0.001),
    (Operation("activation", "-", "multiply", (1, 24576)), {}, 7_225_744, 0.001),
    (Operation("scaling", "-", "private_scale", (32, 64)), {}, 1_150_342, 0.001),
    (Operation("scaling", "-", "private_scale", (1, 12288)), {}, 2_326_279, 0.001),
    (Operation("scaling", "-", "private_scale", (1, 24576)), {}, 3_508_462, 0.001),
    (Operation("positions", "-", "public_scale", (32, 64), 4), {}, 25_600, 0.0),
    (Operation("activation", "-", "gelu", (1, 8192)), {}, 31_239_306, 0.001),
    (Operation("activation", "-", "silu", (1, 4096)), {}, 13_602_249, 0.001),
    (Operation("activation", "-", "quadratic", (1, 4096)), {}, 1_288_111, 0.002),
    (Operation("activation", "-", "squared_relu", (1, 4096)), {}, 1_691_145, 0.001),
    (Operation("activation", "-", "leaky_relu", (1, 4096)), {}, 416_256, 0.001),
]  # fmt: skip

SEMI2K = [
    (Operation("activation", "-", "relu", (1, 131072)), {}, 18_874_368, 0.0),
    (Operation("activation", "-", "gelu", (1, 131072)), {}, 103_809_024, 0.0),
    (Operation("activation", "-", "gelu", (1, 131072)), {"gelu": "gelu_segments"}, 73_400_320, 0.0),
    (Operation("norm", "-", "layernorm", (128, 768)), {}, 11_908_352, 0.001),
    (Operation("softmax", "-", "softmax", (128, 128), 12), {}, 77_048_832, 0.001),
    (Operation("projections", "-", "linear", (128, 768, 3072)), {}, 42_467_328, 0.0),
    (Operation("attention_products", "-", "matmul", (128, 64, 128), 12), {}, 4_718_592, 0.0),
]


@pytest.mark.parametrize(
    ("name", "operation", "use", "read", "within"),
    [("spu_cheetah_0_9_5", *case) for case in CHEETAH] + [("spu_semi2k", *case) for case in SEMI2K],
)
def test_operation(protocol, mapping, name, operation, use, read, within):
    chosen = protocol(name, use=mapping("protocol", name)["use"] | use)
    assert charge(operation, chosen).bytes == pytest.approx(read, rel=within or 1e-12)


def test_round_trips_that_were_timed(protocol, mapping):
    """A proxy that delays every message: ReLU takes 18 to 21 one-way hops, a BumbleBee softmax 240 to 270."""
    use = mapping("protocol", "spu_cheetah_0_9_5")["use"] | {"softmax": "softmax_bumblebee"}
    chosen = protocol("spu_cheetah_0_9_5", use=use)
    relu = charge(Operation("activation", "-", "relu", (1, 32768)), chosen)
    assert 18 <= 2 * relu.rounds <= 21
    softmax = charge(Operation("softmax", "-", "softmax", (32, 32), 4), chosen)
    assert 240 <= 2 * softmax.rounds <= 275


@pytest.mark.parametrize(
    ("kind", "shape", "count"),
    [
        ("linear", (128, 768, 768), 1),
        ("matmul", (128, 64, 128), 12),
        ("softmax", (128, 128), 12),
        ("layernorm", (128, 768), 1),
        ("gelu", (128, 3072), 1),
        ("relu", (128, 3072), 1),
        ("multiply", (128, 3072), 1),
        ("public_scale", (128, 768), 1),
        ("private_scale", (128, 768), 1),
    ],
)
def test_the_fitted_protocol_takes_its_round_trips_from_cheetah(protocol, kind, shape, count):
    operation = Operation("softmax", "-", kind, shape, count)
    fitted, measured = (charge(operation, protocol(name)) for name in ("aero_paper", "spu_cheetah_0_9_5"))
    assert fitted.rounds == pytest.approx(measured.rounds, rel=2e-3)


def test_a_few_elements_find_the_pool_filled(protocol):
    """Between no refill and one a call, by the share of the pool that is used up."""
    chosen = protocol("spu_cheetah_0_9_5")
    multiply = chosen.primitives["multiply"]
    assert call_rounds(multiply, 0) == multiply.small.rounds.value
    assert call_rounds(multiply, 4096) == call_rounds(multiply, 10**6) == multiply.rounds.value
    halfway = (multiply.small.rounds.value + multiply.rounds.value) / 2
    assert call_rounds(multiply, 2048) == pytest.approx(halfway)
