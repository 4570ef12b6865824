"""docs/protocols.md: the protocol that it prints is read and prices a network as printed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from aero_search.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text()


def test_the_protocol_prices_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ((name, text),) = re.findall(r"```yaml\n# (\S+\.yaml)\n(.*?)```", PAGE, re.DOTALL)
    (command,) = re.findall(r"```sh\naero-search (.* protocol=example .*)\n```", PAGE)
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(parents=True)
    Path(name).write_text(text)
    prices = []
    for more in ([], ["protocol.primitives.compare.bytes.value=164.5"]):
        assert main([*shlex.split(command), *more, "format=json"]) == 0, capsys.readouterr().err
        prices.append(json.loads(capsys.readouterr().out)["communication_bytes"]["total"])
    assert 24e6 < prices[0] < prices[1]
    assert main([*shlex.split(command), "activation=silu"]) == 2
    told = capsys.readouterr().err
    (said,) = re.findall(r"\+protocol\.use\.silu=", told)
    # As it says, and as one is likely to type it.
    assert main([*shlex.split(command), "activation=silu", f"{said}relu"]) == 0, capsys.readouterr().err
    assert main([*shlex.split(command), "activation=silu", said[1:] + "relu"]) == 2
    assert f"write {said}VALUE" in capsys.readouterr().err
