"""What a bundle consists of: the names of its files, and how large each may be."""

from __future__ import annotations

from aero_search.data.corpus import TOKENIZER
from aero_search.search.files import ARCHITECTURE_FILE, CONFIG_FILE
from aero_search.training.result import WEIGHTS_FILE

MANIFEST_FILE = "manifest.json"
METRICS_FILE = "metrics.json"
PROVENANCE_FILE = "provenance.json"
CARD_FILE = "README.md"
FOLDED_FILE = "folded.safetensors"
TARGET_FILE = "target_architecture.yaml"
PROTOCOL_FILE = "protocol.yaml"
NETWORK_FILE = "network.yaml"
TOKENIZER_FILE = TOKENIZER
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"

TEXT_BYTES = 4_000_000
TOKENIZER_BYTES = 64_000_000
WEIGHT_BYTES = 64_000_000_000
# name: the most bytes it may have; a larger one is refused before it is read.
LARGEST = {
    ARCHITECTURE_FILE: TEXT_BYTES,
    CONFIG_FILE: TEXT_BYTES,
    WEIGHTS_FILE: WEIGHT_BYTES,
    FOLDED_FILE: WEIGHT_BYTES,
    METRICS_FILE: TEXT_BYTES,
    PROVENANCE_FILE: TEXT_BYTES,
    PROTOCOL_FILE: TEXT_BYTES,
    NETWORK_FILE: TEXT_BYTES,
    CARD_FILE: TEXT_BYTES,
    TARGET_FILE: TEXT_BYTES,
    TOKENIZER_FILE: TOKENIZER_BYTES,
    TOKENIZER_CONFIG_FILE: TEXT_BYTES,
}
OPTIONAL = (TARGET_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE)
REQUIRED = tuple(name for name in LARGEST if name not in OPTIONAL)

__all__ = [
    "ARCHITECTURE_FILE",
    "CARD_FILE",
    "CONFIG_FILE",
    "FOLDED_FILE",
    "LARGEST",
    "MANIFEST_FILE",
    "METRICS_FILE",
    "NETWORK_FILE",
    "OPTIONAL",
    "PROTOCOL_FILE",
    "PROVENANCE_FILE",
    "REQUIRED",
    "TARGET_FILE",
    "TOKENIZER_CONFIG_FILE",
    "TOKENIZER_FILE",
    "WEIGHTS_FILE",
]
