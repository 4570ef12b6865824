"""A training whose memory runs out is a verdict on its candidate, and the search goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aero_search.cli import main
from aero_search.training import run
from aero_search.training.memory import is_out_of_memory

# What torch 2.13 says on the CPU, and on CUDA.
CPU = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
    "allocate 4398046511104 bytes. Error code 12 (Cannot allocate memory)"
)
CUDA = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15.77 GiB"


@pytest.mark.parametrize(
    ("problem", "is_one"),
    [
        (MemoryError("Unable to allocate 8.00 TiB for an array"), True),
        (RuntimeError(CPU), True),
        (RuntimeError(CUDA), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_that_ran_out_is_known_however_it_is_said(problem: Exception, is_one: bool) -> None:
    assert is_out_of_memory(problem) == is_one


def test_the_sentence_of_torch_s_own_allocator_is_known() -> None:
    import torch

    with pytest.raises(RuntimeError) as told:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(told.value)


def test_a_search_goes_on_without_the_candidate(
    tmp_path: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    whole, tried = run.fit, []

    def fit(job: Any, *arguments: Any) -> Any:
        tried.append(job.folder.name)
        if len(tried) == 1:
            raise RuntimeError(CPU)
        return whole(job, *arguments)

    monkeypatch.setattr(run, "fit", fit)
    command = ["search", "space=tiny", "search.n_trials=1", "search.workers=1", "tracking=none", *tiny]
    command += ["recipe.steps=4", "recipe.validate_every=4"]
    assert main(command) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 trained" in said
    assert "quarantined: SM + LN + G #0: memory ran out in the training (model.d_model=16" in said
    assert len(set(tried)) == 2
    # Nor does the same command try it again.
    assert main(command) == 0
    assert len(tried) == 2
