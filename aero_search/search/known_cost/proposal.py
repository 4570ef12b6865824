"""One proposal: which of the points that can be trained next is expected to move the front most.

Trials in training count as if they had come out as predicted, so workers that ask at the same time are sent apart.
The front that is to be moved is the predicted one: at each trained point the model's mean stands for the
observation, so that one lucky seed does not hide what lies beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial

from aero_search.front.pareto import Reference, nondominated
from aero_search.search.known_cost.domain import Domain, Point
from aero_search.search.known_cost.history import History, choose_failed, choose_finished, points_of
from aero_search.search.known_cost.improvement import Boxes, decompose, log_expected_improvement
from aero_search.search.known_cost.model import Chance, Scaling, Seconds, Surface, capped
from aero_search.space import Value

Array = npt.NDArray[np.float64]
Fixed = Mapping[str, Value]

# Points looked at in one turn: from the whole space, near the front's, and near the best of all those.
_DRAWN, _NEAR_FRONT, _NEAR_BEST = 500, 300, 200
_BEST = 8
# Points of which the most remote is taken before there is a model.
_SPREAD = 30


def cheapest(
    domain: Domain, history: History, reference: Reference, rng: np.random.Generator, fixed: Fixed
) -> Point | None:
    """The point that would add most if every network had the same perplexity: all that is known before training.

    Returns:
        None where one that would add as much is known already, or nothing can be built.
    """
    trials = [*history.finished, *history.failed, *history.pending, *history.stopped]
    known = points_of(trials, domain)[1]
    pool = domain.drawn(rng, _DRAWN, fixed)
    if not pool:
        return None
    volume = _volume(pool, reference)
    if known and _volume(known, reference).max() >= volume.max():
        return None
    order = rng.permutation(len(pool))
    return _first_new(pool, order[np.argsort(-volume[order], kind="stable")], history)


def most_remote(domain: Domain, history: History, rng: np.random.Generator, fixed: Fixed) -> Point | None:
    """Of a few drawn points the one farthest from its nearest known one, in scaled features.

    Only a few, because the farthest of many are the corners of the space, seldom good ones.

    Returns:
        None where every point that was looked at is known.
    """
    pool = domain.drawn(rng, _SPREAD, fixed)
    trials = [*history.finished, *history.failed, *history.pending, *history.stopped]
    known = points_of(trials, domain)[1]
    if not pool:
        return None
    order = rng.permutation(len(pool))
    if not known:
        return _first_new(pool, order, history)
    scaling = Scaling.of(_features([*pool, *known]))
    at = scaling(_features(pool))
    distance = np.full(len(pool), np.inf)
    for seen in scaling(_features(known)):
        distance = np.minimum(distance, np.abs(at - seen).sum(axis=1))
    few, others = order[:_SPREAD], order[_SPREAD:]
    return _first_new(pool, np.concatenate([few[np.argsort(-distance[few])], others]), history)


def most_improving(
    domain: Domain,
    history: History,
    reference: Reference,
    rng: np.random.Generator,
    fixed: Fixed,
    per_second: bool,
) -> Point | None:
    """The point of the largest expected gain in hypervolume, times its chance to finish; a second, if asked for.

    Returns:
        None where there is nothing to learn from, nothing left to train, or no gain to be expected.
    """
    chosen = choose_finished(reference.scaled(history.rows), rng) if history.finished else []
    told, trained = points_of([history.finished[i] for i in chosen], domain)
    if not trained:
        return None
    rows = [chosen[i] for i in told]
    best = nondominated(reference.scaled(history.rows[rows]))
    front = [point for point, on in zip(trained, best, strict=True) if on]
    near = domain.changed(rng, front, -(-_NEAR_FRONT // len(front)), fixed)
    pool = [*domain.drawn(rng, _DRAWN, fixed), *near]
    if not pool:
        return None
    beliefs = _believe(domain, history, reference, rng, (rows, trained), pool, per_second)
    scores = beliefs.scores(pool)
    top = [pool[i] for i in np.argsort(-scores, kind="stable")[:_BEST]]
    nearer = domain.changed(rng, top, _NEAR_BEST // _BEST, fixed)
    if nearer:
        pool, scores = [*pool, *nearer], np.concatenate([scores, beliefs.scores(nearer)])
    hopeful = int(np.isfinite(scores).sum())
    return _first_new(pool, np.argsort(-scores, kind="stable")[:hopeful], history)


@dataclass(frozen=True)
class _Beliefs:
    """What the trials let one expect of any point.

    Attributes:
        surface: of the logarithm of perplexity, pending trials believed.
        boxes: of the front that is to be moved, in shares of the reference box.
        chance: of finishing.
        seconds: of training; None where they do not count.
    """

    scaling: Scaling
    reference: Reference
    surface: Surface
    boxes: Boxes
    chance: Chance
    seconds: Seconds | None

    def scores(self, points: Sequence[Point]) -> Array:
        """Logarithms of the expected gain of each point, (c,)."""
        x = self.scaling(_features(points))
        log_perplexity, sd = self.surface.predict(x)
        unit = np.log(self.reference.unigram_perplexity)
        costs = self.reference.scaled([(1.0, *point.costs) for point in points])[:, 1:]
        score = log_expected_improvement(self.boxes, costs, log_perplexity / unit, sd / unit)
        score = score + np.log(self.chance(x))
        return score - self.seconds.log(x) if self.seconds is not None else score


def _believe(
    domain: Domain,
    history: History,
    reference: Reference,
    rng: np.random.Generator,
    trained: tuple[list[int], list[Point]],
    pool: Sequence[Point],
    per_second: bool,
) -> _Beliefs:
    rows, points = trained
    failed = points_of([history.failed[i] for i in choose_failed(len(history.failed), rng)], domain)[1]
    pending = points_of(history.pending, domain)[1]
    cut = choose_failed(len(history.stopped), rng) if history.stopped else []
    kept, stopped = points_of([history.stopped[i] for i in cut], domain)
    foreseen = np.array([history.foreseen[cut[i]] for i in kept])
    scaling = Scaling.of(_features([*points, *failed, *stopped, *pending, *pool]))
    # What a rung has stopped was trainable, and has an end that is foreseen; it is in no box.
    x = scaling(_features([*points, *stopped]))
    surface = Surface(x, capped(np.log(np.concatenate([history.rows[rows, 0], foreseen]))))
    metrics = history.rows.copy()
    metrics[rows, 0] = np.exp(surface.predict(x[: len(points)])[0])
    if pending:
        at = scaling(_features(pending))
        expected = np.exp(surface.predict(at)[0])
        metrics = np.vstack([metrics, np.column_stack([expected, [point.costs for point in pending]])])
        surface = surface.believing(at)
    shares = reference.scaled(metrics)
    ended = np.vstack([x, scaling(_features(failed))]) if failed else x
    # Mixed, because hyperparameters are fitted on the first of them and need both kinds.
    mixed = rng.permutation(len(ended))
    return _Beliefs(
        scaling=scaling,
        reference=reference,
        surface=surface,
        boxes=decompose(shares[nondominated(shares)], np.ones(shares.shape[1])),
        chance=Chance(ended[mixed], mixed < len(x)),
        seconds=_seconds(x[: len(points)], [history.finished[i] for i in rows]) if per_second else None,
    )


def _seconds(x: Array, trials: Sequence[FrozenTrial]) -> Seconds:
    times = np.array([trial.user_attrs.get("seconds") or np.nan for trial in trials])
    known = times > 0
    return Seconds(x[known], times[known])


def _volume(points: Sequence[Point], reference: Reference) -> Array:
    """What each point's costs leave of the reference box, (c,)."""
    shares = reference.scaled([(1.0, *point.costs) for point in points])[:, 1:]
    return np.asarray(np.clip(1.0 - shares, 0.0, None).prod(axis=1), dtype=np.float64)


def _features(points: Sequence[Point]) -> Array:
    return np.array([point.features for point in points])


def _first_new(points: Sequence[Point], order: npt.NDArray[np.intp], history: History) -> Point | None:
    """The first point in this order that is not known yet."""
    return next((points[i] for i in order if points[i].identity not in history.taken), None)
