"""One worker a device: which of the machine's GPUs a worker sees, by its index among those launched with it."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping, Sequence

from aero_search.training.compute import Compute

VISIBLE = "CUDA_VISIBLE_DEVICES"


def use_devices(
    index: int,
    compute: Compute,
    environment: MutableMapping[str, str] = os.environ,
    count: Callable[[], int] | None = None,
) -> None:
    """Let this process see only its own GPUs; to be called before CUDA is first used.

    A launcher that has given the worker devices of its own, as Slurm and Ray do, is not corrected.

    Args:
        index: of the worker, from 0; workers beyond the devices share them in turn.
        compute: how many devices a worker trains on.
        environment: is read and changed.
        count: of the machine's GPUs; None asks CUDA.
    """
    if compute.accelerator == "cpu":
        return
    said = environment.get(VISIBLE)
    if said is None:
        visible: Sequence[str] = [str(i) for i in range((count or _gpus)())]
    else:
        visible = [name.strip() for name in said.split(",") if name.strip()]
    places = len(visible) // compute.devices
    if places < 2:
        return
    first = index % places * compute.devices
    environment[VISIBLE] = ",".join(visible[first : first + compute.devices])


def _gpus() -> int:
    import torch

    # Read from the driver: no context is made, so a narrower view can still be chosen.
    return torch.cuda.device_count()
