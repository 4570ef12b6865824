"""A bundle's tokenizer: the corpus' own `tokenizer.json`, and what transformers needs to read it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from aero_search.data.corpus import Corpus
from aero_search.data.spec import CorpusSpec
from aero_search.data.tokenizer import END_OF_TEXT, load_tokenizer
from aero_search.errors import RequestError
from aero_search.export.layout import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE


def find_corpus(spec: CorpusSpec, fingerprint: str) -> Corpus | None:
    """The packed corpus of a fingerprint, if it is on this machine; nothing is packed or downloaded."""
    folder = Path(spec.path or "") if spec.kind == "tokenized" else spec.cache_folder() / fingerprint
    try:
        corpus = Corpus.open(folder)
    except RequestError:
        return None
    return corpus if corpus.fingerprint == fingerprint else None


def write_tokenizer(corpus: Corpus | None, seq_len: int, folder: Path) -> bool:
    """Copy the corpus' tokenizer into `folder`, with `tokenizer_config.json` for `AutoTokenizer`.

    Returns:
        Whether there is one.
    """
    if corpus is None or not corpus.tokenizer_path.is_file():
        return False
    shutil.copyfile(corpus.tokenizer_path, folder / TOKENIZER_FILE)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": seq_len,
        "clean_up_tokenization_spaces": False,
    }
    if load_tokenizer(corpus.tokenizer_path).token_to_id(END_OF_TEXT) is not None:
        # As GPT-2 has it: one token ends a text, begins the next, and fills what is short.
        config |= dict.fromkeys(("bos_token", "eos_token", "pad_token"), END_OF_TEXT)
    (folder / TOKENIZER_CONFIG_FILE).write_text(json.dumps(config, indent=1) + "\n")
    return True
