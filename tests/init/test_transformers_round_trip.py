"""A network that transformers trained: searched over, exported back, and read by transformers again."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from aero_search.cli import main
from aero_search.data import Corpus, CorpusSpec, prepare
from aero_search.data.corpus import open_tokens
from aero_search.init.checkpoint import open_checkpoint
from aero_search.training.result import read_result

pytestmark = pytest.mark.slow
T, V, END = 16, 300, 0


def trained(folder: Path, corpus: Corpus, kind: str) -> None:
    """Save a small network after some steps of transformers' Trainer; without accelerate, of a bare loop."""
    import transformers

    if kind == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=V, n_embd=16, n_layer=2, n_head=2, n_positions=T, bos_token_id=END, eos_token_id=END
        )
        model = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.LlamaConfig(
            vocab_size=V,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=T,
            bos_token_id=END,
            eos_token_id=END,
        )
        model = transformers.LlamaForCausalLM(config)
    tokens = torch.from_numpy(open_tokens(corpus.train_path)[: 400 * T].astype("int64")).reshape(-1, T)
    rows = [{"input_ids": row, "labels": row} for row in tokens]
    if find_spec("accelerate") is not None:
        said = transformers.TrainingArguments(
            output_dir=str(folder / "log"),
            max_steps=60,
            per_device_train_batch_size=16,
            learning_rate=1e-2,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        transformers.Trainer(model=model, args=said, train_dataset=rows).train()
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for step in range(60):
            batch_bt = tokens[(torch.arange(16) + 16 * step) % len(tokens)]
            optimizer.zero_grad()
            model(input_ids=batch_bt, labels=batch_bt).loss.backward()
            optimizer.step()
    model.save_pretrained(folder / "theirs")
    (folder / "theirs/tokenizer.json").write_text(corpus.tokenizer_path.read_text())


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_network_of_transformers_is_searched_and_goes_back(
    kind: str,
    text_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    torch.manual_seed(0)
    trained(tmp_path, prepare(CorpusSpec("text_folder", path=str(text_folder)), V, quiet=True), kind)
    Path("space.yaml").write_text(
        "description: t\nparameters:\n  activation: {choices: [silu, relu, gelu]}\n"
    )
    said = ["data=text_folder", f"data.path={text_folder}", "recipe.steps=6", "recipe.validate_every=3"]
    said += ["recipe.batch_size=8", "recipe.validation_sequences=16", "tracking=none", "space=space.yaml"]
    said += ["study.name=one", "search.workers=1", "search.n_trials=2", "search/sampler=random"]
    said += ["search/rungs=none", "init.from=theirs"]
    assert main(["search", *said]) == 0
    theirs = open_checkpoint(Path("theirs"), "")
    capsys.readouterr()
    assert main(["front", "study=one", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    entries = document["front"] + document["dominated"]
    assert len(entries) == 2
    for entry in entries:
        result = read_result(Path(entry["folder"]))
        assert result.teacher is not None
        assert result.teacher.fingerprint == theirs.fingerprint
        # Six steps from random weights stay at the unigram perplexity.
        assert result.perplexity is not None
        assert result.perplexity < 0.6 * result.unigram_perplexity
    assert main(["export", "study=one", "pick=best", "kind=hf", "to=back"]) == 0
    model = AutoModelForCausalLM.from_pretrained("back", trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained("back")
    given = tokenizer("12 ", return_tensors="pt")["input_ids"]
    out = model.generate(given, max_new_tokens=6, do_sample=False)
    assert given.shape[1] < out.shape[1] <= given.shape[1] + 6
    # What transformers reads is what was trained.
    assert main(["export", "study=one", "pick=best", "to=bundle"]) == 0
    from aero_search import load_bundle

    ours = load_bundle(Path("bundle")).module()
    tokens_bt = torch.randint(V, (2, T), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        apart = (model(tokens_bt).logits - ours(tokens_bt)).abs().max()
    assert float(apart) < 1e-4
