"""Surgery: a trained network's weights carried into a changed one, so that it starts near its teacher.

The layers are filled one after the other, shallowest first, while some text runs through both networks. Where a
layer is the teacher's, its weights are copied. Where something has changed, each linear around the change starts
from a closed form (`RULES`), and is then fitted by ridge regression to what the teacher's gave at the same place,
from what the new network really feeds it: later layers make up for what earlier ones lost.

Shapes: b batch, t position, c channel of the stream, n = b * t samples, h head, d channel of a head.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from aero_search.errors import RequestError
from aero_search.init.fit import fit, set_weight, weight_of
from aero_search.init.layers import Trace, blocks_by_influence, trace
from aero_search.init.linears import absorbed, inner_units, logit_scale, regrouped
from aero_search.init.parts import (
    alike,
    copy_linear,
    copy_norm,
    copy_rows,
    embedded,
    flat,
    readers,
    scale_layer,
    settle,
)
from aero_search.init.sizes import misfits
from aero_search.model import Decoder, fold
from aero_search.model.attention import Attention
from aero_search.model.decoder import DecoderLayer
from aero_search.model.feed_forward import FeedForward, FusedFeedForward
from aero_search.model.low_rank import Linear

RULES = {
    "absorb": "a removed norm leaves gain, centring and the stream's typical scale in the linears that read it, "
    "which are then fitted",
    "fuse": "a fused feed-forward is the least-squares linear map from what the layer reads to what the teacher's "
    "feed-forward gave",
    "refit": "the linear behind another activation or attention kind, behind grouped heads or beside a "
    "removed part is fitted to what the teacher's layer gave",
    "group": "grouped heads take the mean of the keys and values they replace (Ainslie et al., arXiv 2305.13245)",
    "temperature": "queries carry a learned temperature's starting value, or the one that is left out",
    "qk_norm": "queries and keys that are newly normalized, or no longer, keep their typical size in the gain of "
    "the norm or in the linear that they come from",
    "depth": "of fewer layers those stay that change the stream most (Men et al., arXiv 2403.03853)",
    "final": "a removed final norm leaves in the stream the scale under which logits are nearest to the teacher's",
}
"""What is done for each kind of change, by name."""

# Tokens that are run through both networks: some thousands for each unknown of a proxy's widest linear.
SAMPLE_TOKENS = 16_384
# Positions at which a removed final norm's scale is looked for: each has a logit for every token.
_HEAD_SAMPLES = 2_048


@dataclass(frozen=True)
class Carried:
    """What became of a checkpoint's weights.

    Attributes:
        layers: the teacher's layer that each layer started from.
        rules: those of `RULES` that applied, in their order.
    """

    layers: tuple[int, ...]
    rules: tuple[str, ...] = ()


@torch.no_grad()
def carry(teacher: Decoder, student: Decoder, tokens_bt: Tensor, without: Collection[str] = ()) -> Carried:
    """Fill the student with the teacher's weights. Both are left in evaluation mode; only the student changes.

    Args:
        student: freshly built; what no weight of the teacher's serves keeps its start.
        tokens_bt: text, (B, T) integers, T at most the shorter context of the two.
        without: names of `RULES` that are left out.

    Raises:
        RequestError: sizes that cannot be carried over; names the fields.
    """
    own, a = teacher.architecture, student.architecture
    if problems := list(misfits(own, a)):
        raise RequestError("; ".join(problems))
    teacher.eval()
    student.eval()
    if replace(own, public_layers=a.public_layers) == a:
        student.load_state_dict(teacher.state_dict())
        return Carried(tuple(range(own.n_layer)))
    return _Carrying(teacher, student, frozenset(without)).run(tokens_bt)


class _Carrying:
    """One run of `carry`."""

    def __init__(self, teacher: Decoder, student: Decoder, without: frozenset[str]) -> None:
        # A scaled residual cannot be copied into a plain one; folded, both are plain.
        scaled = teacher.architecture.stabilizer.kind == "scaled" != student.architecture.stabilizer.kind
        self.teacher: Decoder = fold(teacher) if scaled else teacher
        self.student, self.without = student, without
        self.own, self.a = self.teacher.architecture, student.architecture
        self.applied: dict[str, None] = {}

    def run(self, tokens_bt: Tensor) -> Carried:
        self._embeddings()
        kept = self._kept(tokens_bt)
        theirs, ours = self.teacher.decoder_layers(), self.student.decoder_layers()
        there_btc, here_btc = embedded(self.teacher, tokens_bt), embedded(self.student, tokens_bt)
        done = 0
        filled: DecoderLayer | None = None
        for index, layer, choice in zip(kept, ours, self.a.layers, strict=True):
            for skipped in theirs[done:index]:
                there_btc = trace(skipped, there_btc).out_btc
            told = trace(theirs[index], there_btc)
            another = self.own.heads(self.own.layers[index]) != self.a.heads(choice)
            another = another or self.own.attention.qk_norm != self.a.attention.qk_norm
            # Layers that share their weights start from what the first of them takes over.
            if layer is not filled:
                self._layer(theirs[index], layer, told, here_btc, another)
                filled = layer
            there_btc, here_btc, done = told.out_btc, trace(layer, here_btc).out_btc, index + 1
        for skipped in theirs[done:]:
            there_btc = trace(skipped, there_btc).out_btc
        self._head(there_btc, here_btc)
        if (mine := self.student.thresholds_lh) is not None:
            given = self.teacher.thresholds_lh
            if given is not None and len(given) == self.own.n_layer and len(mine) == self.a.n_layer:
                mine.copy_(given[list(kept)])
        rules = tuple(name for name in RULES if name in self.applied)
        return Carried(kept, rules)

    def _rule(self, name: str) -> bool:
        """Whether a rule is to be used, which is noted."""
        if name in self.without:
            return False
        self.applied[name] = None
        return True

    def _embeddings(self) -> None:
        ours, theirs = self.student, self.teacher
        ours.token_embedding.weight.copy_(theirs.token_embedding.weight)
        if ours.position_embedding is not None and theirs.position_embedding is not None:
            ours.position_embedding.weight.copy_(theirs.position_embedding.weight[: self.a.seq_len])

    def _kept(self, tokens_bt: Tensor) -> tuple[int, ...]:
        """The teacher's layers that stay, shallowest first."""
        if self.a.n_layer == self.own.n_layer or not self._rule("depth"):
            return tuple(range(self.a.n_layer))
        influence = blocks_by_influence(self.teacher, embedded(self.teacher, tokens_bt))
        most = sorted(range(self.own.n_layer), key=lambda i: -influence[i])[: self.a.n_layer]
        return tuple(sorted(most))

    def _layer(
        self, theirs: DecoderLayer, ours: DecoderLayer, told: Trace, here_btc: Tensor, another: bool
    ) -> None:
        """Fill one layer.

        Args:
            told: what the teacher's layer made of its stream.
            here_btc: the student's stream in front of the layer.
            another: whether its heads attend in another way.
        """
        self._attention(theirs, ours, told, here_btc, another)
        if ours.scaling is not None and theirs.scaling is not None:
            ours.scaling.load_state_dict(theirs.scaling.state_dict())
        if ours.feed_forward is None or ours.feed_forward_norm is None:
            return
        mine = trace(ours, here_btc)
        target_btc = told.fed_btc
        if target_btc is None or theirs.feed_forward is None or theirs.feed_forward_norm is None:
            # The teacher's layer has none: the new one starts by adding nothing.
            last = (
                ours.feed_forward.down
                if isinstance(ours.feed_forward, FeedForward)
                else ours.feed_forward.fused
            )
            set_weight(last, torch.zeros_like(last.weight))
            return
        linears = readers(ours.feed_forward)
        self._copy_feed_forward(theirs.feed_forward, ours.feed_forward)
        changed = self._norm(
            theirs.feed_forward_norm,
            ours.feed_forward_norm,
            mine.feed_forward_input_btc,
            linears if alike(theirs.feed_forward, ours.feed_forward) else (),
            told.feed_forward_normed_btc,
        )
        read_btc = ours.feed_forward_norm(mine.feed_forward_input_btc)
        # What earlier layers lost is asked of this one as well.
        target_btc = target_btc + (told.feed_forward_residual_btc - mine.feed_forward_residual_btc)
        if isinstance(ours.feed_forward, FusedFeedForward):
            lost = ours.attention is None and theirs.attention is not None
            same = alike(theirs.feed_forward, ours.feed_forward)
            if (changed or lost or not same) and self._rule("fuse"):
                fit(ours.feed_forward.fused, flat(read_btc), flat(target_btc))
            return
        same = alike(theirs.feed_forward, ours.feed_forward) and type(theirs.feed_forward.activation) is type(
            ours.feed_forward.activation
        )
        lost = ours.attention is None and theirs.attention is not None
        if (changed or lost or not same) and self._rule("refit"):
            hidden: list[Tensor] = []
            hook = ours.feed_forward.down.register_forward_pre_hook(lambda _, given: hidden.append(given[0]))
            ours.feed_forward(read_btc)
            hook.remove()
            fit(ours.feed_forward.down, flat(hidden[0]), flat(target_btc))

    def _attention(
        self, theirs: DecoderLayer, ours: DecoderLayer, told: Trace, here_btc: Tensor, another: bool
    ) -> None:
        source, target = theirs.attention, ours.attention
        if target is None or ours.attention_norm is None:
            return
        if source is None or theirs.attention_norm is None:
            # The teacher's layer has none: the new one starts by adding nothing.
            if target.output is not None:
                set_weight(target.output, torch.zeros_like(target.output.weight))
            return
        width = self.a.d_head
        grouped = self.a.kv_heads < self.own.kv_heads
        mean = not grouped or self._rule("group")
        pairs = [(target.query, source.query, self.own.n_head, self.a.n_head)]
        pairs += [(target.key, source.key, self.own.kv_heads, self.a.kv_heads)]
        if target.value is not None and source.value is not None:
            pairs += [(target.value, source.value, self.own.kv_heads, self.a.kv_heads)]
        for mine, given, before, after in pairs:
            set_weight(mine, regrouped(weight_of(given), before, after, width, mean))
            if mine.bias is not None and given.bias is not None:
                mine.bias.copy_(regrouped(given.bias, before, after, width, mean))
        if target.output is not None and source.output is not None:
            copy_linear(source.output, target.output)
        if target.shaping is not None and source.shaping is not None:
            target.shaping.load_state_dict(source.shaping.state_dict())
        linears = [mine for mine, *_ in pairs]
        changed = self._norm(
            theirs.attention_norm, ours.attention_norm, here_btc, linears, told.attention_normed_btc
        )
        read_btc = ours.attention_norm(here_btc)
        self._head_norm(source.query_norm, target.query_norm, target.query, read_btc)
        self._head_norm(source.key_norm, target.key_norm, target.key, read_btc)
        self._temperature(source, target)
        removed = ours.feed_forward is None and theirs.feed_forward is not None
        if target.output is None or not (changed or grouped or another or removed) or not self._rule("refit"):
            return
        heads: list[Tensor] = []
        hook = target.output.register_forward_pre_hook(lambda _, given: heads.append(given[0]))
        target(read_btc)
        hook.remove()
        wanted_btc = told.out_btc - here_btc if removed else told.attended_btc + (told.in_btc - here_btc)
        fit(target.output, flat(heads[0]), flat(wanted_btc))

    def _head_norm(
        self, theirs: nn.Module | None, ours: nn.Module | None, linear: nn.Linear, read_btc: Tensor
    ) -> None:
        """Fill the norm of queries or keys, or leave in their linear what a removed one multiplied them by."""
        if ours is not None and theirs is not None and copy_norm(theirs, ours):
            return
        found_bthd = linear(read_btc).unflatten(-1, (-1, self.a.d_head))
        wanted = _size(found_bthd if theirs is None else theirs(found_bthd))
        if ours is None:
            if theirs is not None and self._rule("qk_norm"):
                factor = wanted / _size(found_bthd)
                set_weight(linear, weight_of(linear) * factor)
                if linear.bias is not None:
                    linear.bias.mul_(factor)
            return
        settle(ours, found_bthd)
        if self._rule("qk_norm"):
            factor = wanted / _size(ours(found_bthd))
            for gain in ours.parameters():
                gain.mul_(factor)

    def _temperature(self, source: Attention, target: Attention) -> None:
        """Divide the queries' logits as the teacher does: by a learned t, or by what its queries carry."""
        if target.temperature is not None and source.temperature is not None:
            length = min(target.temperature.log_ratio_ht.shape[-1], source.temperature.log_ratio_ht.shape[-1])
            ratio_ht = source.temperature.init / target.temperature.init
            learned_ht = source.temperature.log_ratio_ht[:, :length]
            target.temperature.log_ratio_ht[:, :length] = learned_ht + torch.tensor(ratio_ht).log()
            return
        factor_h = torch.ones(self.a.n_head)
        if source.temperature is not None:
            factor_h = factor_h / source.temperature(source.temperature.log_ratio_ht.shape[-1]).mean(-1)
        elif source.query_scale_ht is not None:
            factor_h = factor_h * source.query_scale_ht.mean(-1)
        if target.temperature is not None:
            factor_h = factor_h * target.temperature.init
        if bool((factor_h == 1).all()) or not self._rule("temperature"):
            return
        if target.query_norm is not None:
            # It takes a factor of each head away, and has one gain for all of them.
            for gain in target.query_norm.parameters():
                gain.mul_(factor_h.mean())
            return
        by_row = factor_h.repeat_interleave(self.a.d_head).double()
        set_weight(target.query, weight_of(target.query) * by_row[:, None])
        if target.query.bias is not None:
            target.query.bias.mul_(by_row)

    def _norm(
        self,
        theirs: nn.Module,
        ours: nn.Module,
        here_btc: Tensor,
        linears: Sequence[Linear],
        told_btc: Tensor,
    ) -> bool:
        """Fill a norm, and fit the linears that read it where it has changed. Returns whether it has.

        Args:
            here_btc: what the norm reads.
            linears: those that read it, filled as if nothing had changed.
            told_btc: what the teacher's norm gave its linears.
        """
        if copy_norm(theirs, ours):
            return False
        settle(ours, here_btc)
        if not linears or not self._rule("absorb"):
            return True
        targets = [linear(told_btc) for linear in linears]
        if isinstance(ours, nn.Identity):
            for linear in linears:
                absorbed(linear, theirs, here_btc)
        read_btc = ours(here_btc)
        for linear, target_bto in zip(linears, targets, strict=True):
            fit(linear, flat(read_btc), flat(target_bto))
        return True

    def _copy_feed_forward(self, source: nn.Module, target: nn.Module) -> None:
        if isinstance(source, FusedFeedForward) and isinstance(target, FusedFeedForward):
            copy_linear(source.fused, target.fused)
        if not isinstance(source, FeedForward) or not isinstance(target, FeedForward):
            return
        # Of a gated one, the gate is what stands before the activation.
        first = source.up if source.gate is None else source.gate
        keep = inner_units(first, source.down, target.down.in_features)
        if target.gate is not None and source.gate is not None:
            copy_rows(source.gate, target.gate, keep)
            copy_rows(source.up, target.up, keep)
        elif target.gate is not None:
            copy_rows(source.up, target.gate, keep)
            set_weight(target.up, torch.zeros_like(target.up.weight))
            if target.up.bias is not None:
                target.up.bias.fill_(1.0)
        else:
            copy_rows(first, target.up, keep)
        weight = torch.zeros_like(target.down.weight, dtype=torch.float64)
        weight[:, : len(keep)] = weight_of(source.down)[:, keep]
        set_weight(target.down, weight)
        if target.down.bias is not None and source.down.bias is not None:
            target.down.bias.copy_(source.down.bias)
        state = source.activation.state_dict()
        if type(source.activation) is type(target.activation):
            target.activation.load_state_dict(state)

    def _head(self, there_btc: Tensor, here_btc: Tensor) -> None:
        theirs, ours = self.teacher, self.student
        given = theirs.token_embedding if theirs.head is None else theirs.head
        if ours.head is not None:
            ours.head.weight.copy_(given.weight)
        if copy_norm(theirs.final_norm, ours.final_norm):
            return
        settle(ours.final_norm, here_btc)
        if not isinstance(ours.final_norm, nn.Identity) or not self._rule("final"):
            return
        rows = slice(None, None, max(1, len(flat(here_btc)) // _HEAD_SAMPLES))
        wanted_nv = flat(theirs.final_norm(there_btc))[rows] @ given.weight.t()
        if ours.head is not None:
            absorbed(ours.head, theirs.final_norm, here_btc)
            ours.head.weight.mul_(logit_scale(flat(here_btc)[rows] @ ours.head.weight.t(), wanted_nv))
            return
        # The head is the embedding: a factor s of the stream and of the embedding is one of s^2 in the logits.
        factor = logit_scale(flat(here_btc)[rows] @ ours.token_embedding.weight.t(), wanted_nv) ** 0.5
        ours.token_embedding.weight.mul_(factor)
        if ours.position_embedding is not None:
            ours.position_embedding.weight.mul_(factor)
        for layer in dict.fromkeys(ours.decoder_layers()):
            scale_layer(layer, factor)


def _size(x: Tensor) -> float:
    """The root mean square of all numbers."""
    return max(float(x.square().mean().sqrt()), 1e-12)
