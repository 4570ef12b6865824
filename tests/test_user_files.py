"""Files that the user names: read whole, or refused with file, line and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from aero_search.cli import main
from aero_search.errors import RequestError
from aero_search.user_files import LARGEST_BYTES, read_settings

BAD = {
    "3": "holds the value 3 where fields are meant",
    "- a\n- b": "holds a list where fields are meant",
    "true: 1": "has the key True, which is no name",
    "a: [1": "is not YAML (line 1): ",
    "a: 1\na: 2": "is not YAML (line 2): the key a stands twice",
    "&a [*a]": "has the YAML anchor or alias a (line 1)",
    "a: " + "[" * 2000: "is nested more than 32 deep (line 1)",
    b"a: 1\nb: caf\xe9": "(line 2): the byte 0xE9 is not UTF-8",
    b"#" * (LARGEST_BYTES + 1): "has more than the 2,000,000 bytes",
}


@pytest.mark.parametrize(("data", "says"), BAD.items(), ids=[str(data[:20]) for data in BAD])
def test_what_is_wrong_is_told_with_the_file(data: str | bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(RequestError) as caught:
        read_settings(path)
    assert str(caught.value).startswith(f"{path} {says}")
    assert len(str(caught.value).splitlines()) == 1


def test_an_empty_file_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: lan\n")
    assert read_settings(path) == {"name": "lan"}
    path.write_text("# nothing\n")
    assert read_settings(path) == {}


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="does not exist"):
        read_settings(tmp_path / "none.yaml")
    with pytest.raises(RequestError, match="is no file"):
        read_settings(tmp_path)
    with pytest.raises(RequestError, match="cannot be read: File name too long"):
        read_settings(tmp_path / ("a" * 300))


def test_a_home_is_found_whatever_the_shell_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "a b"))
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["train", "init.from=~/mine"]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    assert main(["front", "output_dir=~/results"]) == 2
    assert str(tmp_path / "a b" / "results") in capsys.readouterr().err
    assert not (tmp_path / "~").exists()
    # A flag is the shell's own, and a folder may be called so.
    assert main(["verify", "./lr=~1/x"]) == 2
    assert "lr=~1/x is not a bundle" in capsys.readouterr().err
