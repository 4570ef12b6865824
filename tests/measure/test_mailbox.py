"""What lies between the starter and a party: arrays without pickling, events line by line, errors told once."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aero_search.cost import shipped_protocol
from aero_search.errors import AeroSearchError, RequestError
from aero_search.measure import environment, pair
from aero_search.measure.environment import Environment, find_environment, machine
from aero_search.measure.mailbox import EventReader, append_event, read_arrays, runtime_of, write_arrays
from aero_search.measure.pair import free_ports, run_pair
from tests.measure.processes import parties


def test_arrays_of_any_name_come_back(tmp_path):
    arrays = {
        "layers.0/qkv.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "tokens": np.array([1, 2], np.int32),
        "names": np.zeros((0, 4)),
        "a0": np.array(7),
    }
    write_arrays(tmp_path / "x.npz", arrays)
    back = read_arrays(tmp_path / "x.npz")
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
    write_arrays(tmp_path / "none.npz", {})
    assert read_arrays(tmp_path / "none.npz") == {}


def test_nothing_is_pickled(tmp_path):
    with pytest.raises(TypeError, match="weights holds Python objects"):
        write_arrays(tmp_path / "x.npz", {"weights": np.array([{}], dtype=object)})
    np.savez(tmp_path / "evil.npz", names=np.array(["x"]), a0=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_arrays(tmp_path / "evil.npz")


def test_a_half_written_event_waits_for_its_end(tmp_path):
    reader = EventReader(tmp_path)
    assert reader.read() == []
    append_event(tmp_path, {"a": 1})
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"b": ')
    assert reader.read() == [{"a": 1}]
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('2}\n{"c": 3}\n')
    assert reader.read() == [{"b": 2}, {"c": 3}]
    assert reader.read() == []


def test_free_ports_are_different():
    assert len(set(free_ports(8))) == 8


def test_without_spu_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"make .*mpc.*measure\.python="):
        find_environment()


def test_another_interpreter_has_to_be_one(tmp_path):
    with pytest.raises(RequestError, match=r"measure\.python=.*nowhere is not a Python"):
        find_environment(tmp_path / "nowhere")
    with pytest.raises(RequestError, match=r"measure\.python=/bin/ls is not a Python"):
        find_environment("/bin/ls")


def test_an_interpreter_without_spu_is_named(tmp_path):
    import venv

    venv.create(tmp_path / "bare", symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    with pytest.raises(RequestError, match=r"bare/bin/python has no spu and no jax"):
        find_environment(python)


def test_the_machine_has_no_name_in_it():
    import socket

    assert machine().endswith("cores")
    assert socket.gethostname() not in machine().split()


def test_a_program_that_cannot_be_found_ends_both_parties(tmp_path, monkeypatch):
    """Needs no SPU: the party fails before it would import it."""
    monkeypatch.setattr(pair, "find_environment", lambda python: Environment(Path(sys.executable), {}))
    with pytest.raises(AeroSearchError, match=r"private run stopped with exit code 1: .*no_such_module"):
        run_pair("no_such_module:run", tmp_path, server={"w": np.ones(2)}, timeout_s=60)
    assert parties(tmp_path) == []
    assert (tmp_path / "server").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("name", "spu", "parties_", "keeps"),
    [
        ("spu_cheetah_0_9_5", "CHEETAH", 2, True),
        ("spu_semi2k", "SEMI2K", 2, False),
        ("spu_aby3", "ABY3", 3, False),
        ("spu_securenn", "SECURENN", 3, False),
    ],
)
def test_a_trust_model_has_its_protocol_of_spu(name, spu, parties_, keeps):
    runtime = runtime_of(shipped_protocol(name))
    assert (runtime.protocol, len(runtime.roles), runtime.private_inputs) == (spu, parties_, keeps)


def test_what_spu_does_not_run_is_refused():
    malicious = replace(shipped_protocol("spu_aby3"), trust="malicious")
    with pytest.raises(
        RequestError, match=r"that may deviate.*which SPU 0.9.5 does not run: take a protocol"
    ):
        runtime_of(malicious)


def test_a_protocol_of_another_trust_model_is_refused():
    dealer = replace(shipped_protocol("spu_semi2k"), spu="SECURENN")
    with pytest.raises(
        RequestError,
        match=r"protocol.spu=SECURENN is not what SPU 0.9.5 runs for .*trusted dealer: there is only SEMI2K",
    ):
        runtime_of(dealer)
    misspelled = replace(shipped_protocol("spu_securenn"), spu="SECURENM")
    with pytest.raises(RequestError, match=r"did you mean 'SECURENN'\? \(choices: ABY3, SECURENN\)"):
        runtime_of(misspelled)
