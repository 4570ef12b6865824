"""A study made by version 0.1 is read, priced again, exported from and gone on with."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from aero_search.cli import main

# `aero-search search study.name=old ...` of commit 47f6fe0, with the corpus of the fixture `text_folder`; what the
# same commit's `front format=json` said of it is below.
ARCHIVE = Path(__file__).parents[1] / "fixtures" / "study_of_0_1.tar.gz"
FRONT = {
    3: ("SM(t) + ScFuFFN", 20.01961545022369, 0.1749801538025162),
    2: ("SM + R", 15.563877411541249, 0.20104877336789934),
    1: ("SM + LN + R", 15.537636953566688, 0.2077166022661075),
}


@pytest.fixture
def old(tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    shutil.copytree(text_folder, tmp_path / "text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_front_and_its_prices_are_what_they_were(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["front", "study=old", "format=json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["hypervolume"] == pytest.approx(0.030122171645673275, rel=1e-12)
    got = {point["trial"]: point for point in said["front"]}
    assert set(got) == set(FRONT)
    for trial, (notation, perplexity, latency) in FRONT.items():
        assert got[trial]["notation"] == notation
        assert got[trial]["perplexity"] == perplexity
        assert got[trial]["latency_s"] == pytest.approx(latency, rel=1e-12)
    assert main(["front", "study=old", "network=wan", "protocol=spu_cheetah_0_9_5", "format=json"]) == 0
    said = json.loads(capsys.readouterr().out)
    # At today's prices: products that fit one ciphertext have become cheaper (0.03609 before).
    assert said["hypervolume"] == pytest.approx(0.036214759691947256, rel=1e-9)


def test_a_candidate_of_it_is_exported(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "study=old", "pick=trial:2"]) == 0
    assert "SM + R" in capsys.readouterr().out
    assert main(["verify", "outputs/exports/old-trial-2"]) == 0


def test_the_same_search_goes_on_with_it(
    old: Path, capsys: pytest.CaptureFixture[str], tiny: list[str]
) -> None:
    given = [o for o in tiny if not o.startswith("data.path")]
    # The space as it was: the default one has stopped drawing rates since.
    same = [
        "study.name=old",
        "space=aero_adamw",
        "tracking=none",
        "search.workers=1",
        "data.path=text",
        *given,
    ]
    before = {path.name for path in (old / "outputs/studies/old/candidates").iterdir()}
    assert main(["search", *same, "search.n_trials=5"]) == 0
    after = {path.name for path in (old / "outputs/studies/old/candidates").iterdir()}
    # Nothing is trained twice: identities are what they were.
    assert len(after - before) == 1
    assert before < after
    assert "5 trained" in capsys.readouterr().out
