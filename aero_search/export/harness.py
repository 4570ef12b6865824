"""A trained network as lm-evaluation-harness asks it. Needs the extra `eval`.

Shapes: n requests, T seq_len, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.api.model import TemplateLM

from aero_search.errors import RequestError
from aero_search.model import Decoder

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def harness_model(decoder: Decoder, tokenizer: Tokenizer, end_of_text: int) -> TemplateLM:
    """The harness's view of a network in evaluation mode."""
    return _Model(decoder, tokenizer, end_of_text)


class _Model(TemplateLM):  # type: ignore[misc] # the harness has no types where it is not installed
    def __init__(self, decoder: Decoder, tokenizer: Tokenizer, end_of_text: int) -> None:
        super().__init__()
        self._decoder = decoder
        self._encoder, self._end, self._length = tokenizer, end_of_text, decoder.architecture.seq_len

    @property
    def eot_token_id(self) -> int:
        return self._end

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        return list(self._encoder.encode(string, add_special_tokens=False).ids)

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        return [self._score(context, answer) for _, context, answer in requests]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Nats of whole texts: each window of T tokens sees those before it in the window."""
        found = []
        for request in requests:
            tokens = [self._end, *self.tok_encode(request.args[0])]
            starts = range(0, len(tokens) - 1, self._length)
            parts = [tokens[start : start + self._length + 1] for start in starts]
            found.append(sum(self._score(part[:1], part[1:])[0] for part in parts))
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Greedy text up to the first stop, at most so many tokens as the task asks for.

        Raises:
            RequestError: a task wants samples.
        """
        return [self._continue(*request.args) for request in requests]

    @torch.no_grad()
    def _score(self, context: list[int], answer: list[int]) -> tuple[float, bool]:
        """Nats of an answer, and whether its tokens are the most likely ones; a long context loses its head."""
        tokens = torch.tensor([(context + answer)[-(self._length + 1) :]])
        logits_tv = self._decoder(tokens[:, :-1])[0].float()
        count = min(len(answer), len(logits_tv))
        targets_t, logits_tv = tokens[0, -count:], logits_tv[-count:]
        nats = logits_tv.log_softmax(-1).gather(1, targets_t[:, None]).sum()
        return float(nats), bool((logits_tv.argmax(-1) == targets_t).all())

    @torch.no_grad()
    def _continue(self, context: str, settings: dict[str, Any]) -> str:
        if settings.get("do_sample") or settings.get("temperature"):
            raise RequestError(
                "a task that draws samples (do_sample, temperature) cannot be run here: name another"
            )
        stops = settings.get("until") or []
        stops = [stops] if isinstance(stops, str) else stops
        tokens, text = [self._end, *self.tok_encode(context)], ""
        start = len(tokens)
        for _ in range(int(settings.get("max_gen_toks", 256))):
            logits_v = self._decoder(torch.tensor([tokens[-self._length :]]))[0, -1]
            tokens.append(int(logits_v.argmax()))
            if tokens[-1] == self._end:
                break
            text = self._encoder.decode(tokens[start:])
            if any(stop in text for stop in stops if stop):
                break
        for stop in filter(None, stops):
            text = text.split(stop)[0]
        return text
