"""A result that is not what a training wrote is never believed, nor are weights other than those it measured."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aero_search.errors import AeroSearchError
from aero_search.integrity import file_digest
from aero_search.training.result import Result, check_weights, read_result

RESULT = Result("k", "SM", "finished", "", 12.5, 2.5, (), (), 1, 1.0, 1, 4, 1e-3, 0, 0, "f" * 32, 200.0)


def edited(path: Path, **changes: Any) -> None:
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | changes))


def old(path: Path, **changes: Any) -> None:
    """As an earlier version has written it, whose files have no checksum."""
    said = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in said.items() if k != "checksum"} | changes))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(500)),
    "another number": lambda path: edited(path, perplexity=12.25),
    "a field less": lambda path: path.write_text(path.read_text().replace('"reason": "",', "")),
    "not a number": lambda path: edited(path, perplexity=math.nan),
    "infinite": lambda path: edited(path, validation_loss=math.inf),
    "not a number, without a checksum": lambda path: old(path, perplexity=math.nan),
    "too large a number, without a checksum": lambda path: path.write_text(
        (old(path), path.read_text().replace("12.5", "1e999"))[1]
    ),
    "nested": lambda path: path.write_text("[" * 100_000),
    "not UTF-8": lambda path: path.write_bytes(path.read_bytes().replace(b"SM", b"\xff\xfe")),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_result_is_refused(damage: Callable[[Path], object], tmp_path: Path) -> None:
    path = RESULT.write(tmp_path)
    assert read_result(tmp_path) == RESULT
    damage(path)
    with pytest.raises(AeroSearchError, match=r"result\.json is not a readable result") as refused:
        read_result(tmp_path)
    assert len(str(refused.value).splitlines()) == 1


def test_a_result_without_a_checksum_is_read(tmp_path: Path) -> None:
    old(RESULT.write(tmp_path))
    assert read_result(tmp_path) == RESULT


def test_weights_are_those_of_the_result(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"some weights")
    result = replace(RESULT, weights_digest=file_digest(path))
    check_weights(tmp_path, result)
    path.write_bytes(b"some weightz")
    with pytest.raises(AeroSearchError, match="do not match the checksum"):
        check_weights(tmp_path, result)
    path.unlink()
    with pytest.raises(AeroSearchError, match="are not the weights"):
        check_weights(tmp_path, result)
    check_weights(tmp_path, RESULT)
