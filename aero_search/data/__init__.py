"""Text for training and validation: chosen, deduplicated, divided, tokenized and packed, once a machine.

Nothing imported here loads torch; `aero_search.data.datamodule` does.
"""

from aero_search.data.corpus import Corpus
from aero_search.data.preparation import prepare
from aero_search.data.spec import CorpusSpec
from aero_search.data.tokenizer import load_tokenizer

__all__ = ["Corpus", "CorpusSpec", "load_tokenizer", "prepare"]
