"""The study's database: one fresh file, opened by several commands at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna

from aero_search.front.objective import Objective
from aero_search.workers.database import create_study, open_storage

METRICS = Objective(("perplexity", "latency_s")).metrics


def test_commands_that_start_together_create_one_database(tmp_path: Path) -> None:
    def begin(name: str) -> str:
        return create_study(open_storage(tmp_path), name, METRICS).study_name

    names = [f"study-{i}" for i in range(4)]
    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(begin, names)) == names
    assert sorted(optuna.get_all_study_names(open_storage(tmp_path))) == names
