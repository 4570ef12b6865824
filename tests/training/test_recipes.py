"""The published recipes: their numbers, and that each of them trains."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from aero_search.cli import main
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir
from aero_search.config.request import Request
from aero_search.training.optimizer import lr_factor
from aero_search.training.result import Result, read_result


@pytest.fixture
def request_of() -> Iterator[object]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        yield lambda *overrides: read_request(compose("config", overrides=list(overrides)), overrides)
    GlobalHydra.instance().clear()


@pytest.fixture
def token_folder(tmp_path: Path) -> Path:
    """Tokens packed elsewhere, in which each is mostly told by the one before it."""
    folder = tmp_path / "tokens"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, n in (("train", 40_000), ("validation", 4_000)):
        steps = np.where(random.random(n) < 0.8, 7, random.integers(0, 300, n))
        (np.cumsum(steps) % 300).astype("<u2").tofile(folder / f"{name}.bin")
    (folder / "meta.json").write_text(json.dumps({"vocab_size": 300}))
    return folder


def test_codeparrot_is_one_epoch_of_the_authors_selection(request_of: object) -> None:
    request: Request = request_of(  # type: ignore[operator]
        "recipe=paper_codeparrot", "data=codeparrot_paper", "model=gpt2_small"
    )
    recipe, data = request.recipe, request.data
    sequences = 16_702_061 * 600_000 // 606_720
    batches = -(-sequences // recipe.batch_size)  # the last one is short
    assert recipe.steps == batches // recipe.accumulate
    assert recipe.tokens(128) == pytest.approx(2.1e9, rel=0.02)
    assert (data.train_rows, data.validation_rows, data.stream, data.chunk) == (600_000, 2_000, False, 128)
    assert data.tokenizer == "huggingface-course/code-search-net-tokenizer"
    assert (recipe.lr, recipe.schedule, recipe.clip, recipe.weight_decay) == (1e-3, "linear", 1.0, 0.1)
    assert (recipe.init_std, recipe.precision) == (0.02, "16-mixed")


def test_languini_is_the_paper_s_1_2_billion_tokens(request_of: object) -> None:
    request: Request = request_of(  # type: ignore[operator]
        "recipe=paper_languini", "data=languini", "data.path=.", "model=gpt2_small", "model.seq_len=512"
    )
    recipe = request.recipe
    assert recipe.tokens(512) == pytest.approx(1.2e9, rel=0.005)
    assert lr_factor(200, recipe) == 1.0
    assert lr_factor(199, recipe) < 1.0
    assert recipe.lr * lr_factor(recipe.steps, recipe) == pytest.approx(6e-6)
    assert recipe.clip == 0.0


@pytest.mark.parametrize("name", ["paper_codeparrot", "paper_languini"])
def test_a_published_recipe_trains(
    name: str, token_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = "languini" if name == "paper_languini" else "tokenized"
    overrides = [
        f"recipe={name}",
        f"data={data}",
        f"data.path={token_folder}",
        "model.n_layer=2",
        "model.d_model=32",
        "model.n_head=2",
        "model.seq_len=16",
        "model.vocab_size=300",
        "recipe.steps=8",
        "recipe.batch_size=4",
        "recipe.precision=bf16-mixed",
        "recipe.validate_every=8",
        "recipe.validation_sequences=64",
        "tracking=none",
    ]
    assert main(["train", *overrides]) == 0
    (folder,) = (tmp_path / "outputs" / "train").iterdir()
    result: Result = read_result(folder)
    assert result.steps == 8
    assert result.tokens == 8 * 4 * (4 if name == "paper_codeparrot" else 8) * 16
    assert [point.step for point in result.curve] == [8]
    assert result.perplexity is not None
