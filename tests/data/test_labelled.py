"""Labelled sets: rows that end in the answer, a split that is stratified and shares no text, and bad files."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aero_search.data import Corpus, CorpusSpec, load_tokenizer, prepare
from aero_search.data.corpus import META, open_tokens
from aero_search.data.datamodule import IGNORED, TokenDataModule, inputs_and_targets
from aero_search.data.labelled import label_tokens, lay_out, select
from aero_search.errors import RequestError
from aero_search.integrity import read_sealed, write_sealed
from aero_search.training.health import Unigram
from aero_search.training.teacher_cache import Told
from aero_search.training.validation import score
from tests.labelled_set import labelled_rows, write_csv, write_jsonl

T, V = 12, 280


@pytest.fixture
def spec(tmp_path: Path) -> CorpusSpec:
    write_csv(tmp_path / "set.csv", labelled_rows(200, {"good": 3, "bad": 1}))
    return CorpusSpec(
        "classification",
        str(tmp_path / "set.csv"),
        text_field="text",
        chunk=T,
        cache_dir=str(tmp_path / "cache"),
    )


@pytest.fixture
def corpus(spec: CorpusSpec) -> Corpus:
    return prepare(spec, V, quiet=True)


def test_a_row_by_hand() -> None:
    row = [0, 0, 7, 8, 0, 3]
    assert lay_out(np.asarray([7, 8], dtype=np.uint16), 5, 0, 3).tolist() == row
    long = np.arange(10, 20, dtype=np.uint16)
    assert lay_out(long, 5, 0, 3).tolist() == [10, 11, 12, 13, 0, 3]


def test_rows_hold_text_question_and_answer(spec: CorpusSpec, corpus: Corpus) -> None:
    tokenizer = load_tokenizer(corpus.tokenizer_path)
    end = tokenizer.token_to_id("<|endoftext|>")
    answers = {token: label for label, token in corpus.labels}
    documents = {(d.split, d.unit, d.text) for d in select(spec)}
    found = set()
    for split, path in (("train", corpus.train_path), ("validation", corpus.validation_path)):
        for row in open_tokens(path).reshape(-1, T + 1).tolist():
            assert row[-2] == end
            text = tokenizer.decode([token for token in row[:-2] if token != end])
            [whole] = [d for d in documents if d[0] == split and d[2].startswith(text) and text]
            assert answers[row[-1]] == whole[1]
            found.add(whole)
    assert found == documents


def test_each_class_is_held_out_by_its_share_and_no_text_twice(spec: CorpusSpec, tmp_path: Path) -> None:
    rows = labelled_rows(200, {"good": 3, "bad": 1})
    write_csv(tmp_path / "set.csv", [*rows, *rows[:60], *((label, f"  {text} ") for label, text in rows)])
    documents = select(spec)
    sides = {side: [d for d in documents if d.split == side] for side in ("train", "validation")}
    assert sorted(d.text for d in documents) == sorted({text for _, text in rows})
    assert Counter(d.unit for d in sides["validation"]) == {"good": 15, "bad": 5}
    assert Counter(d.unit for d in sides["train"]) == {"good": 135, "bad": 45}
    # The order of the rows plays no part, the seed does.
    write_csv(tmp_path / "set.csv", rows[::-1])
    assert set(select(spec)) == set(documents)
    assert set(select(replace(spec, seed=1))) != set(documents)


def test_csv_and_json_lines_are_one_set(spec: CorpusSpec, corpus: Corpus, tmp_path: Path) -> None:
    rows = labelled_rows(200, {"good": 3, "bad": 1})
    write_jsonl(tmp_path / "set.jsonl", rows)
    other = prepare(replace(spec, path=str(tmp_path / "set.jsonl")), V, quiet=True)
    assert other == corpus
    (tmp_path / "set.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "set.csv").read_bytes())
    assert prepare(spec, V, quiet=True) == corpus
    flipped = [({"good": "bad", "bad": "good"}[label], text) for label, text in rows]
    write_csv(tmp_path / "set.csv", flipped)
    assert prepare(spec, V, quiet=True).fingerprint != corpus.fingerprint
    assert prepare(replace(spec, chunk=8), V, quiet=True).fingerprint != corpus.fingerprint


def test_answers_are_words_of_the_tokenizer_where_they_differ() -> None:
    def encode(text: str) -> np.ndarray:
        return np.frombuffer(text.strip().encode(), dtype=np.uint8).astype(np.uint16)

    assert label_tokens(["cat", "dog"], encode, 0, 300) == {"cat": ord("c"), "dog": ord("d")}
    assert label_tokens(["a1", "a2", "b"], encode, 1, 300) == {"a1": 0, "a2": 2, "b": 3}
    with pytest.raises(RequestError, match=r"model.vocab_size=3 is less than the 3 classes"):
        label_tokens(["a1", "a2", "b"], encode, 1, 3)


def test_the_answer_is_the_only_target(corpus: Corpus) -> None:
    data = TokenDataModule(corpus, T, batch_size=4, steps=2, seed=0)
    batch_bt = next(iter(data.train_dataloader()))
    inputs_bt, targets_bt = inputs_and_targets(batch_bt, answers_only=True)
    assert torch.equal(inputs_bt, batch_bt[:, :-1])
    assert (targets_bt[:, :-1] == IGNORED).all()
    assert torch.equal(targets_bt[:, -1], batch_bt[:, -1])

    def says(answer: int) -> torch.nn.Module:
        class Constant(torch.nn.Module):
            def forward(self, tokens_bt: torch.Tensor) -> torch.Tensor:
                logits_btv = torch.zeros(*tokens_bt.shape, V)
                logits_btv[:, -1, answer] = math.log(3.0 * (V - 1))  # three quarters of the mass
                return logits_btv

        return Constant()

    good = dict(corpus.labels)["good"]
    held = list(data.val_dataloader())
    found = sum((score(says(good), b, True) for b in held[1:]), score(says(good), held[0], True))
    assert (found.targets, found.hits) == (20, 15)
    nats = -15 * math.log(0.75) - 5 * math.log(0.25 / (V - 1))
    assert found.nats == pytest.approx(nats, rel=1e-5)


def test_label_frequencies_are_the_baseline(corpus: Corpus) -> None:
    # 135 of 180 with one added to each class: 136/182 and 46/182, over 15 and 5 held out.
    unigram = Unigram.of(corpus)
    assert unigram.accuracy == 0.75
    assert unigram.loss == pytest.approx(-(15 * math.log(136 / 182) + 5 * math.log(46 / 182)) / 20)
    assert unigram.bits_per_byte is None


def test_a_teacher_is_followed_at_the_answer_alone() -> None:
    teacher_btv, student_btv = torch.randn(2, 3, 40), torch.randn(2, 3, 40)
    told = Told.of(teacher_btv, 1.0).last()
    p_bv, q_bv = teacher_btv[:, -1].log_softmax(-1), student_btv[:, -1].log_softmax(-1)
    top = p_bv.topk(32).indices
    rest = [1 - x_bv.exp().gather(-1, top).sum(-1) for x_bv in (p_bv, q_bv)]
    kept = (p_bv.exp() * (p_bv - q_bv)).gather(-1, top).sum(-1)
    expected = (kept + rest[0] * (rest[0] / rest[1]).log()).mean()
    assert told.divergence(student_btv[:, -1:], 1.0) == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("set.csv", b"text,mark\na,b\n", r"line 2 has no 'label': set data.label_field .*\(text, mark\)"),
        ("set.csv", b"body,label\na,b\n", r"line 2 has no 'text': set data.text_field"),
        ("set.csv", b"text,label\na b,x\nc d,x\n", r"has one class, 'x', in all its 2 rows"),
        ("set.csv", b"text,label\na,x\n ,y\n", r"line 3 has an empty 'text'"),
        ("set.csv", b"text,label\na\n", r"line 2 has an empty 'label'"),
        ("set.csv", b"text,label\na,x\nb,x\nc,y\n", r"fewer than two different texts of class 'y'"),
        ("set.csv", b"text,label\na,x\nb,x\na,y\n", r"fewer than two different texts of class 'y'"),
        ("set.csv", b"text,label\n", r"has no rows"),
        ("set.csv", b'text,label\n"a,x\n', r"is not CSV after line 1 \(unexpected end of data\)"),
        ("set.csv", b"text,label\n\xff\xfe,x\n", r"is not UTF-8 text \(byte 11\)"),
        ("set.jsonl", b"", r"has no rows"),
        ("set.jsonl", b'{"text": "a"}\n', r"line 1 has no 'label'"),
        ("set.jsonl", b"\n[1]\n", r"line 2 is not a JSON object"),
        ("set.jsonl", b'{"text": ["a"], "label": 1}\n', r"line 1 has a list as 'text'"),
        ("set.jsonl", b'{"text": "\\ud800", "label": 1}\n', r"lone surrogate"),
        ("set.txt", b"a\n", r"ends in neither .csv nor .jsonl"),
    ],
)
def test_bad_files_are_one_sentence(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    spec = CorpusSpec("classification", str(tmp_path / name), text_field="text", chunk=T)
    with pytest.raises(RequestError, match=said) as problem:
        prepare(replace(spec, cache_dir=str(tmp_path / "cache")), V, quiet=True)
    assert "\n" not in str(problem.value)


def test_a_missing_file_and_too_few_rows(spec: CorpusSpec, corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"does not exist: name a \.csv or \.jsonl file"):
        prepare(replace(spec, path=str(tmp_path / "none.csv")), V, quiet=True)
    with pytest.raises(RequestError, match=r"has 180 texts to train on .* recipe.batch_size=200"):
        TokenDataModule(corpus, T, batch_size=200, steps=1, seed=0)
    # Fewer held out than a batch are no obstacle.
    data = TokenDataModule(corpus, T, batch_size=64, steps=1, seed=0)
    assert [len(batch) for batch in data.val_dataloader()] == [20]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"good": 1.5, "bad": 2}, "not a token for each class"),
        ({"good": 1}, "two classes or more"),
        ({"good": 278, "bad": 279}, "ends in no label"),
    ],
)
def test_labels_that_are_not_those_of_the_tokens(
    labels: dict[str, object], said: str, corpus: Corpus, tmp_path: Path
) -> None:
    meta = read_sealed(corpus.folder / META)
    meta.pop("sha256", None)
    write_sealed(corpus.folder / META, {**meta, "labels": labels})
    with pytest.raises(RequestError, match=said):
        Corpus.open(corpus.folder)


def test_a_field_of_quotes_and_line_ends_is_one_text(tmp_path: Path) -> None:
    with (tmp_path / "set.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "text"])
        rows.writerows([["x", 'a "quoted"\nline'], ["x", "b"], ["y", "c, d"], ["y", "e"]])
    spec = CorpusSpec("classification", str(tmp_path / "set.csv"), text_field="text", chunk=T)
    assert {d.text for d in select(spec)} == {'a "quoted"\nline', "b", "c, d", "e"}
    (tmp_path / "set.jsonl").write_text(
        "\n".join(json.dumps({"text": f"t {i}", "label": i % 2 == 0}) for i in range(8))
    )
    assert {d.unit for d in select(replace(spec, path=str(tmp_path / "set.jsonl")))} == {"True", "False"}
