"""Two datasets of the Hugging Face hub, read once; needs a connection and the extra `hf`.

Rows keep the split their authors gave them and are not deduplicated again. A dataset is named as `datasets`
names it, so a local folder of JSON or Parquet files will do, without a connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from aero_search.data.files import Document, Split
from aero_search.data.spec import MB, CorpusSpec
from aero_search.errors import RequestError
from aero_search.invocation import install

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Rows that a streamed shuffle holds in memory. The authors of AERO shuffle the whole of both datasets with seed 0:
# data.stream=false.
_SHUFFLE_BUFFER = 10_000


def stream(spec: CorpusSpec, split: Split) -> Iterator[Document]:
    """The rows of one side, up to its cap in rows and in MB, in a seeded order (streamed validation: as they come).

    Raises:
        RequestError: `datasets` is not installed, the dataset cannot be reached, or it lacks the text field.
    """
    train = split == "train"
    field = f"data.{split}_dataset"
    name = spec.train_dataset if train else spec.validation_dataset
    rows = spec.train_rows if train else spec.validation_rows
    room = round((spec.train_mb if train else spec.validation_mb) * MB)
    try:
        datasets = import_module("datasets")  # optional, so unknown to a type checker without it
    except ImportError:
        raise RequestError(
            f"data.kind=huggingface needs the package datasets: {install('hf')}, or set "
            "data=python_source, which needs no download"
        ) from None
    try:
        part = spec.train_split if train else spec.validation_split
        dataset = datasets.load_dataset(name, split=part, streaming=spec.stream)
        if not spec.stream:
            dataset = dataset.shuffle(seed=spec.seed)
            dataset = dataset.select(range(len(dataset) if rows is None else min(rows, len(dataset))))
        else:
            if train:
                dataset = dataset.shuffle(seed=spec.seed, buffer_size=_SHUFFLE_BUFFER)
            dataset = dataset if rows is None else dataset.take(rows)
        for index, row in enumerate(dataset):
            text = row[spec.text_field]
            if not isinstance(text, str):
                raise KeyError(spec.text_field)
            document = Document(f"{split}/{index:09d}", str(name), split, text)
            room -= document.size
            if room < 0:
                return
            yield document
    except KeyError:
        raise RequestError(
            f"data.text_field={spec.text_field} is no text in the rows of {field}={name}: "
            "name the field of the text"
        ) from None
    except Exception as problem:  # the library raises a different one for each way to be offline or misspelt
        raise RequestError(
            f"{field}={name} could not be read ({type(problem).__name__}): check the name and the "
            "connection, or set data=python_source, which needs no download"
        ) from problem


def hub_tokenizer(name: str, vocab_size: int) -> Tokenizer:
    """A tokenizer from the hub.

    Raises:
        RequestError: it cannot be reached, or has more tokens than the model.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_pretrained(name)
    except Exception as problem:  # as above
        raise RequestError(
            f"data.tokenizer={name} could not be read ({type(problem).__name__}): check the name and the "
            "connection, or set data.tokenizer=null to train one"
        ) from problem
    tokenizer.encode_special_tokens = True
    size = tokenizer.get_vocab_size()
    if size > vocab_size:
        raise RequestError(
            f"model.vocab_size={vocab_size} is below the {size} tokens of data.tokenizer={name}: set "
            f"model.vocab_size={size}, or data.tokenizer=null to train one of {vocab_size}"
        )
    return tokenizer
