"""What the documentation's commands and notebooks are shortened with when a test runs them."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def short_trainings(text_folder: Path) -> list[str]:
    """Overrides that make a search of seconds, on a small corpus."""
    return [
        "data=text_folder",
        f"data.path={text_folder}",
        "model.vocab_size=300",
        "recipe.steps=20",
        "recipe.batch_size=8",
        "recipe.validate_every=10",
        "recipe.validation_sequences=16",
        "search.n_trials=3",
        "search.workers=1",
        "tracking=none",
    ]
