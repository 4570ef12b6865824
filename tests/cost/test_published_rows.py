"""`aero_paper` on the network `paper` against every row AERO published, and where its constants come from."""

import pytest

from aero_search.cost import calibrate, compare_published, published_differences
from aero_search.cost.calibrate import NETWORK_HEADER, PROTOCOL_HEADER, calibrate_published
from aero_search.cost.published import published_rows
from aero_search.cost.yaml_text import yaml_text


@pytest.fixture(scope="module")
def comparisons(protocol, network):
    return compare_published(protocol("aero_paper"), network("paper"))


def errors(comparisons, name, sota):
    chosen = [c for c in comparisons if c.row.split == "validate" and c.row.is_sota == sota]
    assert len(chosen) == (7 if sota else 14)
    return [abs(getattr(c, name)) for c in chosen]


def test_communication_of_unseen_rows(comparisons):
    plain = errors(comparisons, "comm_error", sota=False)
    assert max(plain) <= 0.02
    assert sum(plain) / len(plain) <= 0.01
    assert max(errors(comparisons, "comm_error", sota=True)) <= 0.03


def test_latency_of_unseen_rows(comparisons):
    plain = errors(comparisons, "latency_error", sota=False)
    assert max(plain) <= 0.10
    assert sum(plain) / len(plain) <= 0.05
    assert max(errors(comparisons, "latency_error", sota=True)) <= 0.12


def test_gelu_minus_relu(comparisons):
    differences = [d for d in published_differences(comparisons) if d.after.variant == "SM+LN+R"]
    assert len(differences) == 4
    for difference in differences:
        assert abs(difference.error) <= 0.005, difference


def test_the_headline_saving(comparisons):
    """4.23 times: 18 layers with LayerNorm and GELU against fused feed-forwards, four pruned."""
    by_variant = {
        (c.row.variant, c.row.ffn_layers): c for c in comparisons if c.row.n_layer == 18 and not c.row.is_sota
    }
    saving = by_variant["SM+LN+G", 18].comm_gb / by_variant["SM+ScFuFFN", 14].comm_gb
    assert saving == pytest.approx(4.23, rel=0.02)


def test_every_row_is_compared_once(comparisons):
    assert [c.row for c in comparisons] == list(published_rows())
    assert len(comparisons) == 35


def test_calibration_reproduces_the_shipped_files(mapping, request):
    fit = calibrate_published()
    assert mapping("protocol", "aero_paper") == fit.protocol_mapping
    assert mapping("network", "paper") == fit.network_mapping
    conf = request.config.rootpath / "conf"
    shipped = (conf / "protocol" / "aero_paper.yaml").read_text(encoding="utf-8")
    assert shipped == yaml_text(fit.protocol_mapping, PROTOCOL_HEADER)
    shipped = (conf / "network" / "paper.yaml").read_text(encoding="utf-8")
    assert shipped == yaml_text(fit.network_mapping, NETWORK_HEADER)


def test_calibration_uses_no_validate_row(monkeypatch):
    before = calibrate_published()
    only = tuple(row for row in published_rows() if row.split == "calibrate")
    monkeypatch.setattr("aero_search.cost.calibrate.published_rows", lambda: only)
    assert calibrate_published() == before
    assert [r.row for r in before.residuals] == list(only)


def test_residuals_are_those_of_the_rows_the_fit_used(comparisons):
    seen = {c.row: c for c in comparisons if c.row.split == "calibrate"}
    for residual in calibrate_published().residuals:
        assert residual.communication == pytest.approx(seen[residual.row].comm_error, abs=1e-12)
        assert residual.latency == pytest.approx(seen[residual.row].latency_error, abs=1e-12)


def test_fitted_constants_agree_with_first_principles():
    """SPU's older multiplication (279.4 + 3.1 bytes) gives these without any fit."""
    primitives = calibrate_published().protocol.primitives
    assert primitives["gelu"].bytes.value == pytest.approx(2790 + 11 * (279.4 - 218.2), rel=0.005)
    assert primitives["layernorm"].bytes.value == pytest.approx(665.5 + 3 * (279.4 - 218.2), rel=0.01)
    assert primitives["softmax"].bytes.value == pytest.approx(1498 + (279.4 - 218.2), rel=0.06)


def test_the_module_and_its_function_are_both_reachable():
    assert calibrate.calibrate_published is calibrate_published
