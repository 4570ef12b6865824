"""`aero-search calibrate`: fits a protocol and a network, and writes them as files that can be named at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.cost import calibrate_published, compare_published
from aero_search.cost.calibrate import NETWORK_HEADER, PROTOCOL_HEADER
from aero_search.cost.yaml_text import yaml_text
from aero_search.errors import RequestError


@dataclass(frozen=True)
class CalibrateOptions:
    """conf/calibrate.yaml"""

    source: Literal["published"]
    name: str
    to: str | None


def run(request: Request) -> None:
    """Fit, write, and say how well it fits."""
    from rich.console import Console

    from aero_search.report.cost import published_report

    options = request.options(CalibrateOptions)
    if not options.name.isidentifier():
        raise RequestError(f"name={options.name} must be letters, digits and _ alone: it names two files")
    fit = calibrate_published()
    protocol, network = f"{fit.protocol.name}_{options.name}", f"{fit.network.name}_{options.name}"
    folder = Path(options.to) if options.to else request.output_dir / "conf"
    files = {
        folder / "protocol" / f"{protocol}.yaml": yaml_text(
            {**fit.protocol_mapping, "name": protocol}, PROTOCOL_HEADER
        ),
        folder / "network" / f"{network}.yaml": yaml_text(
            {**fit.network_mapping, "name": network}, NETWORK_HEADER
        ),
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    Console().print(published_report(compare_published(fit.protocol, fit.network)))
    print(f"written: {', '.join(map(str, files))}")
    print(f"use it: aero-search cost --config-dir {folder} protocol={protocol} network={network}")


COMMAND = Command("calibrate", run)
