"""Which packed corpus each candidate of a study is trained on: what its own request asks for, or a refusal.

A sweep and a space may vary whatever the preparation of a corpus depends on. A plain sweep knows all its points, so
every corpus is prepared before the first training. A search compares perplexities, which only one corpus allows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from aero_search.config.checkpoint import tokenizer_of
from aero_search.config.request import Request
from aero_search.data import Corpus, CorpusSpec, prepare
from aero_search.data.tokenizer import GivenTokenizer
from aero_search.data.windows import check_long_enough
from aero_search.errors import RequestError
from aero_search.init.checkpoint import same_tokenizer
from aero_search.invocation import typed
from aero_search.schema import to_mapping
from aero_search.space import Assignment, Categorical, Parameter, Space

Corpora = Mapping[str, Corpus]
# Groups whose options may bring other text or another vocabulary.
_GROUPS = ("model", "data", "architecture")


class OtherCorpusError(RequestError):
    """A candidate needs a corpus that its study does not have."""


def corpus_key(request: Request) -> str:
    """What a corpus is prepared from, as text."""
    said = [to_mapping(_data(request)), request.architecture.vocab_size]
    if request.checkpoint is not None:
        said.append(request.checkpoint.fingerprint)
    return json.dumps(said, sort_keys=True)


def _data(request: Request) -> CorpusSpec:
    """The text of a request, labelled texts at the length of its model."""
    return request.data.cut_for(request.architecture.seq_len)


def prepared(request: Request) -> Corpus:
    """The packed corpus of a request; with `init.from`, in the tokens of the checkpoint.

    Text that the checkpoint was trained on keeps its corpus, and so perplexities compare; other text is packed with
    the checkpoint's tokenizer.

    Raises:
        RequestError: it cannot be prepared, or has other tokens than the checkpoint.
    """
    data, vocab_size, checkpoint = _data(request), request.architecture.vocab_size, request.checkpoint
    if checkpoint is None:
        return prepare(data, vocab_size)
    about = f"init.from={checkpoint.source}"
    tokenizer = tokenizer_of(checkpoint, data)
    if data.kind == "tokenized":
        corpus = prepare(data, vocab_size)
        theirs = corpus.tokenizer_path
        other = tokenizer is not None and theirs.is_file() and not same_tokenizer(tokenizer, theirs)
        if other and corpus.fingerprint != checkpoint.corpus:
            raise RequestError(
                f"{about} has another tokenizer than data.path={data.path}: pack the text with its own"
            )
        return corpus
    if data.tokenizer is not None and checkpoint.tokenizer is not None:
        raise RequestError(
            f"{about} brings its tokenizer, so data.tokenizer={data.tokenizer} must be left out"
        )
    if checkpoint.corpus and data.tokenizer is None:
        with suppress(RequestError):  # text too short for a tokenizer of its own may do for the checkpoint's
            corpus = prepare(data, vocab_size)
            if corpus.fingerprint == checkpoint.corpus:
                return corpus
    if tokenizer is None:
        raise RequestError(
            f"{about} has no tokenizer.json, without which other text cannot be put into its tokens: add the file, "
            "or pack the text yourself and give data=tokenized"
        )
    end = checkpoint.read.end_of_text if checkpoint.read is not None else None
    return prepare(data, vocab_size, given=GivenTokenizer(tokenizer, end, about))


def prepare_corpus(request: Request) -> Corpora:
    """The one corpus of a study."""
    return {corpus_key(request): prepared(request)}


def prepare_each(
    space: Space, points: Sequence[Assignment], read: Callable[[Sequence[str]], Request]
) -> Corpora:
    """The corpora of every point of a plain sweep.

    Args:
        read: from a point's overrides to its request.

    Raises:
        RequestError: one of them cannot be prepared.
    """
    # A field such as data.chunk may be an interpolation of a size; an option of any group may bring anything.
    deciding = {p.name for p in space.parameters if "." not in p.name or p.name.partition(".")[0] in _GROUPS}
    distinct = {json.dumps({k: v for k, v in p.items() if k in deciding}, sort_keys=True): p for p in points}
    found: dict[str, Corpus] = {}
    for point in distinct.values():
        request = read(space.overrides(point))
        try:
            key = corpus_key(request)
        except RequestError:
            continue  # cannot be built: told when it is its turn, beside those that can
        if key not in found:
            found[key] = prepared(request)
    if not found:
        raise RequestError("no point of this sweep can be built: leave the sweep out to see why")
    return found


def corpus_of(request: Request, corpora: Corpora) -> Corpus:
    """The corpus of a candidate among those of its study.

    Raises:
        OtherCorpusError: it needs another one.
        RequestError: it is too short for the candidate's batches, or cut for another length.
    """
    corpus = corpora.get(corpus_key(request))
    if corpus is None and request.data.kind == "tokenized":
        # Its tokens are what they are, for every vocabulary that they fit into.
        opened = prepared(request)
        corpus = opened if opened.fingerprint in {c.fingerprint for c in corpora.values()} else None
    if corpus is None:
        raise OtherCorpusError(
            f"model.vocab_size={request.architecture.vocab_size} and data.kind={request.data.kind} with its fields "
            "need another corpus than the study has: perplexities over other tokens do not compare"
        )
    recipe = request.recipe
    check_long_enough(corpus, request.architecture.seq_len, recipe.batch_size, recipe.validation_sequences)
    return corpus


def check_one_corpus(space: Space, request: Request) -> None:
    """Refuse a search over what makes perplexities incomparable, before anything is prepared.

    Raises:
        RequestError: names the parameter.
    """
    for parameter in space.parameters:
        varies = not (isinstance(parameter, Categorical) and len(parameter.choices) == 1)
        cut = parameter.name == "model.seq_len" and request.data.kind == "classification"
        if varies and (cut or _decides(parameter)) and parameter.name != "model":
            if parameter.name == "model.vocab_size" and request.data.kind == "tokenized":
                continue
            raise _varies(parameter.name, space.name)


def check_choices(space: Space, compose: Callable[[Sequence[str]], object]) -> None:
    """Refuse a search that may choose an option with another corpus.

    Args:
        compose: raises `OtherCorpusError` for a candidate that needs one.

    Raises:
        RequestError: names the parameter.
    """
    for parameter in _categorical(space.parameters):
        for choice in parameter.choices:
            try:
                compose([f"{parameter.override}={choice}"])
            except OtherCorpusError as problem:
                raise _varies(f"{parameter.name}={choice}", space.name) from problem
            except RequestError:
                continue  # impossible for another reason, which is told when it is proposed


def _categorical(parameters: Iterable[Parameter]) -> list[Categorical]:
    return [p for p in parameters if isinstance(p, Categorical) and _decides(p)]


def _decides(parameter: Parameter) -> bool:
    """Whether the preparation of a corpus may depend on a parameter."""
    name = parameter.name
    return name in (*_GROUPS, "model.vocab_size") or name.startswith(("data.", "architecture."))


def _varies(what: str, space: str) -> RequestError:
    return RequestError(
        f"space={space} varies {what}, which needs a corpus of its own: perplexities over other tokens do not "
        f"compare, so fix it, or train each with `{typed('train --multirun')}`"
    )
