"""Candidates of a few thousand weights, trained for a few steps and laid out as a study leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from aero_search.architecture import key
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir
from aero_search.config.request import Request
from aero_search.data import Corpus, prepare
from aero_search.data.datamodule import TokenDataModule
from aero_search.export.choice import Choice
from aero_search.front.front import build_front
from aero_search.front.pareto import Reference
from aero_search.front.record import Record
from aero_search.model import Decoder, build_model, count_parameters, parameter_groups, save_weights
from aero_search.search.candidate import make_candidate
from aero_search.search.files import write_candidate
from aero_search.training.health import perplexity
from aero_search.training.result import WEIGHTS_FILE, Result
from aero_search.training.validation import held_out

# Name: the overrides that make it. Every family, norm, kind of feed-forward, attention and stabilizer is in one.
VARIANTS = {
    "gpt2": ["variant=sm_ln_g"],
    "scaled": ["variant=sm_scffn"],
    "fused": ["variant=sm_scfuffn", "ffn.layers=1"],
    "entropy": ["variant=ereg_sm_t_scfuffn"],
    "shaped": ["variant=sota_sm_scfuffn"],
    "weight_norm": ["variant=sm_ln_r", "stabilizer=weight_norm", "stabilizer.targets=qk+ffn"],
    "pythia": ["model=pythia_proxy", "model.n_head=1", "variant=sm_ln_g"],
    "llama": ["model=llama_proxy", "model.n_kv_head=1", "norm=rmsnorm", "activation=silu"],
    "shared_slope": ["norm=layernorm", "activation=leaky_relu_shared", "stabilizer=scaled"],
}
STEPS = 6


@dataclass(frozen=True)
class Made:
    """A candidate with its trained network and the corpus it was trained on."""

    choice: Choice
    model: Decoder
    corpus: Corpus
    request: Request


def request_of(*overrides: str, config: str = "train") -> Request:
    """What the command line makes of these overrides."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return read_request(compose(config, overrides=list(overrides)), overrides)


def make(folder: Path, overrides: list[str], number: int = 3) -> Made:
    """Train the candidate of these overrides in `folder`."""
    request = request_of(*overrides)
    recipe = request.recipe
    corpus = prepare(request.data, request.architecture.vocab_size, quiet=True)
    candidate = make_candidate(request.architecture, recipe, corpus.fingerprint, config=request.portable())
    a = candidate.architecture
    write_candidate(candidate, folder)
    model = build_model(a, seed=recipe.seed)
    _train(model, corpus, recipe.batch_size, a.seq_len)
    save_weights(model, folder / WEIGHTS_FILE)
    loss = held_out(model, a, recipe, corpus).loss
    Result(
        key=key(a),
        notation=candidate.notation,
        verdict="finished",
        reason="",
        perplexity=perplexity(loss),
        validation_loss=loss,
        curve=(),
        entropy=(),
        parameters=count_parameters(model),
        seconds=1.5,
        tokens=STEPS * recipe.batch_size * a.seq_len,
        steps=STEPS,
        lr=recipe.lr,
        seed=recipe.seed,
        data_seed=recipe.data_seed,
        fingerprint=corpus.fingerprint,
        unigram_perplexity=40.0,
        versions={"torch": torch.__version__},
    ).write(folder)
    record = Record(
        number=number,
        candidate=candidate.identity,
        architecture=a,
        notation=candidate.notation,
        state="finished",
        reason="",
        perplexity=perplexity(loss),
        costs=request.pricing(a),
        overrides=(),
        lr=recipe.lr,
        seed=recipe.seed,
        seconds=1.5,
        folder=folder,
    )
    reference = Reference(40.0, request.pricing.baseline(a, request.objective))
    front = build_front([record], request.objective, reference)
    choice = Choice("tests", record, front, request.pricing, "knee", "aero-search search study.name=tests")
    return Made(choice, model, corpus, request)


def _train(model: Decoder, corpus: Corpus, batch_size: int, seq_len: int) -> None:
    data = TokenDataModule(corpus, seq_len, batch_size, steps=STEPS, seed=0, validation_sequences=batch_size)
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay=0.1), lr=2e-2)
    model.train()
    for batch_bt in data.train_dataloader():
        loss = model.loss(batch_bt[:, :-1], batch_bt[:, 1:]).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
