"""Recovery as a training: from a checkpoint by every name, with its own identity, cached logits and export."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from aero_search.api.training import train_request
from aero_search.architecture import Stabilizer
from aero_search.cli import main
from aero_search.config.compose import compose_request
from aero_search.data import Corpus, CorpusSpec, prepare
from aero_search.data.datamodule import TokenDataModule
from aero_search.errors import RequestError
from aero_search.init.checkpoint import open_checkpoint
from aero_search.init.recovery import DistillSpec, Recovery, TrainSpec
from aero_search.model import Decoder, build_model
from aero_search.search.candidate import make_candidate
from aero_search.training import teacher_cache
from aero_search.training.adapters import merge_adapters
from aero_search.training.recovery import limit
from aero_search.training.result import read_result
from aero_search.training.run import train
from aero_search.training.teacher_cache import BLOCK, TeacherCache, Told
from tests.search.fakes import RECIPE

SHORT = ["recipe.steps=6", "recipe.validate_every=3", "tracking=none"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Path:
    """A folder with a trained candidate in outputs/train, and its name in `teacher`."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", *tiny, "recipe.steps=40", "tracking=none"]) == 0
    [trained] = (folder / "outputs/train").iterdir()
    shutil.copytree(trained, folder / "teacher")
    shutil.rmtree(folder / "outputs")
    return folder


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return home


def rest(tiny: list[str]) -> list[str]:
    """What is said of text and recipe; the network is the checkpoint's."""
    return [override for override in tiny if not override.startswith("model.")]


def only(folder: Path) -> Path:
    [found] = folder.iterdir()
    return found


def test_a_training_takes_network_and_tokens_from_its_checkpoint(
    here: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_result(here / "teacher")
    assert main(["train", *rest(tiny), *SHORT, f"init.from={here}/teacher"]) == 0
    result = read_result(only(Path("outputs/train")))
    assert (result.key, result.fingerprint) == (before.key, before.fingerprint)
    assert result.teacher is not None
    assert result.teacher.fingerprint == open_checkpoint(here / "teacher", "").fingerprint
    assert before.perplexity is not None
    assert result.perplexity is not None
    # It goes on from there: six steps from random weights would not leave the unigram perplexity.
    assert result.perplexity < 1.1 * before.perplexity < result.unigram_perplexity
    capsys.readouterr()
    # The configuration beside it is the same training.
    again = only(Path("outputs/train"))
    assert main(["train", "--config-dir", str(again), "--config-name", "candidate"]) == 0
    assert "already trained" in capsys.readouterr().out


def test_what_is_said_of_the_network_is_changed_in_it(here: Path, tiny: list[str]) -> None:
    said = [
        *rest(tiny),
        *SHORT,
        f"init.from={here}/teacher",
        "norm=none",
        "ffn.layers=1",
        "distill.weight=0.5",
    ]
    assert main(["train", *said]) == 0
    result = read_result(only(Path("outputs/train")))
    assert result.notation.startswith("SM + G")
    assert result.teacher is not None
    assert result.teacher.distilled == 0.5
    # One block of logits serves all six steps.
    assert len(list(Path("outputs/teachers").glob("*/*.safetensors"))) == 1


def test_another_seed_is_another_order_where_the_weights_are_given(here: Path, tiny: list[str]) -> None:
    said = [*rest(tiny), *SHORT, f"init.from={here}/teacher", "distill.weight=0.5"]
    found = [train_request(compose_request("train", {}, [*said, f"recipe.seed={seed}"])) for seed in (0, 1)]
    first, second = (done.result for done in found)
    assert first.perplexity != second.perplexity
    # The logits of another order are others; the first seed's order is that of before, `recipe.data_seed`.
    assert len(list(Path("outputs/teachers").iterdir())) == 2
    again = train_request(compose_request("train", {}, [*said, "recipe.data_seed=1"])).result
    assert again.perplexity == second.perplexity
    assert "order" not in Recovery(open_checkpoint(here / "teacher", "")).identifying(0)


@pytest.mark.slow
def test_a_search_from_a_trial_of_another_is_resumed_priced_and_exported(
    here: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("space.yaml").write_text(
        "description: test\nparameters:\n  norm: {choices: [layernorm, none]}\n"
        "  distill.weight: {choices: [0.0, 0.5]}\n"
    )
    said = [*rest(tiny), *SHORT, "space=space.yaml", "search.workers=1", "search/sampler=random"]
    from_folder = [*said, "study.name=one", f"init.from={here}/teacher"]
    assert main(["search", *from_folder, "search.n_trials=2"]) == 0
    one = {path.name for path in Path("outputs/studies/one/candidates").iterdir()}
    assert main(["search", *from_folder, "search.n_trials=3"]) == 0
    more = {path.name for path in Path("outputs/studies/one/candidates").iterdir()}
    assert one < more
    assert len(more) == 3
    assert main(["search", *tiny, *said, "study.name=one", "search.n_trials=3"]) == 2
    assert "init.from=" in capsys.readouterr().err
    # A trial of it is the next one's start, by its number.
    assert main(["train", *rest(tiny), *SHORT, "init.from=one:0"]) == 0
    assert main(["front", "study=one", "network=wan", "format=json"]) == 0
    capsys.readouterr()
    assert main(["export", "study=one", "pick=trial:0", "to=bundle"]) == 0
    assert "teacher" in Path("bundle/README.md").read_text()
    assert main(["verify", "bundle"]) == 0
    assert main(["train", *rest(tiny), *SHORT, "init.from=bundle", "recipe.seed=3"]) == 0


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (["init.from=/nowhere/at/all"], "init.from=/nowhere/at/all: there is no such folder"),
        (["init.from=nostudy:3"], "init.from=nostudy:3: study=nostudy does not exist"),
        (["init.from=EMPTY"], "neither architecture.yaml"),
        (["init.from=PICKLE"], "pytorch_model.bin is a pickle"),
        (["init.from=TEACHER", "model.d_model=32"], "model.d_model=32 cannot be carried over from 16"),
        (["init.from=TEACHER", "model=gpt2_small"], "model.d_model=768"),
        (["distill.weight=0.5"], "distill.weight=0.5 needs a trained network: give init.from"),
        (["train.scope=norms_and_heads"], "init.from"),
        (
            ["init.from=TEACHER", "train.scope=adapters", "train.rank=0"],
            "train.rank=0 must lie between 1 and 4096",
        ),
        (["init.from=TEACHER", "train.scope=lora"], "train.scope"),
        (["init.from=TEACHER", "distill.weight=2"], "distill.weight=2 must lie between 0 and 1"),
        (["init.from=DAMAGED"], "does not match the checksum"),
        (["init.from=TEACHER", "data=tokenized", "data.path=OTHER"], "has another tokenizer than data.path"),
    ],
)
def test_what_cannot_be_started_from_is_one_sentence(
    said: list[str], wrong: str, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickle").mkdir()
    (tmp_path / "pickle/pytorch_model.bin").write_bytes(b"\x80\x02")
    (tmp_path / "pickle/config.json").write_text(
        '{"model_type": "gpt2", "n_embd": 16, "n_head": 2, "n_layer": 2, "n_positions": 16, "vocab_size": 300}'
    )
    shutil.copytree(here / "teacher", tmp_path / "damaged")
    weights = bytearray((tmp_path / "damaged/weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "damaged/weights.safetensors").write_bytes(bytes(weights))
    if any("OTHER" in override for override in said):
        (tmp_path / "text").mkdir()
        for i in range(4):
            (tmp_path / f"text/{i}.txt").write_text(
                "".join(f"zebra {i * j} quagga {j}\n" for j in range(900))
            )
        other = prepare(CorpusSpec("text_folder", path=str(tmp_path / "text")), 300, quiet=True)
        shutil.copytree(other.folder, tmp_path / "other")
    places = {name.upper(): str(tmp_path / name) for name in ("empty", "pickle", "damaged", "other")}
    places["TEACHER"] = str(here / "teacher")
    for name, place in places.items():
        said = [override.replace(name, place) for override in said]
    assert main(["train", *said]) == 2
    told = capsys.readouterr().err
    assert wrong in told
    assert len(told.strip().splitlines()) == 1
    assert not Path("outputs").exists()


def test_identity_has_the_teacher_and_what_follows_from_it(home: Path) -> None:
    checkpoint = open_checkpoint(home / "teacher", "")
    a = checkpoint.architecture
    plain = make_candidate(a, RECIPE, "f" * 32)
    recoveries = [
        Recovery(checkpoint),
        Recovery(checkpoint, DistillSpec(0.5)),
        Recovery(checkpoint, DistillSpec(0.5, 2.0)),
        Recovery(checkpoint, train=TrainSpec("norms_and_heads")),
        Recovery(checkpoint, train=TrainSpec("adapters")),
        Recovery(checkpoint, train=TrainSpec("adapters", 4)),
    ]
    found = {make_candidate(a, RECIPE, "f" * 32, recovery=r).identity for r in recoveries}
    assert len(found | {plain.identity}) == 7
    elsewhere = replace(recoveries[1], cache=Path("/other"))
    assert make_candidate(a, RECIPE, "f" * 32, recovery=elsewhere).identity in found


@pytest.fixture(scope="module")
def corpus(text_folder: Path) -> Corpus:
    return prepare(CorpusSpec("text_folder", path=str(text_folder)), 300, quiet=True)


def cache(root: Path, corpus: Corpus, home: Path, loads: list[int], temperature: float = 1.0) -> TeacherCache:
    checkpoint = open_checkpoint(home / "teacher", "")

    def load() -> Decoder:
        loads.append(1)
        return checkpoint.model()

    return TeacherCache(root, checkpoint.fingerprint, load, corpus, 16, 4, 0, temperature)


def test_four_workers_compute_a_block_once_and_a_damaged_one_again(
    home: Path, tmp_path: Path, corpus: Corpus, capfd: pytest.CaptureFixture[str]
) -> None:
    loads: list[int] = []
    told: list[Told] = []
    workers = [
        threading.Thread(target=lambda: told.append(cache(tmp_path, corpus, home, loads).batch(3)))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(loads) == 1
    assert all(torch.equal(one.log_p_btk, told[0].log_p_btk) for one in told)
    [block] = tmp_path.glob("*/*.safetensors")
    # 130 bytes a token, and a header.
    assert block.stat().st_size == pytest.approx(130 * BLOCK * 4 * 16, rel=0.02)
    data = bytearray(block.read_bytes())
    data[-5] ^= 0xFF
    block.write_bytes(bytes(data))
    again = cache(tmp_path, corpus, home, loads).batch(3)
    assert len(loads) == 2
    assert "computed again" in capfd.readouterr().err
    assert torch.equal(again.log_p_btk, told[0].log_p_btk)
    # What a killed worker left is neither read nor in the way.
    block.with_name(f"{block.name}.partial").write_bytes(b"half")
    block.unlink()
    assert torch.equal(cache(tmp_path, corpus, home, loads).batch(3).log_p_btk, told[0].log_p_btk)


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_computes_leaves_the_block_to_another(
    home: Path, tmp_path: Path, corpus: Corpus
) -> None:
    (tmp_path / "marks").mkdir()
    places = [str(tmp_path / "cache"), str(home / "teacher"), str(corpus.folder), str(tmp_path / "marks")]
    code = f"from tests.init.teachers import read_block; read_block(*{places!r})"
    root = Path(__file__).parents[2]
    workers = {
        worker.pid: worker
        for worker in (
            subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        )
    }
    while not (marks := list((tmp_path / "marks").iterdir())):
        assert all(worker.poll() is None for worker in workers.values())
        time.sleep(0.05)
    killed = workers.pop(int(marks[0].name))
    killed.kill()
    told = {worker.communicate(timeout=300)[0] for worker in workers.values()}
    killed.communicate()
    assert len(told) == 1
    assert len(told.pop().strip()) == 32
    # One of the three that were left has computed it, once.
    assert len(list((tmp_path / "marks").iterdir())) == 2


def test_the_kept_tokens_tell_the_divergence() -> None:
    torch.manual_seed(0)
    teacher_btv, student_btv = torch.randn(2, 3, 40) * 3, torch.randn(2, 3, 40)
    log_p, log_q = (x.div(2.0).log_softmax(-1) for x in (teacher_btv, student_btv))
    exact = (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    told = Told.of(teacher_btv, 2.0)
    assert told.tokens_btk.shape == (2, 3, teacher_cache.TOP)
    kept = told.divergence(student_btv, 2.0)
    # Grouping tokens can only lose divergence, and loses little where nearly all mass is kept.
    assert 0.95 * exact < kept <= exact + 1e-6
    few = Told.of(teacher_btv[..., :20], 2.0)
    log_p, log_q = (x[..., :20].div(2.0).log_softmax(-1) for x in (teacher_btv, student_btv))
    assert few.divergence(student_btv[..., :20], 2.0) == pytest.approx(
        float((log_p.exp() * (log_p - log_q)).sum(-1).mean()), rel=1e-4
    )
    assert Told.of(student_btv, 1.0).divergence(student_btv, 1.0) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("kind", ["logits", "logits+hidden", "logits+attention"])
def test_a_student_follows_its_teacher(kind: str, home: Path, tmp_path: Path, corpus: Corpus) -> None:
    checkpoint = open_checkpoint(home / "teacher", "")
    recipe = replace(RECIPE, steps=4, batch_size=4, validate_every=2, validation_sequences=8)
    distill = DistillSpec(0.5, 2.0, kind)  # type: ignore[arg-type] # one of its kinds
    recovery = Recovery(checkpoint, distill, cache=tmp_path / "teachers")
    result = train(checkpoint.architecture, recipe, corpus, tmp_path / "run", recovery=recovery)
    assert result.verdict == "finished"
    assert (tmp_path / "teachers").exists() == (kind == "logits")
    online = replace(recovery, cache=None)
    same = train(checkpoint.architecture, recipe, corpus, tmp_path / "online", recovery=online)
    assert same.perplexity == pytest.approx(result.perplexity, rel=1e-3)


def test_a_recovery_that_was_halted_goes_on_to_the_same_digits(
    home: Path, tmp_path: Path, corpus: Corpus
) -> None:
    checkpoint = open_checkpoint(home / "teacher", "")
    a = replace(checkpoint.architecture, final_norm="none")
    recipe = replace(RECIPE, steps=4, batch_size=4, validate_every=2, validation_sequences=8)
    recovery = Recovery(checkpoint, DistillSpec(0.5), cache=tmp_path / "teachers")
    whole = train(a, recipe, corpus, tmp_path / "whole", recovery=recovery)
    halted = train(a, recipe, corpus, tmp_path / "parts", recovery=recovery, halt=lambda point: "a rung")
    assert (halted.verdict, halted.steps) == ("stopped", 2)
    assert train(a, recipe, corpus, tmp_path / "parts", recovery=recovery).perplexity == whole.perplexity


def test_a_scope_leaves_matrices_alone(home: Path) -> None:
    model = build_model(open_checkpoint(home / "teacher", "").architecture, seed=0)
    limit(model, TrainSpec("norms_and_heads"), seed=0)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {"final_norm.weight", "token_embedding.weight", "layers.0.attention.query.bias"} <= trained
    assert not any(name.endswith(("query.weight", "down.weight")) for name in trained)


@pytest.mark.parametrize("recipe", [{"optimizer": "adamw"}, {"optimizer": "muon", "ema": 0.9}], ids=str)
def test_adapters_change_matrices_by_a_low_rank(
    home: Path, tmp_path: Path, corpus: Corpus, recipe: dict[str, Any]
) -> None:
    checkpoint = open_checkpoint(home / "teacher", "")
    a, rank = checkpoint.architecture, 2
    said = replace(RECIPE, steps=4, batch_size=4, validate_every=2, validation_sequences=8, lr=3e-2, **recipe)
    recovery = Recovery(checkpoint, train=TrainSpec("adapters", rank))
    whole = train(a, said, corpus, tmp_path / "whole", recovery=recovery)
    before, after = checkpoint.model().state_dict(), load_file(tmp_path / "whole/weights.safetensors")
    # Merged: the names and the number of parameters are those of any training.
    assert set(after) == set(load_file(home / "teacher/weights.safetensors"))
    assert whole.parameters == read_result(home / "teacher").parameters
    changes = {name: after[name] - before[name] for name in after if name.endswith("weight")}
    assert not changes["token_embedding.weight"].any()
    inner = {name: change for name, change in changes.items() if "layers" in name and change.ndim == 2}
    assert inner
    for change in inner.values():
        values = torch.linalg.svdvals(change)
        assert values[rank - 1] > 1e-4 > 100 * values[rank]
    # A rung's checkpoint holds the adapters, and the training goes on from it to the same end.
    halted = train(a, said, corpus, tmp_path / "parts", recovery=recovery, halt=lambda point: "a rung")
    assert (halted.verdict, halted.parameters) == ("stopped", whole.parameters)
    assert train(a, said, corpus, tmp_path / "parts", recovery=recovery).perplexity == whole.perplexity


def test_adapters_start_as_the_carried_network_and_refuse_normalized_weights(home: Path) -> None:
    checkpoint = open_checkpoint(home / "teacher", "")
    model, tokens_bt = checkpoint.model(), torch.arange(16)[None]
    before = model(tokens_bt)
    limit(model, TrainSpec("adapters"), seed=0)
    assert torch.equal(model(tokens_bt), before)
    merge_adapters(model)
    assert torch.equal(model(tokens_bt), before)
    normalized = replace(checkpoint.architecture, stabilizer=Stabilizer("weight_norm"))
    with pytest.raises(RequestError, match=r"train.scope=adapters cannot change weights that a stabilizer"):
        limit(build_model(normalized, seed=0), TrainSpec("adapters"), seed=0)


@pytest.mark.slow
def test_a_model_that_transformers_trained_is_searched_over_and_generates_again(
    corpus: Corpus, text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=300, n_embd=16, n_layer=2, n_head=2, n_positions=16, eos_token_id=0
    )
    theirs = transformers.GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-2)
    for batch_bt in TokenDataModule(
        corpus, 16, 8, steps=30, seed=0, validation_sequences=8
    ).train_dataloader():
        theirs(batch_bt[:, :-1], labels=batch_bt[:, :-1]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    monkeypatch.chdir(tmp_path)
    theirs.save_pretrained("gpt2")
    shutil.copyfile(corpus.tokenizer_path, "gpt2/tokenizer.json")
    Path("space.yaml").write_text(
        "description: test\nparameters:\n  activation: {choices: [gelu_tanh, relu]}\n"
    )
    said = [
        "data=text_folder",
        f"data.path={text_folder}",
        "recipe.batch_size=8",
        "recipe.validation_sequences=16",
    ]
    said += ["space=space.yaml", "study.name=one", "init.from=gpt2", "search.n_trials=2", "search.workers=1"]
    assert main(["search", *said, *SHORT]) == 0
    found = {read_result(path).notation for path in Path("outputs/studies/one/candidates").iterdir()}
    assert found == {"SM + LN + GT", "SM + LN + R"}
    assert main(["export", "study=one", "pick=trial:0", "kind=hf", "to=back"]) == 0
    again = transformers.AutoModelForCausalLM.from_pretrained("back")
    tokenizer = transformers.AutoTokenizer.from_pretrained("back")
    given = tokenizer("12 abcd", return_tensors="pt")["input_ids"][:, :8]
    assert (
        again.generate(given, max_new_tokens=4, do_sample=False, eos_token_id=None).shape[-1]
        > given.shape[-1]
    )
