"""What an architecture costs, without training: operations, FLOPs, and the price of private inference.

One list of secret operations (`inventory`) gives FLOPs, the counts of AERO's tables, and, with a `Protocol`
and a `Network`, bytes, round trips and seconds. Pure Python and NumPy.
"""

from aero_search.cost.batch import Pricer, Prices, price_batch
from aero_search.cost.calibrate import Calibration, calibrate_published
from aero_search.cost.document import cost_document, published_document, systems_document
from aero_search.cost.estimate import CommunicationBytes, Cost, LatencySeconds, Money, estimate
from aero_search.cost.fit_systems import fit_system
from aero_search.cost.flops import Flops, NonlinearOp, flops, nonlinear_operations
from aero_search.cost.inventory import PARTS, Operation, inventory
from aero_search.cost.lowerings import NO_LOWERINGS, Lowerings
from aero_search.cost.money import LIST_PRICES, PriceList
from aero_search.cost.network import Network
from aero_search.cost.protocol import Protocol
from aero_search.cost.protocol_file import shipped_protocol
from aero_search.cost.published import (
    Comparison,
    Difference,
    PublishedRow,
    compare_published,
    published_architecture,
    published_differences,
    published_rows,
)
from aero_search.cost.systems import SystemComparison, compare_system, systems
from aero_search.cost.trust import TRUST, crossing
from aero_search.cost.whatif import Change, single_changes
from aero_search.cost.workload import PREFILL, Workload

__all__ = [
    "LIST_PRICES",
    "NO_LOWERINGS",
    "PARTS",
    "PREFILL",
    "TRUST",
    "Calibration",
    "Change",
    "CommunicationBytes",
    "Comparison",
    "Cost",
    "Difference",
    "Flops",
    "LatencySeconds",
    "Lowerings",
    "Money",
    "Network",
    "NonlinearOp",
    "Operation",
    "PriceList",
    "Pricer",
    "Prices",
    "Protocol",
    "PublishedRow",
    "SystemComparison",
    "Workload",
    "calibrate_published",
    "compare_published",
    "compare_system",
    "cost_document",
    "crossing",
    "estimate",
    "fit_system",
    "flops",
    "inventory",
    "nonlinear_operations",
    "price_batch",
    "published_architecture",
    "published_differences",
    "published_document",
    "published_rows",
    "shipped_protocol",
    "single_changes",
    "systems",
    "systems_document",
]
