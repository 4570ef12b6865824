"""Where a candidate trains: the kind of device and how many; imports torch only to look what is there.

No part of a candidate's identity: batches, their order and the arithmetic are those of one device; only the order
in which floating-point numbers are summed differs, as it does between two processors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aero_search.errors import RequestError
from aero_search.training.recipe import Recipe


@dataclass(frozen=True)
class Compute:
    """Devices for one candidate: the group `compute`.

    Attributes:
        accelerator: `auto` is the best there is.
        devices: processes, each with its device and its share of every batch. On a CPU they share its cores.
    """

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise RequestError(f"compute.devices={self.devices} must be at least 1")

    def check(self, recipe: Recipe) -> None:
        """Refuse what this machine or this recipe cannot do.

        Raises:
            RequestError: too few devices, a batch that cannot be shared evenly, or float16 without CUDA.
        """
        if self.accelerator == "cuda" or self.devices > 1:
            import torch

            found = torch.cuda.device_count() if torch.cuda.is_available() else 0
            if self.accelerator == "cuda" and not found:
                raise RequestError("compute.accelerator=cuda finds no CUDA GPU: set compute.accelerator=auto")
            if self.on_cuda and self.devices > found:
                raise RequestError(
                    f"compute.devices={self.devices} is more than the {found} CUDA GPUs found: set {found}"
                )
        if recipe.batch_size % self.devices:
            raise RequestError(
                f"recipe.batch_size={recipe.batch_size} cannot be shared by compute.devices={self.devices}: "
                "make it a multiple"
            )
        if recipe.precision == "16-mixed" and not self.on_cuda:
            raise RequestError(
                "recipe.precision=16-mixed needs a CUDA GPU, since a CPU does not compute in float16: set "
                "recipe.precision=bf16-mixed or 32-true"
            )

    @property
    def on_cuda(self) -> bool:
        """Whether training runs on CUDA here."""
        import torch

        return self.accelerator == "cuda" or (self.accelerator == "auto" and torch.cuda.is_available())

    def describe(self) -> str:
        """The devices in words, such as `cpu` or `2 x NVIDIA H100`."""
        import torch

        name = torch.cuda.get_device_name(0) if self.on_cuda else "cpu"
        return name if self.devices == 1 else f"{self.devices} x {name}"
