"""A page's source as a real study would give it: prices of the architectures themselves, results in folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from studies import STUDY, record

from aero_search.architecture import ModelShape
from aero_search.config.paths import conf_dir
from aero_search.cost import Network, Protocol
from aero_search.front.document import front_document
from aero_search.front.front import Front, build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.front.pricing import Pricing
from aero_search.front.record import Record
from aero_search.report.page.document import PageSource
from aero_search.schema import from_mapping, to_mapping
from aero_search.search.importance import Importances
from aero_search.search.timeline import Moment

SMALL = ModelShape("gpt2_small", "gpt2", 12, 12, None, 768, 128, 50257, True)
METRICS = ("perplexity", "latency_s", "flops")


def shipped(group: str, name: str) -> Any:
    """A protocol or network of conf/."""
    data = yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text())
    return from_mapping(Protocol if group == "protocol" else Network, data, group)


PROTOCOLS: dict[str, Protocol] = {
    name: shipped("protocol", name) for name in ("aero_paper", "spu_cheetah_0_9_5", "spu_semi2k")
}
NETWORKS: dict[str, Network] = {name: shipped("network", name) for name in ("paper", "lan", "wan")}


def priced_front(records: Sequence[Record], pricing: Pricing, objective: Objective | None = None) -> Front:
    """The front of records at other prices, as the command builds it."""
    objective = objective or Objective(METRICS)  # type: ignore[arg-type]
    priced = [replace(r, costs=pricing(r.architecture)) for r in records]
    reference = Reference(420.0, pricing.baseline(records[0].architecture, objective))
    return build_front(priced, objective, reference, pricing.target)


def page_source(
    folder: Path,
    name: str = "made",
    target: ModelShape | None = None,
    renamed: str | None = None,
    rows: Any = STUDY,
    again: float = 0.0,
) -> PageSource:
    """A study of STUDY's rows.

    Args:
        renamed: takes the place of the first notation.
        again: a second seed of each, higher by this share; 0 for one seed.
    """
    records = []
    for number, row in enumerate(rows):
        made = replace(record(number, row), folder=folder / "candidates" / str(number), seed=number % 2)
        if again and made.perplexity is not None:
            pair = ((made.seed, made.perplexity), (2, (1 + again) * made.perplexity))
            made = replace(made, replicates=pair)
        records.append(replace(made, notation=renamed) if renamed and number == 0 else made)
        write_result(records[-1])
    pricing = Pricing(PROTOCOLS["aero_paper"], NETWORKS["paper"], target)
    front = priced_front(records, pricing)
    return PageSource(
        name=name,
        front=front,
        front_document={"study": name, **front_document(front), "knee": front.knee().number},
        records=[replace(r, costs=pricing(r.architecture)) for r in records],
        pricing=pricing,
        protocols=PROTOCOLS,
        networks=NETWORKS,
        shapes=[SMALL],
        moments=[Moment(r.number, 60.0 * r.number, 60.0 * r.number + 74.0) for r in records],
        importances=Importances({"norm": 0.7, "recipe.lr": 0.3}, {"recipe.lr": 0.8, "norm": 0.2}, 17, 5),
        settings={"recipe.steps": 1200, "corpus fingerprint": "abc"},
        commands={
            "repeat or resume": "aero-search search",
            "export": f"aero-search export study={name} pick=trial:N",
        },
        created=1.7e9,
        folder=folder,
        version="0.1.0",
    )


def write_result(record: Record) -> None:
    """What a training leaves in its folder."""
    record.folder.mkdir(parents=True)
    a, diverged = record.architecture, record.state == "diverged"
    result = {
        "key": record.candidate, "notation": record.notation, "verdict": record.state, "reason": record.reason,
        "perplexity": record.perplexity, "validation_loss": None if diverged else 4.0,
        "curve": [
            {"step": step, "train_loss": 5.0, "validation_loss": 5.0, "perplexity": 400.0 / step, "seconds": 1.0}
            for step in (1, 2, 3)
        ],
        "entropy": [[0.5 + i + j / 10 for j in range(a.n_head)] for i in range(a.n_layer)],
        "parameters": 150_000, "seconds": 74.0, "tokens": 1000, "steps": 3, "lr": record.lr, "seed": record.seed,
        "data_seed": 0, "fingerprint": "abc", "unigram_perplexity": 420.0, "versions": {"torch": "2.13.0"},
    }  # fmt: skip
    (record.folder / "result.json").write_text(json.dumps(result))


def ladder_document() -> dict[str, Any]:
    """A ladder's table as `aero-search ablate` leaves it, two rows."""
    row = {
        "row": "SM + LN + G", "perplexity": 61.4, "perplexity_std": 0.3, "seeds": 2, "change_percent": 0.0,
        "published": 2.69, "lr": 0.0015, "lr_at_edge": False, "nonlinear_operations": "SM 16x(128x128)",
        "flops": 8.4e7, "communication_bytes": 1.0e9, "latency_s": 14.4, "saving_flops": 1.0,
        "saving_communication_bytes": 1.0, "saving_latency_s": 1.0, "verdict": "", "health": "sound",
        "balanced_share": 0.9, "overloaded_share": 0.1,
    }  # fmt: skip
    unknown = dict.fromkeys(("perplexity", "perplexity_std", "change_percent", "lr"))
    last = {**row, "row": "SM", **unknown, "published": "diverged", "verdict": "diverged at step 3"}
    ladder = {"name": "short", "description": "Two rows.", "source": "AERO", "rows": {}}
    return {"ladder": to_mapping(ladder), "rows": [row, last], "sentences": ["One pair differs."]}
