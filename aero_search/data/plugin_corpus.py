"""Text that a plug-in brings: an entry point of `aero_search.corpora` names a function of a split and options.

The function is called with `train` or `validation` and the options of `data.options`, and returns texts. What makes
it return other texts belongs into the options or into the package's version: a corpus is packed once for each.
"""

from __future__ import annotations

from collections.abc import Iterator

from aero_search.data.files import Document, Split
from aero_search.data.spec import CORPORA, MB, CorpusSpec
from aero_search.plugins import Entry


def plugin(spec: CorpusSpec) -> Entry | None:
    """The plug-in whose corpus is asked for; None where it is one of ours."""
    return CORPORA.entry(spec.kind)


def stream(spec: CorpusSpec, split: Split) -> Iterator[Document]:
    """The texts of one side, in the plug-in's order, up to its cap in MB.

    Raises:
        AeroSearchError: the plug-in fails, or returns something else than texts.
    """
    entry = plugin(spec)
    assert entry is not None
    room = round((spec.train_mb if split == "train" else spec.validation_mb) * MB)
    texts = iter(entry.call(split, spec.options))
    for index in range(room):
        try:
            text = next(texts, None)
        except Exception as problem:  # a stranger's generator may raise anything
            raise entry.fault(f"{type(problem).__name__}: {problem}") from problem
        if text is None:
            return
        if not isinstance(text, str):
            raise entry.fault(f"it returns a {type(text).__name__} where a text is needed")
        document = Document(f"{split}/{index:09d}", spec.kind, split, text)
        room -= document.size
        if room < 0:
            return
        yield document
