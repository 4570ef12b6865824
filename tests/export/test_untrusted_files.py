"""A bundle from a stranger cannot run code, lead out of its folder, or ask for more memory than it is large."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from aero_search import untrusted_files
from aero_search.cli import main
from aero_search.config.architecture import read_architecture
from aero_search.errors import AeroSearchError, UnsafeFileError
from aero_search.export.load import load_bundle
from aero_search.export.manifest import write_manifest
from aero_search.export.verify import verify_bundle


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.canary,))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def read_all(folder: Path) -> None:
    """Everything that a user does with a bundle."""
    bundle = load_bundle(folder)
    bundle.module()
    bundle.folded()
    bundle.tokenizer()
    verify_bundle(folder, read_architecture, lambda b, name: "no corpus").require()


def refuse(folder: Path, match: str, canary: Path | None = None) -> None:
    """The manifest agrees with what the stranger has written; it is refused in one sentence all the same."""
    write_manifest(folder)
    with pytest.raises(AeroSearchError, match=match) as refusal:
        read_all(folder)
    assert "\n" not in str(refusal.value)
    assert canary is None or not canary.exists()


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def add(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line + "\n")


def test_the_untouched_bundle_is_read(bundle: Path) -> None:
    read_all(bundle)


@pytest.mark.parametrize(
    ("name", "line", "match"),
    [
        ("architecture.yaml", "x: !!python/object/apply:pathlib.Path.touch [CANARY]", "YAML tag"),
        ("candidate.yaml", "x: !!python/name:os.system", "YAML tag"),
        ("protocol.yaml", "x: !!binary aGVsbG8=", "YAML tag"),
        ("network.yaml", "x: !custom 1", "YAML tag"),
        ("candidate.yaml", "x: &a [1]\ny: [*a, *a]", "YAML anchor or alias"),
        ("candidate.yaml", "x: {_target_: os.system, command: touch CANARY}", "key x._target_"),
        ("candidate.yaml", "hydra: {launcher: {}}", "key hydra"),
        ("candidate.yaml", "defaults: [override hydra/launcher: mine]", "key defaults"),
        ("candidate.yaml", "x: '${oc.env:HOME}'", "interpolation"),
        ("candidate.yaml", "---\nx: 1", "2 YAML documents"),
        ("architecture.yaml", "x: [", "is not YAML"),
        ("architecture.yaml", "x: [1\ny: 2", r"is not YAML \(line \d+\)"),
        ("network.yaml", "name: again", r"is not YAML \(line 7\): the key name stands twice"),
        ("network.yaml", "'${oc.env:HOME}': 1", "interpolation"),
        ("architecture.yaml", "x: " + "[" * 3000 + "]" * 3000, "nested more than 32 deep"),
        ("architecture.yaml", "trust_remote_code: true", "key trust_remote_code"),
    ],
)
def test_yaml_that_is_more_than_data(name: str, line: str, match: str, bundle: Path, canary: Path) -> None:
    add(bundle / name, line.replace("CANARY", str(canary)))
    refuse(bundle, match, canary)


@pytest.mark.parametrize("key", ["auto_map", "trust_remote_code", "chat_template"])
@pytest.mark.parametrize("name", ["tokenizer_config.json", "metrics.json"])
def test_flags_that_make_a_library_import_code(key: str, name: str, bundle: Path) -> None:
    data = json.loads((bundle / name).read_text())
    (bundle / name).write_text(json.dumps({**data, "deep": [{key: {"AutoModel": "evil.Model"}}]}))
    refuse(bundle, f"{name} has the key deep.0.{key}")


@pytest.mark.parametrize("name", ["weights.safetensors", "folded.safetensors"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_pickled_weights(name: str, protocol: int, bundle: Path, canary: Path) -> None:
    (bundle / name).write_bytes(pickle.dumps(Payload(canary), protocol=protocol))
    refuse(bundle, f"{name} is not a safetensors file", canary)


def test_weights_as_torch_saves_them(bundle: Path, canary: Path) -> None:
    import torch

    stream = io.BytesIO()
    torch.save(Payload(canary), stream)
    (bundle / "weights.safetensors").write_bytes(stream.getvalue())
    refuse(bundle, "weights.safetensors is not a safetensors file", canary)


@pytest.mark.parametrize("length", [1 << 62, 900_000_000, untrusted_files.HEADER_BYTES + 1])
def test_headers_that_are_too_large(length: int, bundle: Path) -> None:
    path = bundle / "weights.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b'{"' + b" " * (untrusted_files.HEADER_BYTES + 100))
    refuse(bundle, r"weights\.safetensors has a header of")


def test_headers_that_are_no_headers(bundle: Path) -> None:
    header = b'{"x": [1, 2]}'
    (bundle / "weights.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    refuse(bundle, "no safetensors header")


@pytest.mark.parametrize(
    "name", ["../weights.pt", "/etc/hostname", "sub/x.yaml", "..", "evil.yaml", "model.pt"]
)
def test_manifests_that_list_what_is_no_file_of_a_bundle(name: str, bundle: Path) -> None:
    import hashlib

    data = json.loads((bundle / "manifest.json").read_text())
    del data["sha256"]
    data["files"][name] = {"sha256": "0" * 64, "bytes": 1}
    own = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps({**data, "sha256": own}, indent=1) + "\n")
    with pytest.raises(UnsafeFileError, match="no file of a bundle"):
        read_all(bundle)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "a\\b", "/etc/passwd"])
def test_names_that_leave_the_folder(name: str, bundle: Path) -> None:
    with pytest.raises(UnsafeFileError, match="leaves the bundle's folder"):
        untrusted_files.regular_file(bundle, name, 100)


@pytest.mark.parametrize("name", ["metrics.json", "weights.safetensors", "manifest.json"])
def test_symbolic_links(name: str, bundle: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (bundle / name).rename(elsewhere)
    (bundle / name).symlink_to(elsewhere)
    with pytest.raises(UnsafeFileError, match=name):
        read_all(bundle)


def test_a_folder_under_the_name_of_a_file(bundle: Path) -> None:
    (bundle / "metrics.json").unlink()
    (bundle / "metrics.json").mkdir()
    with pytest.raises(UnsafeFileError, match="no regular file"):
        read_all(bundle)


@pytest.mark.parametrize("name", ["modeling.py", "pytorch_model.bin", "weights.PT", "a.pkl", "conf.so"])
def test_code_and_pickles_beside_the_files(name: str, bundle: Path) -> None:
    (bundle / name).write_bytes(b"")
    with pytest.raises(UnsafeFileError, match=name):
        read_all(bundle)


def test_text_that_is_too_large(bundle: Path) -> None:
    with (bundle / "candidate.yaml").open("ab") as file:
        file.truncate(5_000_000)
    refuse(bundle, r"candidate\.yaml has 5,000,000 bytes")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("d_model: 16", "d_model: 8000000"),
        ("vocab_size: 300", "vocab_size: 65536"),
        ("n_head: 2", "n_head: 1"),
    ],
)
def test_a_small_file_cannot_ask_for_a_large_model(old: str, new: str, bundle: Path) -> None:
    replace(bundle / "architecture.yaml", old, new)
    write_manifest(bundle)
    bundle_ = load_bundle(bundle)
    if new == "n_head: 1":  # the same shapes: an architecture that the other files contradict
        with pytest.raises(AeroSearchError, match="architecture key is told as"):
            read_all(bundle)
        return
    with pytest.raises(UnsafeFileError, match="does not hold the weights"):
        bundle_.module()
    with pytest.raises(UnsafeFileError, match="does not hold the weights"):
        bundle_.folded()


def test_a_context_that_no_file_bounds(bundle: Path) -> None:
    replace(bundle / "architecture.yaml", "seq_len: 16", f"seq_len: {1 << 40}")
    refuse(bundle, "seq_len=")


@pytest.mark.parametrize(
    "flags", [["--config-dir", "B", "--config-name", "candidate"], ["-cd=B", "-cn=candidate"]]
)
def test_training_from_a_stranger_s_bundle_refuses_before_hydra_reads_it(
    flags: list[str], bundle: Path, canary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = f"hydra: {{launcher: {{_target_: pathlib.Path.touch, self: {canary}}}}}"
    add(bundle / "candidate.yaml", launcher)
    write_manifest(bundle)
    assert main(["train", *(flag.replace("B", str(bundle)) for flag in flags)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "candidate.yaml has the key" in said
    assert not canary.exists()


def test_every_refusal_is_a_failure_of_the_bundle_and_not_of_the_request(
    bundle: Path, capsys: pytest.CaptureFixture[str], made: Callable[[str], object]
) -> None:
    add(bundle / "architecture.yaml", "x: !evil 1")
    write_manifest(bundle)
    assert main(["verify", str(bundle)]) == 1
    assert "YAML tag" in capsys.readouterr().err
