"""The text a bundle completes, as MLflow serves it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from aero_search.errors import RequestError
from aero_search.export.complete import complete
from aero_search.export.load import load_bundle
from aero_search.export.serving import Completion


def test_greedy_completion_is_the_likeliest_token_each_time(bundle: Path) -> None:
    opened = load_bundle(bundle)
    model, tokenizer = opened.folded(), opened.tokenizer()
    assert tokenizer is not None
    tokens = tokenizer.encode("12 abcd").ids
    end, expected = tokenizer.token_to_id("<|endoftext|>"), []
    for _ in range(30):  # beyond the context of 16 tokens
        with torch.no_grad():
            token = int(model(torch.tensor([(tokens + expected)[-16:]]))[0, -1].argmax())
        if token == end:
            break
        expected.append(token)
    assert complete(model, tokenizer, "12 abcd", max_new_tokens=30) == tokenizer.decode(expected)


def test_a_table_of_prompts_becomes_a_table_of_completions(bundle: Path) -> None:
    served = Completion(str(bundle))
    prompts = pd.DataFrame({"prompt": ["1", "22 ab", ""]})
    drawn = {"max_new_tokens": 8, "temperature": 1.5, "seed": 7}
    out = served.predict(prompts, drawn)
    assert list(out.columns) == ["completion"]
    assert len(out) == 3
    assert served.predict(prompts, drawn).equals(out)
    assert not served.predict(prompts, {**drawn, "seed": 8}).equals(out)


@pytest.mark.parametrize(
    ("name", "value"), [("max_new_tokens", 0), ("max_new_tokens", 10**9), ("temperature", -1)]
)
def test_numbers_outside_their_range_are_refused(name: str, value: int, bundle: Path) -> None:
    with pytest.raises(RequestError, match=name):
        Completion(str(bundle)).predict(pd.DataFrame({"prompt": ["1"]}), {name: value})
