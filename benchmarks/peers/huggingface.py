"""transformers' GPT-2 in three loops: bare, with the entropy penalty as an eager stack has it, and Trainer.

The penalty is the one of `benchmarks/attention_entropy.py`, taken as the AERO authors' published code takes it:
attention returns its weights, the entropy is computed of them, head by head (their loop is Trainer's).

Shapes: b batch, h head, t query position.
"""

from __future__ import annotations

import importlib.util
import math
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.nanogpt import Sizes

Batches = Iterator[Tensor]
_WEIGHT, _MARGIN = 1e-5, 0.1


def make_model(sizes: Sizes, attention: str = "sdpa") -> Any:
    """GPT2LMHeadModel without dropout, in training mode."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=sizes.vocab_size,
        n_positions=sizes.seq_len,
        n_embd=sizes.d_model,
        n_layer=sizes.n_layer,
        n_head=sizes.n_head,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
        attn_implementation=attention,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config).train()


def make_step(sizes: Sizes, batches: Batches, entropy: bool = False) -> Callable[[], None]:
    """One step of a bare loop a call: AdamW, clipping, a linear schedule.

    Args:
        batches: (B, T + 1) windows; the model shifts its labels itself, so it is given the first T tokens.
        entropy: adds the penalty, out of attention weights that are materialized.
    """
    model = make_model(sizes, "eager" if entropy else "sdpa")
    thresholds_lh = torch.nn.Parameter(torch.full((sizes.n_layer, sizes.n_head), 0.5))
    parameters = [*model.parameters(), *([thresholds_lh] if entropy else [])]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 100))

    def step() -> None:
        tokens_bt = next(batches)[:, :-1]
        out = model(input_ids=tokens_bt, labels=tokens_bt, output_attentions=entropy)
        loss = out.loss + (_WEIGHT * _penalty(out.attentions, thresholds_lh) if entropy else 0.0)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()

    return step


def _penalty(attentions: tuple[Tensor, ...], thresholds_lh: Tensor) -> Tensor:
    total = thresholds_lh.new_zeros(())
    for layer, a_bhts in enumerate(attentions):
        entropy_bht = -torch.nansum(a_bhts * torch.log(a_bhts + 1e-9), dim=-1)
        largest = math.log(a_bhts.shape[-1])
        for head in range(a_bhts.shape[1]):
            deviation_bt = entropy_bht[:, head] - thresholds_lh[layer, head] * largest
            outside_bt = deviation_bt.abs() > _MARGIN * largest
            kept_bt = torch.where(outside_bt, deviation_bt, torch.zeros_like(deviation_bt))
            total = total + kept_bt.square().sum()
    return total / thresholds_lh.numel()


def missing() -> str:
    """Why there is no Trainer here; empty where there is one."""
    lacks = [name for name in ("transformers", "accelerate") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(lacks)} not installed" if lacks else ""


def run_trainer(sizes: Sizes, batches: Batches, batch_size: int, tick: Callable[[], None]) -> None:
    """Train with Hugging Face's Trainer, which logs every 100 steps and saves nothing, until `tick` raises."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Windows(torch.utils.data.IterableDataset[dict[str, Tensor]]):
        def __iter__(self) -> Iterator[dict[str, Tensor]]:
            for batch_bt in batches:
                for window_t in batch_bt[:, :-1]:
                    yield {"input_ids": window_t, "labels": window_t}

    class Ticking(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            tick()

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=batch_size,
            max_steps=10**6,
            learning_rate=1e-3,
            weight_decay=0.1,
            max_grad_norm=1.0,
            save_strategy="no",
            logging_steps=100,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            dataloader_num_workers=0,
        )
        Trainer(make_model(sizes), arguments, train_dataset=Windows(), callbacks=[Ticking()]).train()
