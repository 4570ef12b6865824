"""Which GPU a worker sees."""

from __future__ import annotations

import pytest

from aero_search.training.compute import Compute
from aero_search.workers.devices import VISIBLE, use_devices


def seen(
    index: int, devices: int = 1, found: int = 4, said: str | None = None, kind: str = "auto"
) -> str | None:
    environment = {} if said is None else {VISIBLE: said}
    use_devices(index, Compute(kind, devices), environment, lambda: found)  # type: ignore[arg-type]
    return environment.get(VISIBLE)


def test_each_worker_has_a_device_and_those_beyond_share() -> None:
    assert [seen(i) for i in range(6)] == ["0", "1", "2", "3", "0", "1"]


def test_a_worker_of_several_devices_has_neighbours() -> None:
    assert [seen(i, devices=2) for i in range(3)] == ["0,1", "2,3", "0,1"]
    # The fifth of five is left over.
    assert [seen(i, devices=2, found=5) for i in range(3)] == ["0,1", "2,3", "0,1"]


def test_what_may_be_seen_is_divided_by_name() -> None:
    assert [seen(i, said="GPU-a, GPU-b") for i in range(3)] == ["GPU-a", "GPU-b", "GPU-a"]


@pytest.mark.parametrize("said", ["3", "", "MIG-x"])
def test_what_a_launcher_gave_is_kept(said: str) -> None:
    assert seen(1, said=said) == said


def test_nothing_is_set_without_gpus_or_on_the_cpu() -> None:
    assert seen(1, found=0) is None
    assert seen(0, found=1) is None
    assert seen(1, kind="cpu") is None
    assert seen(1, devices=4) is None
