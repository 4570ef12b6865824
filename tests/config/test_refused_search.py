"""A search that is refused, or could train nothing, leaves no study of its name behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from aero_search.cli import main
from aero_search.workers.database import study_names


@pytest.mark.parametrize("command", ["plan", "search"])
def test_an_unknown_setting_that_varies_is_refused_before_anything_is_written(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, "recipe.lrr=1e-3,2e-3"]) == 2
    assert "recipe.lrr is not a setting: did you mean 'recipe.lr'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_search_that_could_train_nothing_frees_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    space = "description: none of it can be built\nparameters:\n  model.d_model: {choices: [17, 19]}\n"
    (tmp_path / "odd.yaml").write_text(space)
    line = ["search", "space=odd.yaml", "study.name=s", "search.n_trials=1", "search.workers=1"]
    rest = [override for override in tiny if not override.startswith("model.d_model")]
    assert main([*line, "search/sampler=random", "tracking=none", "hydra/launcher=basic", *rest]) == 2
    assert "no candidate could be built" in capsys.readouterr().err
    assert study_names(tmp_path / "outputs") == []
    assert not (tmp_path / "outputs" / "studies" / "s").exists()
