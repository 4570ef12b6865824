"""A teacher's logits, computed once for all candidates of a study and read from disk by every other.

Which tokens a step sees is a function of corpus, length, batch and the order's seed alone (`data.windows`), the
same for every candidate. So logits are kept by batch: blocks of `BLOCK` batches, each a file with a checksum,
written under a lock by whichever worker comes first. A killed worker loses one block; a damaged block is computed
again.

Of each position the TOP most likely tokens are kept with their log-probabilities at the distillation's temperature,
and the mass of all others as one: 4 * TOP + 2 = 130 bytes a token.

Shapes: b batch, t position, k kept token, v vocabulary entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from aero_search.data.corpus import Corpus
from aero_search.data.datamodule import TokenFile
from aero_search.data.windows import TrainWindows
from aero_search.integrity import digest, tell
from aero_search.model import Decoder
from aero_search.training.tensor_tree import load_tree, save_tree

TOP = 32
BLOCK = 16
# Log-probability of the others where they have none: half precision holds it.
_NOTHING = -30.0


@dataclass(frozen=True)
class Told:
    """A teacher's distribution at every position of a batch.

    Attributes:
        tokens_btk: the most likely tokens.
        log_p_btk: their log-probabilities.
        log_rest_bt: of all others together.
    """

    tokens_btk: Tensor
    log_p_btk: Tensor
    log_rest_bt: Tensor

    @staticmethod
    def of(logits_btv: Tensor, temperature: float) -> Told:
        """The distribution of these logits at a temperature."""
        log_p_btv = F.log_softmax(logits_btv.float() / temperature, dim=-1)
        top = log_p_btv.topk(min(TOP, log_p_btv.shape[-1] - 1), dim=-1)
        others_btv = log_p_btv.scatter(-1, top.indices, -torch.inf)
        return Told(top.indices, top.values, others_btv.logsumexp(-1).clamp(min=_NOTHING))

    def last(self) -> Told:
        """At the last position alone, T = 1: where a labelled set has its target."""
        return Told(self.tokens_btk[:, -1:], self.log_p_btk[:, -1:], self.log_rest_bt[:, -1:])

    def divergence(self, logits_btv: Tensor, temperature: float) -> Tensor:
        """KL(teacher || student) in nats, the mean over positions, with all tokens that are not kept as one."""
        log_q_btv = F.log_softmax(logits_btv.float() / temperature, dim=-1)
        log_q_btk = log_q_btv.gather(-1, self.tokens_btk)
        rest_bt = (1.0 - log_q_btk.exp().sum(-1)).clamp(min=1e-6)
        p_rest_bt = self.log_rest_bt.exp()
        kept_bt = (self.log_p_btk.exp() * (self.log_p_btk - log_q_btk)).sum(-1)
        return (kept_bt + p_rest_bt * (self.log_rest_bt - rest_bt.log())).mean()


class TeacherCache:
    """The distributions of one teacher over the batches of one order.

    Args:
        root: holds one folder for each teacher, corpus, order and temperature.
        teacher: its fingerprint.
        load: makes the teacher; called by a process that has to compute a block.
        device: where it is computed.
    """

    def __init__(
        self,
        root: Path,
        teacher: str,
        load: Callable[[], Decoder],
        corpus: Corpus,
        seq_len: int,
        batch_size: int,
        order_seed: int,
        temperature: float,
        device: torch.device | None = None,
    ) -> None:
        said = [teacher, corpus.fingerprint, seq_len, batch_size, order_seed, temperature, TOP, BLOCK]
        self.folder = root / digest([repr(said).encode()])
        self._load, self._temperature = load, temperature
        self._device = device or torch.device("cpu")
        self._seq_len = seq_len
        self._tokens = TokenFile(corpus.train_path)
        chunked = corpus.chunk is not None
        self._windows = TrainWindows(corpus.train_tokens, seq_len, batch_size, order_seed, chunked)
        self._shape = batch_size, seq_len
        self._teacher: Decoder | None = None
        self._held: tuple[int, list[Told]] | None = None

    def batch(self, number: int) -> Told:
        """The distributions of batch `number`, counted from 0 over the whole training, on the CPU."""
        block, place = divmod(number, BLOCK)
        if self._held is None or self._held[0] != block:
            self._held = (block, self._block(block))
        return self._held[1][place]

    def _block(self, block: int) -> list[Told]:
        path = self.folder / f"{block:06d}.safetensors"
        if (found := self._read(path)) is not None:
            return found
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            # Another worker may have computed it while this one waited.
            found = self._read(path)
            if found is None:
                found = self._compute(block)
                self._write(found, path)
        return found

    def _read(self, path: Path) -> list[Told] | None:
        """The block, in full precision; None where there is none, or a damaged one."""
        if not path.exists():
            return None
        try:
            said = load_tree(path)
            told = [
                Told(t.long(), p.float(), r.float())
                for t, p, r in zip(said["tokens"], said["log_p"], said["log_rest"], strict=True)
            ]
            if len(told) != BLOCK or any(one.log_rest_bt.shape != self._shape for one in told):
                raise ValueError(f"{path} holds other batches")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            tell(f"{' '.join(str(problem).split())[:300]}; the teacher's logits are computed again")
            return None
        return told

    @staticmethod
    def _write(found: list[Told], path: Path) -> None:
        tree = {
            "tokens": torch.stack([told.tokens_btk for told in found]).to(torch.uint16),
            "log_p": torch.stack([told.log_p_btk for told in found]).half(),
            "log_rest": torch.stack([told.log_rest_bt for told in found]).half(),
        }
        try:
            save_tree(tree, path)
        except OSError as problem:
            # A full disk is no reason to end a training: what was computed serves this process.
            tell(f"{path} cannot be written ({problem.strerror}); the teacher's logits are not kept")

    @torch.no_grad()
    def _compute(self, block: int) -> list[Told]:
        if self._teacher is None:
            self._teacher = self._load().to(self._device).eval()
        found = []
        for number in range(block * BLOCK, (block + 1) * BLOCK):
            tokens_bt = self._tokens.windows(self._windows.starts(number), self._seq_len)[:, :-1]
            told = Told.of(self._teacher(tokens_bt.to(self._device)), self._temperature)
            # As a reader has it, to the last bit.
            found.append(
                Told(
                    told.tokens_btk.cpu(),
                    told.log_p_btk.half().float().cpu(),
                    told.log_rest_bt.half().float().cpu(),
                )
            )
        return found
