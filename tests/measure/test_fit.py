"""Constants from readings: what made the readings is found again, and nothing is read twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aero_search.config.paths import conf_dir
from aero_search.cost.protocol import Protocol
from aero_search.cost.protocol_file import protocol_mapping
from aero_search.cost.yaml_text import yaml_text
from aero_search.errors import AeroSearchError, RequestError
from aero_search.measure import readings
from aero_search.measure.benchmarks import benchmarks, items
from aero_search.measure.environment import Environment
from aero_search.measure.fit import fit_protocol
from aero_search.measure.mailbox import runtime_of
from aero_search.measure.meter import Reading, Run
from aero_search.measure.readings import SETUP, ReadingStore, take_readings
from aero_search.schema import from_mapping, to_mapping
from tests.measure.synthetic import fake_run_pair, reading, scaled

STAMP = {"machine": "a machine, 2 cores", "spu": "0.9.5"}
HERE = Environment(Path("python"), {})
PRIMITIVES = (
    *("multiply", "square", "private_multiply", "truncate", "compare", "select", "equality", "reciprocal"),
    *("rsqrt", "tanh", "he_input", "he_output", "he_weight", "he_mac", "he_product"),
)


def shipped(name: str) -> Protocol:
    text = (conf_dir() / "protocol" / f"{name}.yaml").read_text()
    return from_mapping(Protocol, yaml.safe_load(text), "protocol")


@pytest.fixture(scope="module")
def template() -> Protocol:
    return shipped("spu_cheetah_0_9_5")


def full_store(folder: Path, truth: Protocol) -> ReadingStore:
    store = ReadingStore(folder / "readings.jsonl", STAMP)
    store.add(SETUP, Reading("setup", 1, 9.0, 11_000_000, 11_500_000, 8846))
    for item in items(truth):
        store.add(item.key, reading(item, truth))
    return store


def values(protocol: Protocol) -> dict[str, tuple[float, ...]]:
    return {
        name: (p.bytes.value, p.seconds.value, p.rounds.value, p.small.bytes.value if p.small else 0.0)
        for name, p in protocol.primitives.items()
    }


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    factors=st.fixed_dictionaries({name: st.floats(0.5, 2.0) for name in PRIMITIVES}),
    round_factor=st.floats(0.5, 2.0),
)
def test_the_constants_behind_the_readings_are_found(template, tmp_path_factory, factors, round_factor):
    each_round = template.round_seconds
    truth = replace(
        scaled(template, factors), round_seconds=replace(each_round, value=round_factor * each_round.value)
    )
    store = full_store(tmp_path_factory.mktemp("readings"), truth)
    fit = fit_protocol(template, store, "mine", "a machine", "2026-11")
    for (name, found), expected in zip(values(fit.protocol).items(), values(truth).values(), strict=True):
        # he_input and he_output pass by together, so hops tell their sum alone.
        columns = (0, 1, 3) if name.startswith("he_") else (0, 1, 2, 3)
        for column in columns:
            assert found[column] == pytest.approx(expected[column], rel=0.01), (name, column)
    assert all(abs(check.error) < 0.01 for check in fit.checks)
    assert fit.protocol.setup.bytes.value == 22_500_000
    assert fit.protocol.round_seconds.value == pytest.approx(truth.round_seconds.value, rel=0.01)


def test_every_primitive_and_lowering_is_read_at_three_sizes(template):
    read = benchmarks(template)
    # Sums of primitives that are read; nobody has read the lowerings themselves.
    unread = {"argmax", "dyt", "dyt_secret", "simple_rms"}
    assert set(template.lowerings) - {b.name for b in read if b.terms is None} == {"free", *unread}
    assert all(len(set(b.sizes)) >= 3 for b in read)
    nonlinear = {"compare", "relu", "equality", "exponential", "reciprocal", "rsqrt", "tanh",
                 "softmax_broadcast", "softmax_bumblebee", "gelu_tanh", "gelu_segments", "gelu_puma",
                 "layernorm"}  # fmt: skip
    assert {b.name for b in read if b.timed_rounds} >= nonlinear
    assert len({item.key for item in items(template)}) == len(items(template))


def test_what_benchmarks_say_is_what_operations_cost(template):
    """A lowering's price is that of the operation it lowers."""
    from aero_search.cost.charge import charge
    from aero_search.cost.inventory import Operation

    by_name = {b.name: b for b in benchmarks(template)}
    for kind in ("relu", "softmax", "layernorm", "silu", "quadratic", "relu_sum", "sigmoid"):
        lowering = template.use[kind]
        for size in by_name[lowering].sizes:
            operation = Operation("activation", "-", kind, size.shape, size.count)
            assert by_name[lowering].price(size, template) == charge(operation, template)


def test_the_written_file_reads_back(template, tmp_path):
    fit = fit_protocol(template, full_store(tmp_path, template), "mine", "a machine", "2026-11")
    text = yaml_text(protocol_mapping(fit.protocol), ("a header",))
    assert from_mapping(Protocol, yaml.safe_load(text)) == fit.protocol
    reciprocal = fit.protocol.primitives["reciprocal"].bytes
    assert reciprocal.source.startswith("least squares over 3 readings (reciprocal), largest error")
    assert fit.protocol.primitives["he_mac"].bytes == template.primitives["he_mac"].bytes


def test_noise_is_reported(template, tmp_path):
    store = ReadingStore(tmp_path / "readings.jsonl", STAMP)
    store.add(SETUP, Reading("setup", 1, 9.0, 1, 1, 1))
    for item in items(template):
        exact = reading(item, template)
        off = 1.3 if item.benchmark.name == "gelu_puma" else 1.0
        store.add(item.key, replace(exact, seconds=exact.seconds * off))
    fit = fit_protocol(template, store, "mine", "a machine", "2026-11")
    worst = fit.largest("seconds", used=False)
    assert worst is not None
    assert worst.benchmark == "gelu_puma"
    assert worst.error == pytest.approx(1 / 1.3 - 1, rel=1e-2)
    assert abs(fit.largest("seconds", used=True).error) < 1e-2


def test_a_protocol_it_cannot_fit_is_refused(template):
    with pytest.raises(RequestError, match=r"protocol=aero_paper has gelu, layernorm.*take one of these"):
        items(shipped("aero_paper"))


def test_without_readings_there_is_no_fit(template, tmp_path):
    with pytest.raises(AeroSearchError, match="no reading of the set-up"):
        fit_protocol(template, ReadingStore(tmp_path / "none.jsonl", STAMP), "x", "m", "2026-11")


def test_a_killed_calibration_goes_on_where_it_stopped(template, tmp_path, monkeypatch):
    planned = items(template)
    seen: list[str] = []
    path = tmp_path / "readings.jsonl"
    # Everything is read twice before anything is read a third time.
    twice = 2 * sum(item.delay_ms == 0 for item in planned)
    monkeypatch.setattr(readings, "run_pair", fake_run_pair(template, seen, dies_after=twice + 7))
    with pytest.raises(AeroSearchError, match=r"SIGKILL.*readings taken so far are kept"):
        take_readings(planned, ReadingStore(path, STAMP), HERE)
    # It died in the middle of a line.
    path.write_text(path.read_text() + '{"key": "rel')
    store = ReadingStore(path, STAMP)
    assert len(store.missing(planned)) == len(planned) - 7
    monkeypatch.setattr(readings, "run_pair", fake_run_pair(template, seen))
    take_readings(planned, store, HERE)
    assert len(seen) == sum(item.replicates for item in planned)
    assert store.missing(planned) == ReadingStore(path, STAMP).missing(planned) == []
    take_readings(planned, store, HERE)
    assert len(seen) == sum(item.replicates for item in planned)


def test_readings_of_another_machine_are_not_used(template, tmp_path):
    path = full_store(tmp_path, template).path
    other = ReadingStore(path, {**STAMP, "machine": "another one"})
    assert other.missing(items(template)) == list(items(template))
    assert other.of(SETUP) == ()
    assert all(json.loads(line)["stamp"] == STAMP for line in path.read_text().splitlines())


@pytest.mark.parametrize("name", ["spu_aby3", "spu_securenn", "spu_semi2k"])
def test_other_systems_of_spu_are_fitted_too(name, tmp_path):
    template = shipped(name)
    factors = {primitive: 0.7 + 0.1 * i for i, primitive in enumerate(template.primitives)}
    truth = scaled(template, factors)
    fit = fit_protocol(template, full_store(tmp_path, truth), "mine", "a machine", "2026-11")
    assert fit.protocol.trust == template.trust
    for (primitive, found), expected in zip(
        values(fit.protocol).items(), values(truth).values(), strict=True
    ):
        # Seconds of outputs and of MACs, and all that is nothing, follow each other where sizes are few.
        assert found[0] == pytest.approx(expected[0], rel=0.01), primitive
    assert all(abs(check.error) < 0.02 for check in fit.of("bytes", False))


def test_three_parties_are_read_together(tmp_path, monkeypatch):
    """The parties tell the same runs one after another, each at its own pace."""
    template = shipped("spu_aby3")
    planned = [item for item in items(template) if item.benchmark.name == "relu" and not item.delay_ms]

    def run_pair(program, folder, *, settings, listener, runtime, **_):
        told = {role: [] for role in runtime.roles}
        for rank, role in enumerate(runtime.roles):
            told[role].append({"setup": to_mapping(Reading("setup", 1, 1.0, rank, 9, 1))})
            for task in settings["items"]:
                total = Reading("total", 1, 1.0, 100 * (rank + 1), 77, 3)
                told[role].append({"run": to_mapping(Run(task["key"], total, ()))})
        for role in ("helper", "server", "client"):
            for event in told[role]:
                listener(role, event)

    monkeypatch.setattr(readings, "run_pair", run_pair)
    store = ReadingStore(tmp_path / "readings.jsonl", STAMP)
    take_readings(planned, store, HERE, runtime_of(template))
    assert {r.bytes for item in planned for r in store.of(item.key)} == {600}
    assert [len(store.of(item.key)) for item in planned] == [item.replicates for item in planned]
    assert store.of(SETUP)[0].bytes == 0 + 1 + 2
