"""`aero-search calibrate`: fits a protocol, and writes it as a file that can be named at once."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from aero_search.config.command import Command
from aero_search.config.paths import conf_dir, user_conf_dir
from aero_search.config.request import Request
from aero_search.cost import calibrate_published, compare_published
from aero_search.cost.calibrate import NETWORK_HEADER, PROTOCOL_HEADER
from aero_search.cost.protocol_file import protocol_mapping
from aero_search.cost.yaml_text import yaml_text
from aero_search.errors import RequestError
from aero_search.invocation import typed
from aero_search.printing import print_line


@dataclass(frozen=True)
class ParticipantSettings:
    """conf/calibrate.yaml: measure"""

    python: str | None


@dataclass(frozen=True)
class CalibrateOptions:
    """conf/calibrate.yaml"""

    source: Literal["published", "spu", "systems"]
    name: str | None
    to: str | None
    measure: ParticipantSettings


def run(request: Request) -> None:
    """Fit, write, and say how well it fits."""
    options = request.options(CalibrateOptions)
    if options.name is not None and not options.name.isidentifier():
        raise RequestError(f"name={options.name} must be letters, digits and _ alone: it names a file")
    if options.source == "spu":
        _from_spu(request, options)
    elif options.source == "systems":
        _from_systems(request, options)
    else:
        _from_published(options)


def _from_published(options: CalibrateOptions) -> None:
    from aero_search.console import make_console
    from aero_search.report.costs.comparisons import published_report

    fit = calibrate_published()
    ending = options.name or "refit"
    protocol, network = f"{fit.protocol.name}_{ending}", f"{fit.network.name}_{ending}"
    files = {
        f"protocol/{protocol}.yaml": yaml_text({**fit.protocol_mapping, "name": protocol}, PROTOCOL_HEADER),
        f"network/{network}.yaml": yaml_text({**fit.network_mapping, "name": network}, NETWORK_HEADER),
    }
    make_console().print(published_report(compare_published(fit.protocol, fit.network)))
    _write(files, options, f"protocol={protocol} network={network}")


def _from_systems(request: Request, options: CalibrateOptions) -> None:
    from aero_search.console import make_console
    from aero_search.cost import compare_system, fit_system
    from aero_search.report.costs.comparisons import systems_report

    fitted = fit_system(request.protocol)
    make_console().print(systems_report([(fitted, compare_system(fitted))]))
    name = options.name or f"{fitted.name}_refit"
    mapping = {**protocol_mapping(fitted), "name": name}
    header = (f"{fitted.title}: {fitted.name} fitted again to aero_search/cost/data/systems.csv.",)
    _write({f"protocol/{name}.yaml": yaml_text(mapping, header)}, options, f"protocol={name}")


def _from_spu(request: Request, options: CalibrateOptions) -> None:
    from aero_search.console import make_console
    from aero_search.measure.benchmarks import expected_seconds, items
    from aero_search.measure.environment import cores, find_environment, machine
    from aero_search.measure.fit import fit_protocol
    from aero_search.measure.mailbox import runtime_of
    from aero_search.measure.readings import ReadingStore, take_readings
    from aero_search.report.costs.calibration import CalibrateView, calibration_report

    template = request.protocol
    runtime = runtime_of(template)
    name = options.name or f"spu_{runtime.protocol.lower()}_here"
    if (conf_dir() / "protocol" / f"{name}.yaml").exists():
        raise RequestError(
            f"name={name} is a shipped protocol, which cannot be replaced: choose another name"
        )
    planned = items(template)
    environment = find_environment(options.measure.python)
    here = machine()
    store = ReadingStore(
        request.output_dir / "calibrations" / name / "readings.jsonl",
        {"machine": here, **environment.versions},
    )
    missing = store.missing(planned)
    expected = {item.key: expected_seconds(item, template) / item.replicates for item in planned}
    console = make_console(stderr=True)
    total = sum(expected[item.key] * (item.replicates - len(store.of(item.key))) for item in missing)
    print_line(
        f"{len(planned)} micro-benchmarks, {len(planned) - len(missing)} of them read before; "
        f"about {max(total / 60, 1):.0f} min on the machine {template.name} was read on"
    )
    with CalibrateView(total, console) as view:
        take_readings(
            planned, store, environment, runtime, told=lambda key, _: view.done(key, expected.get(key, 0.0))
        )
    date = datetime.datetime.now(datetime.UTC)
    fit = fit_protocol(replace(template, cores=cores(), gpus=0), store, name, here, f"{date:%Y-%m}")
    make_console().print(calibration_report(fit))
    text = yaml_text(
        protocol_mapping(fit.protocol), _spu_header(fit, environment.versions, here, f"{date:%Y-%m-%d}")
    )
    _write({f"protocol/{name}.yaml": text}, options, f"protocol={name}")


def _spu_header(fit: Any, versions: Mapping[str, str], here: str, date: str) -> list[str]:
    from aero_search.report.costs.calibration import summary

    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    return [
        f"Written by `aero-search calibrate source=spu` on {date}: all parties on one machine, over 127.0.0.1.",
        f"Machine: {here}. Software: {software}.",
        "Errors of what the constants are fitted to:",
        *(f"  {line}" for line in summary(fit, used=True).splitlines()),
        "Errors of whole lowerings, which are sums of them:",
        *(f"  {line}" for line in summary(fit, used=False).splitlines()),
    ]


def _write(files: Mapping[str, str], options: CalibrateOptions, use: str) -> None:
    folder = Path(options.to) if options.to else user_conf_dir()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print_line(f"written: {', '.join(str(folder / name) for name in files)}")
    where = f"--config-dir {shlex.quote(str(folder))} " if options.to else ""
    print_line(f"use it: {typed(f'cost {where}{use}')}")


COMMAND = Command(
    "calibrate",
    run,
    waits_for="reading or measuring what a protocol is fitted to",
    settings=(
        "source",
        "protocol",
        "name",
        "to",
        "measure.python",
    ),
    examples=(
        "calibrate source=published",
        "calibrate source=spu",
        "calibrate source=spu protocol=spu_aby3",
    ),
)
