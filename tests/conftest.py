"""What every test shares: one core a process, small architectures, and a corpus of a few kilobytes."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
# A busy machine keeps commands waiting, and what they say about that is no part of what they print.
os.environ["AERO_SEARCH_QUIET"] = "1"

import pytest
from hypothesis import HealthCheck, settings

from aero_search.architecture import Architecture, Layer

# No test asserts a time: a busy machine is no fault.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture
def proxy() -> Architecture:
    """The default proxy, SM + LN + G."""
    return Architecture(n_head=4, d_model=64, seq_len=128, vocab_size=1024, layers=(Layer(),) * 4)


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of some 90 kB of made-up text in which a word tells the next, so that a few steps learn it."""
    folder = tmp_path_factory.mktemp("text")
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghij", k=4)) for _ in range(40)]
    for i in range(8):
        starts = [(rng.randrange(40), rng.randint(2, 6)) for _ in range(500)]
        lines = (f"{rng.randrange(999)} " + " ".join((words * 2)[at : at + n]) for at, n in starts)
        (folder / f"file{i}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor fill the user's cache of packed corpora, nor their own groups."""
    patch = pytest.MonkeyPatch()
    patch.setenv("AERO_SEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setenv("AERO_SEARCH_CONFIG", str(tmp_path_factory.mktemp("config") / "none"))
    patch.delenv("AERO_SEARCH_STORAGE", raising=False)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def tiny(text_folder: Path) -> list[str]:
    """Overrides that make a training of a second or two."""
    return [
        "model.n_layer=2",
        "model.d_model=16",
        "model.n_head=2",
        "model.seq_len=16",
        "model.vocab_size=300",
        "data=text_folder",
        f"data.path={text_folder}",
        "recipe=proxy_adamw",
        "recipe.steps=60",
        "recipe.lr=3e-2",
        "recipe.batch_size=8",
        "recipe.validate_every=30",
        "recipe.validation_sequences=16",
        "search.confirm=0",
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what -m does not ask for: what needs SPU (`make test-mpc`), what is long (`make test-long`)."""
    for marker in ("mpc", "long"):
        if marker not in config.getoption("markexpr"):
            left_out = [item for item in items if item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]
    # Files with whole commands first: begun last, one of them would keep a worker while the others are done.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
