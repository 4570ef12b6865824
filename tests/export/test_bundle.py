"""A bundle says what the training said, is found out where it does not, and is the same every time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from aero_search import load_bundle
from aero_search.commands.verify import find_corpus
from aero_search.config.architecture import read_architecture
from aero_search.errors import AeroSearchError, RequestError
from aero_search.export.bundle import write_bundle
from aero_search.export.manifest import write_manifest
from aero_search.export.models import example_tokens
from aero_search.export.verify import Verification, verify_bundle
from aero_search.invocation import BARE
from tests.export.made import VARIANTS, Made, request_of


def verify(folder: Path, *overrides: str) -> Verification:
    request = request_of(f"bundle='{folder}'", *overrides, config="verify")
    return verify_bundle(folder, read_architecture, lambda b, name: find_corpus(request, b, name))


def states(verification: Verification) -> dict[str, str]:
    return {check.name: check.state for check in verification.checks}


def edit(folder: Path, name: str, change: Callable[[Any], None]) -> None:
    """Change a JSON file and make the manifest agree, as a forger would."""
    data = json.loads((folder / name).read_text())
    change(data)
    (folder / name).write_text(json.dumps(data))
    write_manifest(folder)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_rebuilds_from_its_files_in_another_folder(
    name: str, made: Callable[[str], Made], tmp_path: Path
) -> None:
    one = made(name)
    written = write_bundle(one.choice, one.corpus, tmp_path / "written")
    moved = Path(shutil.copytree(written, tmp_path / "elsewhere" / "bundle"))
    shutil.rmtree(written)
    found = states(verify(moved))
    assert set(found.values()) == {"ok"}
    assert {"parameters", "cost: FLOPs", "folded logits", "validation perplexity"} <= found.keys()
    bundle = load_bundle(moved)
    tokens_bt = example_tokens(bundle.architecture, 2, bundle.architecture.seq_len)
    with torch.no_grad():
        assert torch.equal(bundle.module()(tokens_bt), one.model(tokens_bt))
    tokenizer = bundle.tokenizer()
    assert tokenizer is not None
    assert tokenizer.decode(tokenizer.encode("a bcd 12").ids) == "a bcd 12"


def test_the_same_choice_gives_the_same_bytes(made: Callable[[str], Made], tmp_path: Path) -> None:
    one = made("entropy")
    first, second = (write_bundle(one.choice, one.corpus, tmp_path / name) for name in ("a", "b"))
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_a_flipped_bit_in_any_byte_range_of_any_file_is_found_by_name(bundle: Path) -> None:
    for path in sorted(bundle.iterdir()):
        whole = path.read_bytes()
        for place in {0, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(AeroSearchError, match=path.name) as refusal:
                verify(bundle)
            assert "\n" not in str(refusal.value)
        path.write_bytes(whole)
    assert not verify(bundle).differing


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / "tokenizer.json").unlink()
    with pytest.raises(AeroSearchError, match=r"tokenizer\.json is missing"):
        verify(bundle)


def test_what_the_user_puts_beside_a_bundle_is_no_part_of_it(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("mine")
    (bundle / "outputs").mkdir()
    assert not verify(bundle).differing


def _perplexity(data: Any) -> None:
    data["perplexity"] *= 0.99


def _parameters(data: Any) -> None:
    data["parameters"] -= 1


def _flops(data: Any) -> None:
    data["cost"]["flops"]["total"] *= 0.5


def _layer(data: Any) -> None:
    data["cost"]["communication_bytes"]["by_layer"][0] *= 0.5


def _notation(data: Any) -> None:
    data["notation"] = "SM + LN + G"


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        (_perplexity, "validation perplexity"),
        (_parameters, "parameters"),
        (_flops, "cost: FLOPs"),
        (_layer, "cost: every part"),
        (_notation, "notation"),
    ],
)
def test_a_figure_that_was_bettered_comes_out_as_it_is(
    change: Callable[[Any], None], differing: str, bundle: Path
) -> None:
    edit(bundle, "metrics.json", change)
    verification = verify(bundle)
    assert differing in {check.name for check in verification.differing}
    with pytest.raises(AeroSearchError, match=f"{differing}.* is told as"):
        verification.require()


@pytest.mark.parametrize("name", ["weights.safetensors", "folded.safetensors"])
def test_other_weights_are_found_although_the_manifest_agrees(name: str, bundle: Path) -> None:
    tensors = load_file(bundle / name)
    tensors["token_embedding.weight"] = tensors["token_embedding.weight"] * 1.5
    save_file(tensors, bundle / name, metadata={"format": "pt"})
    write_manifest(bundle)
    assert "folded logits" in {check.name for check in verify(bundle).differing}


def test_dearer_constants_of_the_protocol_are_found(bundle: Path) -> None:
    path = bundle / "protocol.yaml"
    path.write_text(
        path.read_text().replace("value: 3463.2", "value: 3.2").replace("value: 59.527", "value: 9.5")
    )
    write_manifest(bundle)
    assert "cost: communication, bytes" in {check.name for check in verify(bundle).differing}


def test_another_architecture_than_the_configuration_s_is_found(bundle: Path) -> None:
    path = bundle / "candidate.yaml"
    path.write_text(path.read_text().replace("n_layer: 2", "n_layer: 3"))
    write_manifest(bundle)
    assert "architecture of candidate.yaml" in {check.name for check in verify(bundle).differing}


def test_without_the_corpus_the_perplexity_is_said_to_be_unchecked(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AERO_SEARCH_CACHE", str(tmp_path / "empty"))
    verification = verify(bundle)
    (check,) = [check for check in verification.checks if check.state == "skipped"]
    assert check.name == "validation perplexity"
    assert "is not in this machine's cache" in check.found
    verification.require()


def test_another_corpus_is_said_to_be_another(bundle: Path, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.mkdir()
    for i in range(8):
        lines = (
            f"other words {i} again, {j * 7919 % 9973} times over {chr(97 + j % 26)}\n" for j in range(300)
        )
        (text / f"{i}.txt").write_text("".join(lines))
    verification = verify(bundle, "data=text_folder", f"data.path={text}", "data.near_duplicate=null")
    (check,) = [check for check in verification.checks if check.state == "skipped"]
    assert "another corpus" in check.found


def test_the_user_s_own_data_packs_the_corpus_again(
    bundle: Path, text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AERO_SEARCH_CACHE", str(tmp_path / "empty"))
    assert (
        states(verify(bundle, "data=text_folder", f"data.path={text_folder}"))["validation perplexity"]
        == "ok"
    )


def test_the_card_tells_measured_from_estimated_and_names_every_file(
    made: Callable[[str], Made], bundle: Path
) -> None:
    card = (bundle / "README.md").read_text()
    perplexity = made("fused").choice.record.perplexity
    assert f"| perplexity, held-out split | {perplexity:.2f} | measured |" in card
    assert "| estimated | aero_paper on paper |" in card
    assert "fitted to the calibrate rows of AERO's tables" in card
    assert all(f"`{path.name}`" in card for path in bundle.iterdir())
    assert BARE in card


def test_a_corpus_without_tokenizer_gives_a_bundle_without(
    made: Callable[[str], Made], tmp_path: Path
) -> None:
    folder = write_bundle(made("fused").choice, None, tmp_path / "bundle")
    assert load_bundle(folder).tokenizer() is None
    assert not verify(folder).differing


def test_a_folder_that_is_no_bundle_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no such folder"):
        load_bundle(tmp_path / "absent")
    with pytest.raises(AeroSearchError, match=r"manifest\.json is missing"):
        load_bundle(tmp_path)


def test_the_architecture_alone_needs_no_torch(bundle: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import aero_search\n"
        f"print(aero_search.load_bundle({str(bundle)!r}).architecture.n_layer)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("2", 0), done.stderr
