from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from aero_search.data import load_tokenizer
from aero_search.data import tokenizer as bpe
from aero_search.errors import RequestError

SOURCE = Path(bpe.__file__).read_text() + Path(__file__).read_text()
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return bpe.train_tokenizer([SOURCE], 700)


@given(ANY_TEXT | st.text("abdeft _\n\t 's=().\x85\xa0٣é<|endofx>", max_size=200))
def test_encoders_agree_and_give_the_text_back(text: str) -> None:
    tokenizer = _trained()
    fast = bpe.fast_encoder(tokenizer)(text)
    assert fast.dtype == np.uint16
    assert np.array_equal(fast, bpe.slow_encoder(tokenizer)(text))
    assert tokenizer.decode(fast.tolist(), skip_special_tokens=False) == text


_kept: list[Tokenizer] = []


def _trained() -> Tokenizer:
    if not _kept:
        _kept.append(bpe.train_tokenizer([SOURCE], 700))
    return _kept[0]


def test_encoders_agree_on_source(tokenizer: Tokenizer) -> None:
    text = Path(pytest.__file__).read_text() * 3
    assert np.array_equal(bpe.fast_encoder(tokenizer)(text), bpe.slow_encoder(tokenizer)(text))


def test_training_is_deterministic(tokenizer: Tokenizer) -> None:
    assert bpe.train_tokenizer([SOURCE], 700).to_str() == tokenizer.to_str()


def test_the_spelled_token_stays_text(tokenizer: Tokenizer, tmp_path: Path) -> None:
    end = bpe.end_of_text(tokenizer)
    assert end == 0
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer.to_str())
    for one in (tokenizer, load_tokenizer(path)):
        for encode in (bpe.fast_encoder(one), bpe.slow_encoder(one)):
            assert end not in encode(f"a {bpe.END_OF_TEXT} b")


@pytest.mark.parametrize("vocab_size", [257, 258, 300])
def test_tiny_vocabularies_work(vocab_size: int) -> None:
    tokenizer = bpe.train_tokenizer([SOURCE], vocab_size)
    assert tokenizer.get_vocab_size() == vocab_size
    assert int(bpe.fast_encoder(tokenizer)("Größe 大").max()) < vocab_size


@pytest.mark.parametrize("vocab_size", [256, 0, -1, 65_537])
def test_impossible_vocabularies_are_refused(vocab_size: int) -> None:
    with pytest.raises(RequestError, match=rf"model\.vocab_size={vocab_size} is too"):
        bpe.train_tokenizer([SOURCE], vocab_size)


def test_too_little_text_says_what_can_be_reached() -> None:
    with pytest.raises(RequestError, match=r"model\.vocab_size=60000 .* reaches (\d+)") as caught:
        bpe.train_tokenizer([SOURCE], 60_000)
    reached = int(str(caught.value).split("reaches ")[1].split(",")[0])
    assert bpe.train_tokenizer([SOURCE], reached).get_vocab_size() == reached
    with pytest.raises(RequestError):
        bpe.train_tokenizer([SOURCE], reached + 1)


def test_disagreement_falls_back_to_the_definition(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bpe, "fast_encoder", lambda _: lambda _text: np.zeros(1, np.uint16))
    encode = bpe.encoder(tokenizer, ["some text"])
    assert np.array_equal(encode("other text"), bpe.slow_encoder(tokenizer)("other text"))


@pytest.mark.parametrize("content", [None, "", "{}", "not json"])
def test_unreadable_tokenizer_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RequestError, match="not a readable tokenizer"):
        load_tokenizer(path)
