"""Ridge regression for one linear: its weights moved as little as it takes to give what is asked.

Shapes: n samples, i channels in, o channels out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aero_search.model.low_rank import Linear, LowRank

# Of the mean square of an input: enough against directions that the samples do not show.
RIDGE = 1e-3


def fit(linear: Linear, inputs_ni: Tensor, targets_no: Tensor, ridge: float = RIDGE) -> None:
    """Make linear(inputs) as near to the targets as least squares can.

    The penalty is on the change of the weights, so that what the samples do not decide stays; a bias is free.
    """
    weight_oi = weight_of(linear)
    x_ni, bias_o = inputs_ni.double(), linear.bias
    left_no = targets_no.double() - x_ni @ weight_oi.t()
    if bias_o is not None:
        mean_i, mean_o = x_ni.mean(0), left_no.mean(0)
        x_ni, left_no = x_ni - mean_i, left_no - mean_o
    gram_ii = x_ni.t() @ x_ni
    size = float(gram_ii.diagonal().mean())
    if size == 0:
        change_io = torch.zeros_like(weight_oi).t()
    else:
        gram_ii.diagonal().add_(ridge * size)
        change_io = torch.linalg.solve(gram_ii, x_ni.t() @ left_no)
    set_weight(linear, weight_oi + change_io.t())
    if bias_o is not None:
        bias_o.copy_(mean_o - mean_i @ change_io)


def weight_of(linear: Linear) -> Tensor:
    """The weight that a linear computes with, (out, in) in float64, whatever reparametrizes it."""
    if isinstance(linear, LowRank):
        return weight_of(linear.second) @ weight_of(linear.first)
    return linear.weight.detach().double()


def set_weight(linear: Linear, weight_oi: Tensor) -> None:
    """Give a linear a weight; one that is reparametrized takes it apart itself, one in factors what is nearest."""
    if isinstance(linear, LowRank):
        _set_factors(linear, weight_oi.double())
        return
    value = weight_oi.to(linear.weight.dtype)
    if torch.nn.utils.parametrize.is_parametrized(linear, "weight"):
        linear.weight = value
    else:
        linear.weight.copy_(value)


def _set_factors(linear: LowRank, weight_oi: Tensor) -> None:
    """The best approximation of a weight by the rank that there is (Eckart and Young), shared evenly."""
    if not bool(weight_oi.any()):
        # A zero in both factors would have no gradient.
        set_weight(linear.second, torch.zeros_like(linear.second.weight))
        return
    u_or, s_r, v_ri = torch.linalg.svd(weight_oi, full_matrices=False)
    root_r = s_r[: linear.rank].sqrt()
    set_weight(linear.second, u_or[:, : linear.rank] * root_r)
    set_weight(linear.first, root_r[:, None] * v_ri[: linear.rank])
