"""What each attention kind costs in perplexity and saves in bytes, seconds and rounds.

    nice python -m benchmarks.beyond train [--workers 2] [--only ROWS]     # resumable; adds rows to the results
    python -m benchmarks.beyond report [--output benchmarks/results/beyond.txt]
    python -m benchmarks.beyond page        # writes the tables of docs/research/beyond.md anew
    nice python -m benchmarks.beyond read --python .venv-mpc/bin/python [--output benchmarks/results/beyond_spu.txt]

`read` runs each kind between two SPU parties and compares the bytes with the price; resumable.

Every network is trained with the default recipe at three rates and with two seeds, and stands for its best rate.
Rows that `benchmarks.recipes` trained with the same overrides are read from its results and not trained again.
Prices are estimates of the same choices at GPT-2 small and 128 tokens.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aero_search.architecture import Architecture, notation, retarget
from aero_search.cost import Network, Pricer, Protocol, published_rows
from benchmarks import recipes
from benchmarks.recipes import Contender, Verdicts, jobs, table, verdicts
from benchmarks.tabular.command import Jobs, parser_of, train_rows
from benchmarks.tabular.rows import Row, read_rows
from benchmarks.write_report import processor, say

ROWS, META = Path("benchmarks/results/beyond.csv"), Path("benchmarks/results/beyond.json")
PAGE = Path("docs/research/beyond.md")
# The tables' places on the page.
BEGIN, END = "<!-- written by python -m benchmarks.beyond page: {} -->", "<!-- end -->"
RECIPE = Contender(
    "muon, 1,200 steps of 8 sequences",
    ("recipe.optimizer=muon", "recipe.adamw_lr=4e-3", "recipe.steps=1200", "recipe.batch_size=8"),
    (0.008, 0.0113, 0.016),
    (0.0113, 0.008, 0.016),
)
_LN, _FUSED = "variant=sm_ln_r", "variant=sm_scfuffn"
# The steps of AERO first, then each kind in two networks: one with LayerNorm and ReLU, and AERO's last.
NETWORKS: tuple[tuple[str, ...], ...] = (
    ("variant=sm_ln_g",),
    (_LN,),
    ("variant=sm_r",),
    (_FUSED,),
    *(
        (network, f"attention.kind={kind}")
        for kind in ("relu_sum", "relu_count", "square_sum", "power", "linear", "power4", "sigmoid")
        for network in (_LN, _FUSED)
    ),
    (_FUSED, "attention.kind=relu_count", "attention.softmax_heads=1"),
    (_FUSED, "attention.kind=linear", "attention.softmax_heads=1"),
    ("variant=sm_r", "attention.kind=relu_count"),
    (_FUSED, "attention.kind=relu_count", "ffn.layers=2"),
    (_LN, "attention.kind=[none,softmax,softmax,softmax]"),
    (_LN, "attention.kind=[softmax,none,softmax,none]"),
)
# Of three kinds: homomorphic and oblivious transfer as the paper ran it and as measured here, and a trusted dealer.
SYSTEMS = (("aero_paper", "paper"), ("spu_cheetah_0_9_5", "lan"), ("spu_semi2k", "lan"))


@dataclass(frozen=True)
class Price:
    """One forward pass under one system: bytes in both directions, seconds, round trips."""

    bytes: float
    seconds: float
    rounds: float


@dataclass(frozen=True)
class Priced:
    """A network of NETWORKS at GPT-2 small.

    Attributes:
        overrides: of the proxy.
        name: in the notation, at GPT-2 small.
        prices: one a system.
    """

    overrides: tuple[str, ...]
    name: str
    prices: tuple[Price, ...]


def priced(networks: Sequence[tuple[str, ...]] = NETWORKS) -> tuple[Priced, ...]:
    """The networks at GPT-2 small with their prices."""
    from hydra import compose, initialize_config_dir

    from aero_search.config.hydra_main import read_request
    from aero_search.config.paths import conf_dir
    from aero_search.config.target import load_shape

    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        shape = load_shape("gpt2_small")
        asked = [
            read_request(compose("config", [f"protocol={protocol}", f"network={network}"]))
            for protocol, network in SYSTEMS
        ]
        systems: list[tuple[Protocol, Network]] = [(request.protocol, request.network) for request in asked]
        sized: list[Architecture] = [
            retarget(read_request(compose("config", list(overrides))).architecture, shape)
            for overrides in networks
        ]
    columns = [Pricer(protocol, network).price(sized) for protocol, network in systems]
    return tuple(
        Priced(
            overrides,
            notation(architecture),
            tuple(
                Price(float(c.communication_bytes[i]), float(c.latency_seconds[i]), float(c.rounds[i]))
                for c in columns
            ),
        )
        for i, (overrides, architecture) in enumerate(zip(networks, sized, strict=True))
    )


def known_rows() -> list[Row]:
    """What is trained: here, and with the same overrides for the comparison of recipes."""
    return [row for path in (ROWS, recipes.ROWS) if path.exists() for row in read_rows(path)]


def found(rows: Sequence[Row]) -> Verdicts | None:
    """What the rows say; None with fewer than two networks."""
    return next(iter(verdicts(rows, (RECIPE,), NETWORKS)), None)


def perplexity(said: Verdicts | None, overrides: tuple[str, ...]) -> tuple[float, int] | None:
    """A network's perplexity at its best rate, the geometric mean over seeds, and how many seeds."""
    if said is None or overrides not in said.perplexity:
        return None
    values = said.perplexity[overrides][said.best(overrides)]
    return math.exp(statistics.mean(math.log(value) for value in values)), len(values)


def price_table(networks: Sequence[Priced], said: Verdicts | None) -> Iterator[str]:
    """Each network's perplexity (measured, on the proxy) and prices (estimated, at GPT-2 small), as Markdown."""
    first = networks[0]
    reference = perplexity(said, first.overrides)
    heads = [f"{protocol}: GB, {_unit(i)}, rounds" for i, (protocol, _) in enumerate(SYSTEMS)]
    yield f"| network | proxy perplexity (measured) | {' | '.join(heads)} |"
    yield "|---" * (2 + len(SYSTEMS)) + "|"
    for network in networks:
        measured = perplexity(said, network.overrides)
        if measured is None:
            text = "not trained"
        elif math.isinf(measured[0]):
            text = "diverged"
        else:
            text = f"{measured[0]:.2f}" + (", one seed" if measured[1] == 1 else "")
            if reference is not None and network is not first:
                text += f" ({100 * (measured[0] / reference[0] - 1):+.1f} %)"
        cells = [_cell(network.prices[i], first.prices[i], i) for i in range(len(SYSTEMS))]
        yield f"| `{network.name}` | {text} | {' | '.join(cells)} |"


def published_table(networks: Sequence[Priced]) -> Iterator[str]:
    """AERO's rows of GPT-2 small at 128 tokens as published, and below them networks under the same system."""
    yield "| network | perplexity, CodeParrot | GB | minutes | source |"
    yield "|---|---|---|---|---|"
    for row in published_rows():
        if (row.dataset, row.n_layer, row.seq_len) == ("codeparrot", 12, 128):
            kept = "" if row.ffn_layers == row.n_layer else f", {row.ffn_layers} feed-forwards"
            value = "diverged" if row.perplexity is None else f"{row.perplexity:.2f}"
            cells = f"{value} | {row.comm_gb:.2f} | {row.latency_min:.2f}"
            yield f"| `{row.variant}`{kept} | {cells} | published |"
    for network in sorted(networks, key=lambda n: -n.prices[0].bytes):
        if any(part.startswith("attention.kind") for part in network.overrides):
            price = network.prices[0]
            cells = f"not trained | {price.bytes / 1e9:.2f} | {price.seconds / 60:.2f}"
            yield f"| `{network.name}` | {cells} | estimated |"


def read_with_spu(python: Path, folder: Path) -> str:
    """Bytes of each kind as two SPU parties send them, beside their price under `spu_cheetah_0_9_5`.

    Raises:
        RequestError: there is no SPU in that environment.
        AeroSearchError: a party died; what was read before is kept.
    """
    from hydra import compose, initialize_config_dir

    from aero_search.config.hydra_main import read_request
    from aero_search.config.paths import conf_dir
    from aero_search.measure.benchmarks import ATTENTION_LOWERINGS, items
    from aero_search.measure.environment import find_environment
    from aero_search.measure.readings import ReadingStore, take_readings

    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        protocol = read_request(compose("config", ["protocol=spu_cheetah_0_9_5"])).protocol
    environment = find_environment(python)
    wanted = [i for i in items(protocol) if not i.delay_ms and i.benchmark.name in ATTENTION_LOWERINGS]
    store = ReadingStore(folder / "readings.jsonl", environment.versions)
    take_readings(wanted, store, environment)
    lines = [f"{'kind':14} {'heads and scores':>16} {'read':>10} {'priced':>10} {'error':>8}"]
    for item in wanted:
        # Now and then a reading also refills a pool of oblivious transfers.
        sent = min(reading.bytes for reading in store.of(item.key))
        price = item.benchmark.price(item.size, protocol).bytes
        sizes = f"{item.benchmark.name:14} {item.size!s:>16}"
        lines.append(
            f"{sizes} {sent / 1e6:>7.3f} MB {price / 1e6:>7.3f} MB {100 * (price / sent - 1):>+6.2f} %"
        )
    return "\n".join(lines)


def write_page(page: Path = PAGE) -> None:
    """Put both tables into their places."""
    networks = priced()
    page.write_text(filled(page.read_text(), networks, found(known_rows())))


def filled(text: str, networks: Sequence[Priced], said: Verdicts | None) -> str:
    """The page's text with its tables anew."""
    for name, lines in (("published", published_table(networks)), ("prices", price_table(networks, said))):
        begin = BEGIN.format(name)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(END)
        text = before + begin + "\n" + "\n".join(lines) + "\n" + END + after
    return text


def _unit(system: int) -> str:
    return "minutes" if SYSTEMS[system][0] == "aero_paper" else "s"


def _cell(price: Price, first: Price, system: int) -> str:
    seconds = f"{price.seconds / 60:.2f}" if _unit(system) == "minutes" else f"{price.seconds:.0f}"
    return f"{price.bytes / 1e9:.2f} ({first.bytes / price.bytes:.1f}x), {seconds}, {price.rounds:,.0f}"


def main() -> None:
    parser = parser_of(__doc__, "page", "read")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="of an environment with SPU"
    )
    arguments = parser.parse_args()
    if arguments.what == "page":
        write_page()
        return
    if arguments.what == "read":
        text = read_with_spu(arguments.python, Path("outputs/beyond"))
        say(
            f"{processor()}; least of three readings\n\n{text}\n",
            arguments.output,
            "python -m benchmarks.beyond",
        )
        return
    if arguments.what == "report":
        said = found(known_rows())
        trained = "no trainings yet" if said is None else table(said)
        head = f"* marks a network's best rate; one number a seed; {processor()}\n\n{trained}\n\n"
        lines = "\n".join(price_table(priced(), said))
        say(
            f"{head}Prices at GPT-2 small, 128 tokens:\n\n{lines}\n",
            arguments.output,
            "python -m benchmarks.beyond",
        )
        return
    train_rows("beyond", ROWS, META, missing_jobs, arguments.workers, arguments.only)


def missing_jobs(folder: Path) -> Jobs:
    """Every training that the recipes' rows do not have."""
    whole, common = jobs(folder, (), (RECIPE,), NETWORKS)
    trained_before = {row.name for row in read_rows(recipes.ROWS)}
    return [job for job in whole if job.name not in trained_before], common


if __name__ == "__main__":
    main()
