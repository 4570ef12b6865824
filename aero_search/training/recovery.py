"""A training that starts from a checkpoint: its weights carried over, and what is trained of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aero_search.data.corpus import Corpus
from aero_search.data.datamodule import TokenFile
from aero_search.data.windows import TrainWindows
from aero_search.errors import AeroSearchError, RequestError
from aero_search.init.carry import SAMPLE_TOKENS, Carried, carry
from aero_search.init.recovery import Recovery, TrainSpec
from aero_search.model import Decoder
from aero_search.model.running_norms import RunningNorm
from aero_search.training.adapters import add_adapters

# Of the order of the text that the carried weights are fitted on; no training's, so that all start from the same.
_SEED = 20_261


def start(decoder: Decoder, recovery: Recovery, corpus: Corpus) -> Carried:
    """Carry the checkpoint's weights into a fresh decoder, with some of the training text.

    Raises:
        RequestError: the checkpoint's files do not fit, or have changed since the request was made.
    """
    checkpoint = recovery.checkpoint
    length = min(decoder.architecture.seq_len, checkpoint.architecture.seq_len)
    training = decoder.training
    try:
        carried = carry(checkpoint.model(), decoder, sample(corpus, decoder.architecture.seq_len)[:, :length])
    except AeroSearchError as problem:
        raise RequestError(f"init.from={checkpoint.source}: {problem}") from problem
    decoder.train(training)
    return carried


def sample(corpus: Corpus, seq_len: int) -> Tensor:
    """Windows of the training text, (B, seq_len) with some `SAMPLE_TOKENS` tokens; the same every time."""
    count = max(1, SAMPLE_TOKENS // seq_len)
    windows = TrainWindows(corpus.train_tokens, seq_len, count, _SEED, corpus.chunk is not None)
    return TokenFile(corpus.train_path).windows(windows.starts(0), seq_len)[:, :-1]


def limit(decoder: Decoder, train: TrainSpec, seed: int) -> None:
    """Leave as they are the weights that are not to be trained.

    Those of public layers and the embeddings in front of them, in every scope; all but `all` leave the matrices
    of the other layers and the embeddings. A head is trained by `norms_and_heads` alone, and the token embedding
    with it where that is the head.

    Args:
        seed: of the adapters.

    Raises:
        RequestError: as of `add_adapters`.
    """
    if train.scope != "all":
        _limit_scope(decoder, train, seed)
    if public := decoder.architecture.public_layers:
        kept = [decoder.token_embedding, decoder.position_embedding, *decoder.decoder_layers()[:public]]
        for module in (inner for part in kept if part is not None for inner in part.modules()):
            module.requires_grad_(False)
            if isinstance(module, RunningNorm):
                module.frozen = True


def _limit_scope(decoder: Decoder, train: TrainSpec, seed: int) -> None:
    head = None
    if train.scope == "norms_and_heads":
        head = decoder.token_embedding if decoder.head is None else decoder.head
    frozen: set[int] = set()
    for module in decoder.modules():
        if isinstance(module, nn.Linear | nn.Embedding) and module is not head:
            frozen |= {id(p) for p in module.parameters() if p.ndim > 1}
    for parameter in decoder.parameters():
        parameter.requires_grad_(id(parameter) not in frozen and torch.is_floating_point(parameter))
    if train.scope == "adapters":
        add_adapters(decoder, train.rank, seed)
