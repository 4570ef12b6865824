"""Names and prices of architectures, from Python."""

from __future__ import annotations

from typing import TypeVar

from aero_search import architecture as data
from aero_search.architecture import Architecture, validate
from aero_search.config.compose import (
    compose_request,
    named_network,
    named_prices,
    named_protocol,
    named_workload,
)
from aero_search.cost import Cost, Network, PriceList, Protocol, Workload, estimate
from aero_search.errors import RequestError

T = TypeVar("T")

MODEL = "proxy"


def parse_notation(text: str, base: Architecture | str = MODEL) -> Architecture:
    """Read a name in the paper's notation, such as `SM + LN + R` or `EReg(SM(t) + ScFuFFN_i2)`.

    Args:
        text: what `aero_search.notation` writes; see docs/model.md for the terms.
        base: sizes, family and embeddings come from here: an architecture, or the name of an option of the group
            `model`. The default is the commands' own, `proxy` (4 layers, d_model 64, 128 tokens);
            `gpt2_small` is GPT-2's.

    Raises:
        RequestError: a term or the model is unknown, with the nearest one; or no such network can be built.

    Example:
        >>> parse_notation("SM + LN + R", base="gpt2_small").n_layer
        12
    """
    if isinstance(base, str):
        base = compose_request("cost", {"model": base}).architecture
    return validate(data.parse_notation(text, _checked("base", base, Architecture)))


def price(
    architecture: Architecture | str,
    protocol: Protocol | str = "aero_paper",
    network: Network | str = "paper",
    *,
    decode: bool = False,
    workload: Workload | str = "prefill",
    prices: PriceList | str = "aws_internet",
) -> Cost:
    """What one private forward pass costs, without training: the figures of `aero-search cost`.

    Args:
        architecture: or a name in the paper's notation, at the size of the proxy.
        protocol: an option of the group `protocol` or a `Protocol`.
        network: an option of the group `network` or a `Network`.
        decode: price one decoded token with a key-value cache of seq_len entries instead.
        workload: an option of the group `workload` or a `Workload`: what one query is.
        prices: an option of the group `price` or a `PriceList`: of traffic and machines.

    Returns:
        `communication_bytes` (bytes), `rounds` (round trips), `latency_seconds` (seconds), each in total and by
        part of the model, `flops` (2 x MACs), `nonlinear_ops` and `usd` (US dollars).

    Raises:
        RequestError: a name is unknown, with the nearest one; the architecture cannot be built; or the protocol
            does not say how to run one of its operations.

    Example:
        >>> cost = price(parse_notation("SM + LN + G", base="gpt2_small"))
        >>> round(cost.communication_bytes.total / 1e9, 1)
        25.3
    """
    if isinstance(protocol, str):
        protocol = named_protocol(protocol)
    if isinstance(network, str):
        network = named_network(network)
    if isinstance(workload, str):
        workload = named_workload(workload)
    if isinstance(prices, str):
        prices = named_prices(prices)
    return estimate(
        read(architecture),
        _checked("protocol", protocol, Protocol),
        _checked("network", network, Network),
        decode,
        _checked("workload", workload, Workload),
        _checked("prices", prices, PriceList),
    )


def read(architecture: Architecture | str) -> Architecture:
    """An architecture given as one or by its name, checked.

    Raises:
        RequestError: it is neither, or cannot be built.
    """
    if isinstance(architecture, str):
        return parse_notation(architecture)
    return validate(_checked("architecture", architecture, Architecture))


def _checked(field: str, value: object, cls: type[T]) -> T:
    if not isinstance(value, cls):
        raise RequestError(
            f"{field}={value!r} must be a name or an object of aero_search's class {cls.__name__}"
        )
    return value
