"""Text that a model goes on with, token by token, from its last seq_len tokens; no cache, one prompt at a time."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer
from torch import Tensor

from aero_search.data.tokenizer import END_OF_TEXT
from aero_search.errors import RequestError
from aero_search.model import Decoder

LONGEST = 4096


@torch.no_grad()
def complete(
    model: Decoder,
    tokenizer: Tokenizer,
    prompt: str,
    max_new_tokens: int = 32,
    temperature: float = 0.0,
    seed: int = 0,
) -> str:
    """The text after `prompt`, up to an end-of-text token.

    Args:
        model: in evaluation mode.
        temperature: 0 takes the likeliest token; above it, tokens are drawn from softmax(logits / temperature).
        seed: of the draws.

    Raises:
        RequestError: a number outside its range, or an empty prompt where the tokenizer has no end-of-text token.
    """
    if not 1 <= max_new_tokens <= LONGEST:
        raise RequestError(f"max_new_tokens={max_new_tokens} must lie between 1 and {LONGEST}")
    if temperature < 0:
        raise RequestError(f"temperature={temperature:g} must be 0 or above")
    end = tokenizer.token_to_id(END_OF_TEXT)
    tokens: list[int] = tokenizer.encode(prompt, add_special_tokens=False).ids
    if not tokens:
        if end is None:
            raise RequestError("an empty prompt has no token to begin with: give some text")
        tokens = [end]
    generator = torch.Generator().manual_seed(seed)
    new: list[int] = []
    for _ in range(max_new_tokens):
        window_bt = torch.tensor([(tokens + new)[-model.architecture.seq_len :]])
        token = _next(model(window_bt)[0, -1], temperature, generator)
        if token == end:
            break
        new.append(token)
    text: str = tokenizer.decode(new)
    return text


def _next(logits_v: Tensor, temperature: float, generator: torch.Generator) -> int:
    if temperature == 0:
        return int(logits_v.argmax())
    return int(torch.multinomial(torch.softmax(logits_v / temperature, dim=-1), 1, generator=generator))
