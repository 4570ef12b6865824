from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from aero_search.data import Corpus, CorpusSpec, load_tokenizer, preparation, prepare
from aero_search.data.corpus import open_tokens
from aero_search.data.duplicates import NearDuplicates
from aero_search.data.tokenizer import end_of_text
from aero_search.errors import AeroSearchError, RequestError
from aero_search.schema import from_mapping

ROOT = Path(__file__).parents[2]
V = 300


def texts(corpus: Corpus, path: Path) -> list[str]:
    """The documents of a token file, decoded."""
    tokenizer = load_tokenizer(corpus.tokenizer_path)
    tokens = open_tokens(path)
    ends = np.flatnonzero(tokens == end_of_text(tokenizer))
    assert ends[-1] == len(tokens) - 1
    starts = [0, *(ends[:-1] + 1)]
    return [tokenizer.decode(tokens[a:b].tolist()) for a, b in zip(starts, ends, strict=True)]


def test_every_text_is_packed_once_on_one_side(make_folder, make_spec) -> None:
    folder = make_folder()
    corpus = prepare(make_spec(folder), V, quiet=True)
    train, validation = texts(corpus, corpus.train_path), texts(corpus, corpus.validation_path)
    assert sorted(train + validation) == sorted(path.read_text() for path in folder.rglob("*.txt"))
    assert len(validation) == 2  # a tenth of twenty files of one size
    size = sum(len(text.encode()) for text in train)
    assert corpus.train_bytes_per_token == pytest.approx(size / corpus.train_tokens)
    assert int(open_tokens(corpus.train_path).max()) < V
    assert Corpus.open(corpus.folder) == corpus
    assert corpus.folder.name == corpus.fingerprint


def test_fingerprint_is_of_content_not_of_place_or_time(make_folder, make_spec, tmp_path: Path) -> None:
    folder = make_folder()
    first = prepare(make_spec(folder), V, quiet=True)
    copied = tmp_path / "elsewhere"
    shutil.copytree(folder, copied)
    for path in copied.rglob("*.txt"):
        os.utime(path, (1, 1))
    other_cache = str(tmp_path / "cache2")
    second = prepare(make_spec(copied, cache_dir=other_cache), V, quiet=True)
    assert second.fingerprint == first.fingerprint
    for name in ("train.bin", "validation.bin", "tokenizer.json"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    # A cap that cuts nothing chooses the same files, so the same content.
    assert prepare(make_spec(folder, train_mb=50), V, quiet=True) == first


def test_fingerprint_changes_with_content_name_split_and_vocabulary(make_folder, make_spec) -> None:
    folder = make_folder()
    seen = [prepare(make_spec(folder), V, quiet=True).fingerprint]
    seen.append(prepare(make_spec(folder), V + 1, quiet=True).fingerprint)
    seen.append(prepare(make_spec(folder, seed=1), V, quiet=True).fingerprint)
    path = next(folder.rglob("00.txt"))
    path.write_text(path.read_text() + "x")
    seen.append(prepare(make_spec(folder), V, quiet=True).fingerprint)
    path.rename(path.with_name("renamed.txt"))
    seen.append(prepare(make_spec(folder), V, quiet=True).fingerprint)
    assert len(set(seen)) == len(seen)


def test_second_call_reads_no_text(make_folder, make_spec, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec(make_folder())
    first = prepare(spec, V, quiet=True)
    monkeypatch.setattr(preparation, "_build", lambda *_: pytest.fail("packed again"))
    assert prepare(spec, V, quiet=True) == first


def test_touched_files_are_read_again_but_not_packed_again(
    make_folder, make_spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder()
    first = prepare(make_spec(folder), V, quiet=True)
    for path in folder.rglob("*.txt"):
        os.utime(path, (1, 1))
    monkeypatch.setattr(preparation, "train_tokenizer", lambda *_: pytest.fail("packed again"))
    assert prepare(make_spec(folder), V, quiet=True) == first


PREPARE = """
import sys
from aero_search.data import CorpusSpec, prepare
corpus = prepare(CorpusSpec("text_folder", sys.argv[1], cache_dir=sys.argv[2]), 300)
print(corpus.fingerprint)
assert "torch" not in sys.modules
"""


def test_four_processes_at_once_pack_once(make_folder, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PREPARE, str(make_folder()), str(tmp_path / "cache")]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=600) for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    assert len({out for out, _ in said}) == 1
    # Whoever packs says so in one line; the others wait in silence.
    assert sorted(err.count("\n") for _, err in said) == [0, 0, 0, 1]
    kept = {path.name for path in (tmp_path / "cache").iterdir()}
    assert kept == {"locks", "manifests", said[0][0].strip()}


def test_a_kill_leaves_no_half_corpus(make_folder, make_spec, tmp_path: Path) -> None:
    folder = make_folder()
    kill = (
        "import os\nfrom aero_search.data import preparation\n"
        "preparation.write_meta = lambda *a, **k: os._exit(9)\n"
    )
    command = [sys.executable, "-c", kill + PREPARE, str(folder), str(tmp_path / "cache")]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 9
    left = [path.name for path in (tmp_path / "cache").iterdir()]
    assert [name for name in left if not name.startswith(".")] in (
        ["locks", "manifests"],
        ["manifests", "locks"],
    )
    assert any(name.endswith(".partial") for name in left)
    corpus = prepare(make_spec(folder), V, quiet=True)
    assert Corpus.open(corpus.folder) == corpus
    assert not list((tmp_path / "cache").glob(".*.partial"))


@pytest.mark.parametrize("damage", ["train.bin", "validation.bin", "meta.json", "tokenizer.json"])
def test_a_damaged_cache_is_made_again(damage: str, make_folder, make_spec) -> None:
    spec = make_spec(make_folder())
    first = prepare(spec, V, quiet=True)
    path = first.folder / damage
    whole = path.read_bytes()
    if damage == "tokenizer.json":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2])
    assert prepare(spec, V, quiet=True) == first
    assert path.read_bytes() == whole


def test_one_large_file_is_divided_by_position(make_folder, make_spec, make_text) -> None:
    novel = make_text("novel", 60_000)
    folder = make_folder({"novel.txt": novel, "notes/readme.md": make_text("readme", 300)})
    corpus = prepare(make_spec(folder), V, quiet=True)
    (tail,) = texts(corpus, corpus.validation_path)
    train = texts(corpus, corpus.train_path)
    assert tail in novel
    assert len(tail) == pytest.approx(len(novel) / 10, rel=0.1)
    assert novel.removesuffix(tail) in train
    assert len(train) == 2


def test_caps_hold(make_folder, make_spec) -> None:
    corpus = prepare(make_spec(make_folder(), train_mb=0.03, validation_mb=0.005), V, quiet=True)
    train, validation = texts(corpus, corpus.train_path), texts(corpus, corpus.validation_path)
    assert 25_000 < sum(map(len, train)) <= 30_000
    assert 3_000 < sum(map(len, validation)) <= 5_000


def test_duplicates_do_not_leak(make_folder, make_spec, make_text) -> None:
    files = {f"{i:02d}.txt": make_text(i) for i in range(20)}
    files |= {f"copy{i:02d}.txt": make_text(i) + "one more line\n" for i in range(20)}
    corpus = prepare(make_spec(make_folder(files)), V, quiet=True)
    seen = NearDuplicates(0.7)
    both = texts(corpus, corpus.train_path) + texts(corpus, corpus.validation_path)
    assert all(seen.keep(text) for text in both)
    assert len(both) == 20


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({}, "has no file ending in .txt"),
        ({"a.bin": "text"}, "has no file ending in .txt"),
        ({"a.txt": ""}, "has no file ending in .txt"),
        ({"a.txt": b"\xff\xfe\x00"}, "has no UTF-8 text in 1 files"),
        ({"a.txt": "  \n \n"}, "has no UTF-8 text in 1 files"),
        ({"a.txt": "x"}, "leaves no train text"),
        ({f"{i}.txt": "the same\n" * 50 for i in range(30)}, "leaves no train text"),
    ],
)
def test_folders_without_usable_text(files, named: str, make_folder, make_spec) -> None:
    folder = make_folder(files)
    with pytest.raises(RequestError, match=r"data\.path=") as caught:
        prepare(make_spec(folder), V, quiet=True)
    assert named in str(caught.value)


def test_undecodable_files_are_passed_over(make_folder, make_spec, make_text) -> None:
    files = {f"{i:02d}.txt": make_text(i) for i in range(10)}
    corpus = prepare(make_spec(make_folder(files | {"latin.txt": b"caf\xe9" * 900})), V, quiet=True)
    both = texts(corpus, corpus.train_path) + texts(corpus, corpus.validation_path)
    assert sorted(both) == sorted(files.values())


def test_names_that_are_not_utf8_are_names_too(make_folder, make_spec, make_text) -> None:
    folder = make_folder({f"{i:02d}.txt": make_text(i) for i in range(10)})
    try:
        (folder / "10.txt").write_text(make_text(10))
        (folder / "10.txt").rename(folder / os.fsdecode(b"caf\xe9.txt"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    corpus = prepare(make_spec(folder), V, quiet=True)
    assert make_text(10) in texts(corpus, corpus.train_path) + texts(corpus, corpus.validation_path)


def test_paths_that_are_no_folder(tmp_path: Path, make_spec) -> None:
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(RequestError, match="does not exist"):
        prepare(make_spec(tmp_path / "nowhere"), V)
    with pytest.raises(RequestError, match="is not a folder"):
        prepare(make_spec(tmp_path / "file.txt"), V)
    spec = make_spec(tmp_path, cache_dir=str(tmp_path / "file.txt"))
    with pytest.raises(RequestError, match=r"data\.cache_dir=.* cannot be written"):
        prepare(spec, V)


def test_a_full_disk_is_said_and_leaves_nothing(
    make_folder, make_spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preparation, "pack", full)
    with pytest.raises(AeroSearchError, match="No space left on device") as caught:
        prepare(make_spec(make_folder()), V, quiet=True)
    assert not isinstance(caught.value, RequestError)
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"locks", "manifests"}


def test_what_is_said(make_folder, make_spec, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec(make_folder())
    prepare(spec, 300, quiet=True)
    assert capsys.readouterr() == ("", "")
    prepare(spec, 301)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("Preparing the corpus data.kind=text_folder")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TTY_INTERACTIVE", "0")
    prepare(spec, 302)
    out, err = capsys.readouterr()
    assert out == ""
    assert all(stage in err for stage in ("Select", "Tokenizer", "Encode"))


def packed(folder: Path, **meta: object) -> Path:
    folder.mkdir()
    np.arange(100, dtype="<u2").tofile(folder / "train.bin")
    np.arange(50, dtype="<u2").tofile(folder / "validation.bin")
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def test_a_folder_packed_by_hand_opens(tmp_path: Path) -> None:
    folder = packed(tmp_path / "mine", vocab_size=100)
    spec = CorpusSpec("tokenized", str(folder))
    corpus = prepare(spec, 128)
    assert (corpus.vocab_size, corpus.train_tokens, corpus.validation_tokens) == (100, 100, 50)
    assert corpus.train_bytes_per_token is None
    assert corpus == prepare(spec, 128)
    np.arange(1, 101, dtype="<u2").tofile(folder / "train.bin")
    with pytest.raises(RequestError, match="token 100, which is not below vocab_size=100"):
        prepare(spec, 128)
    with pytest.raises(RequestError, match=r"model\.vocab_size=99 is below the 100"):
        prepare(spec, 99)


@pytest.mark.parametrize(
    ("meta", "why"),
    [
        ({}, "no vocab_size"),
        ({"vocab_size": True}, "no vocab_size"),
        ({"vocab_size": 9, "train_tokens": 7}, "200 bytes where meta.json says 7"),
    ],
)
def test_a_folder_that_is_not_packed_says_why(tmp_path: Path, meta: dict[str, object], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        Corpus.open(packed(tmp_path / "mine", **meta))
    with pytest.raises(RequestError, match=r"meta\.json is missing"):
        Corpus.open(tmp_path)


@pytest.mark.slow
def test_default_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = yaml.safe_load((ROOT / "conf/data/python_source.yaml").read_text())
    spec = from_mapping(CorpusSpec, fields | {"cache_dir": str(tmp_path)}, "data")
    corpus = prepare(spec, 1024, quiet=True)
    monkeypatch.setattr(preparation, "_build", lambda *_: pytest.fail("packed again"))
    assert prepare(spec, 1024, quiet=True) == corpus
    meta = json.loads((corpus.folder / "meta.json").read_text())
    assert not set(meta["train_packages"]) & set(meta["validation_packages"])
    assert "aero_search" not in {**meta["train_packages"], **meta["validation_packages"]}
    assert len(meta["validation_packages"]) >= 5
    assert 20e6 < meta["train_bytes"] <= 24e6
    assert 1e6 < meta["validation_bytes"] <= 1.5e6
    largest = max(unit["bytes"] for unit in meta["train_packages"].values())
    assert largest < 0.15 * meta["train_bytes"]
