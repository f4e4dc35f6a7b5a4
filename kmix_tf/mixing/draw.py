"""What is random in one mix, drawn from a seed before anything is mixed: who with whom, how much, whether at all."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, numbers_of, require
from kmix_tf.blend.base import BlendStrategy
from kmix_tf.blend.linear import join_interpolations
from kmix_tf.maths.distance import pair_distances
from kmix_tf.mixing.watch import WATCHED
from kmix_tf.pairing.base import Pairing, PairingStrategy
from kmix_tf.pairing.mutual import numbers_of_pairs, require_mutual
from kmix_tf.ratio.base import RatioStrategy
from kmix_tf.reduction.base import Reduction
from kmix_tf.seeding import mix_seeds, random_uniform
from kmix_tf.weight.base import WeightStrategy, mean_one
from kmix_tf.weight.vanished import tell_of_vanished


class MixPlan(NamedTuple):
    """What is random in one mix.

    partner: int32 `(batch,)`, the row each sample is mixed with, or `(mixtures, batch)`. ratio: float32, the weight
    of the sample itself, `(batch,)` or `(mixtures, batch)`. blend_seed: int32 `(2,)`, for blends that draw more.
    """

    partner: tf.Tensor
    ratio: tf.Tensor
    blend_seed: tf.Tensor


class Drawn(NamedTuple):
    """A plan, and what each of its mixtures counts: float32 `(mixtures,)` with mean 1, or None for all alike."""

    plan: MixPlan
    weight: tf.Tensor | None


class Decisions(NamedTuple):
    """The four decisions of a mix."""

    pairing: PairingStrategy
    ratio: RatioStrategy
    blend: BlendStrategy
    weight: WeightStrategy

    @property
    def mixtures(self) -> int | None:
        """How many mixtures are made of each sample; None for one, without an axis of its own."""
        return self.ratio.mixtures or self.pairing.mixtures

    @property
    def runs_on_host(self) -> bool:
        """Whether a part of the mix calls back to the host, where XLA cannot follow."""
        return any(part.runs_on_host for part in self)

    @property
    def needs_distances(self) -> bool:
        """Whether ratios or weights are told how far apart pairs are."""
        return self.ratio.needs_distances or not self.weight.counts_alike


class Sides(NamedTuple):
    """The features that distances are measured on, of samples and of partners, and the samples' targets.

    first, second: lists of tensors `(batch, ...)`; the same list where a batch is mixed with itself. match_at: what
    makes smaller ones of them that partners are chosen by.
    """

    first: Sequence[tf.Tensor]
    second: Sequence[tf.Tensor]
    targets: Any = None
    match_at: Reduction | None = None

    @property
    def is_one(self) -> bool:
        """Whether a batch is mixed with itself."""
        return self.second is self.first

    def reduced(self, by: Reduction) -> "Sides":
        """What a reduction makes of both."""
        first = by(self.first)
        return Sides(first, first if self.is_one else by(self.second), self.targets)


def draw(decisions: Decisions, sides: Sides, seed: Any, chance: Callable[[], Any] | None = None) -> Drawn:
    """Draws partners, ratios and weights: a deterministic function of the features and the seed.

    Args:
        chance: gives the probability that the batch is mixed at all, a float scalar; None: it always is. If it is
            not, each sample is its own partner, with ratio 1, and nothing is paired.

    Raises:
        TypeError, ValueError: for what a decision gave and should not.
        InvalidArgumentError: on the batch, for ratios outside [0, 1] or weights that are negative or infinite.
    """
    seeds = mix_seeds(seed)
    mixed = None if chance is None else random_uniform([], seeds.chance) < chance()

    def drawn() -> tuple[tf.Tensor, tf.Tensor]:
        partner, group = paired(decisions.pairing, sides, seeds.pairing)
        if decisions.ratio.by_pair:
            partner, group = _in_pairs(partner, sides.is_one)
        distances = _distances(sides, partner) if decisions.ratio.needs_distances else None
        ratio = _ratio(decisions.ratio, group, seeds.ratio, distances)
        return partner, _alone(partner, ratio) if sides.is_one else _for_each(partner, ratio)

    if mixed is None:
        partner, ratio = drawn()
    else:
        partner, ratio = tf.cond(mixed, drawn, lambda: _unmixed(decisions, tf.shape(sides.first[0])[0]))
    weighed = _weighed(decisions.weight, sides, MixPlan(partner, ratio, seeds.blend), mixed)
    if (watched := WATCHED.get()) is not None:
        watched.append({"sides": sides, "drawn": weighed})
    return weighed


def with_ratio(drawn: Drawn, ratio: tf.Tensor) -> Drawn:
    """The same pairs, mixed by other ratios: float32 of the same shape, in [0, 1]."""
    drawn = drawn._replace(plan=drawn.plan._replace(ratio=tf.ensure_shape(ratio, drawn.plan.ratio.shape)))
    if watched := WATCHED.get():
        watched[-1]["drawn"] = drawn
    return drawn


def probability_of(probability: float, schedule: Callable | None, step: Any, allowed: Any = None) -> Callable | None:
    """What says how likely a batch is mixed; None if it always is.

    Args:
        probability: in [0, 1]. schedule: a callable of the step that gives a factor of it, or None.
        step: an integer scalar. allowed: a bool scalar, False for a batch that is not to be mixed; None: it may be.

    Raises:
        ValueError: for a schedule without a step.
    """
    if schedule is None and probability == 1 and allowed is None:
        return None
    if schedule is not None and step is None:
        raise _checks.problem(
            "a schedule needs the step. Received: step=None. Use dataset.apply(kmix_tf.mix(layer)) instead "
            "of dataset.map(layer), on a dataset that repeats; or call layer(x, y, step=...)."
        )

    def chance() -> Any:
        scheduled: Any = probability
        if schedule is not None:
            scheduled = _scheduled(schedule, step) * probability
        return scheduled if allowed is None else tf.where(allowed, tf.cast(scheduled, tf.float32), 0.0)

    return chance


def _scheduled(schedule: Callable, step: Any) -> tf.Tensor:
    rule = "schedule must give a probability, one number"
    chance = tf.cast(numbers_of(schedule(tf.convert_to_tensor(step)), rule), tf.float32)
    if chance.shape.rank not in (0, None):
        raise _checks.problem(f"{rule}. Received: some of shape {chance.shape}.")
    message = "schedule must give probabilities in [0, 1]. Received: another number, or NaN."
    return after(require((chance >= 0) & (chance <= 1), message), [chance])[0]


def paired(pairing: PairingStrategy, sides: Sides, seed: tf.Tensor) -> Pairing:
    """Partners and groups, checked."""
    if sides.match_at is not None:
        sides = sides.reduced(sides.match_at)
    if not sides.is_one:
        given = pairing.between(sides.first, sides.second)
    else:
        given = pairing(sides.first, seed, *([sides.targets] if pairing.needs_targets else []))
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        _refuse_pairing(pairing, repr(given))
    partner, group = (_numbers(part, lambda: _rule_of(pairing)) for part in given)
    if not (partner.dtype.is_integer and group.dtype.is_integer and partner.shape.rank in (1, 2)):
        _refuse_pairing(
            pairing, " and ".join(f"{part.dtype.name} of shape {part.shape}" for part in (partner, group))
        )
    return Pairing(tf.cast(partner, tf.int32), tf.cast(group, tf.int32))


def _numbers(given: Any, rule: Callable[[], str]) -> tf.Tensor:
    """What a strategy gave, as a tensor of numbers. Ours give one; `rule` is for one of a user that does not."""
    is_one = isinstance(given, tf.Tensor) and (given.dtype.is_floating or given.dtype.is_integer)
    return given if is_one else numbers_of(given, rule())


def _in_pairs(partner: tf.Tensor, within: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Partners, once they are seen to be mutual, and the number of each pair as a group. Of two loaders, each mixture
    is of a pair of its own."""
    if not within:
        return partner, tf.broadcast_to(tf.range(tf.shape(partner)[-1]), tf.shape(partner))
    (partner,) = after(require_mutual(partner), [partner])
    return partner, numbers_of_pairs(partner)


def _refuse_pairing(pairing: PairingStrategy, received: str) -> NoReturn:
    raise _checks.problem(f"{_rule_of(pairing)}. Received: {received}.", TypeError)


def _rule_of(pairing: PairingStrategy) -> str:
    return f"{pairing.shown} must return Pairing(partner, group), integers (batch,) or (mixtures, batch)"


def _distances(sides: Sides, partner: tf.Tensor) -> tf.Tensor:
    """How far apart pairs are. In a hidden layer, ratios are not to be learnt: at distance 0 there is no gradient."""
    return tf.stop_gradient(pair_distances(sides.first, sides.second, partner))


def _ratio(ratio: RatioStrategy, group: tf.Tensor, seed: tf.Tensor, distances: tf.Tensor | None) -> tf.Tensor:
    """Ratios, float32, checked."""
    given = ratio(group, seed, *([] if distances is None else [distances]))
    values = tf.cast(
        _numbers(given, lambda: "ratio must give ratios (batch,) or (interpolations, batch)"), tf.float32
    )
    size = group.shape[-1]
    if values.shape.rank not in (1, 2) or not values.shape[-1:].is_compatible_with([size]):
        raise _checks.problem(
            f"ratio must give ratios ({size},) or (interpolations, {size}). Received: some of shape {values.shape}."
            + (" See tf.ensure_shape." if values.shape.rank is None else "")
        )
    if ratio.in_range:
        return values
    in_range = tf.reduce_all((values >= 0) & (values <= 1))
    message = "ratio must give ratios in [0, 1]. Received: ratios outside, or NaN."
    return after(require(in_range, message), [values])[0]


def _alone(partner: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    """The ratios, for each partner; 1 for samples that are their own, which come back exactly."""
    rows = tf.range(tf.shape(partner)[-1])
    return tf.where(tf.equal(partner, rows), tf.ones([], ratio.dtype), ratio)


def _for_each(partner: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    """The ratios, for each partner of a sample."""
    return tf.broadcast_to(ratio, tf.shape(partner)) if partner.shape.rank == 2 > ratio.shape.rank else ratio


def _unmixed(decisions: Decisions, size: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Partners and ratios that mix nothing, of the same shape as those that do."""
    rows, times, count = tf.range(size), decisions.pairing.mixtures, decisions.mixtures
    partner = rows if times is None else tf.tile(rows[tf.newaxis], [times, 1])
    return partner, tf.ones(tf.stack([size] if count is None else [count, size]))


def _weighed(weight: WeightStrategy, sides: Sides, plan: MixPlan, mixed: tf.Tensor | None) -> Drawn:
    """The plan, and what each of its mixtures counts; all alike where the batch is not mixed at all."""
    weights = None if weight.counts_alike else weight(sides.first, sides.second, plan.partner)
    if weights is None:
        return Drawn(plan, None)
    weights = _of_pairs(weights, weight.shown, plan.ratio.shape)
    if weight.far == "keep":
        plan, weights = _far_kept(plan, weights, sides.is_one)
    weights = tf.broadcast_to(weights, tf.shape(plan.ratio))
    weights = join_interpolations(weights) if plan.ratio.shape.rank == 2 else weights
    if mixed is not None:
        weights = tf.where(mixed, weights, tf.ones_like(weights))
    sound = tf.reduce_all((weights >= 0) & tf.math.is_finite(weights))
    with _checks.speaking_as(weight.shown, anew=True):
        checks = require(sound, "weights must be >= 0 and finite. Received: others, or NaN.")
    weights = mean_one(*after(checks, [weights]))
    tell_of_vanished(weights, mixed, weight.shown)
    return Drawn(plan, weights)


def _of_pairs(given: Any, shown: str, shape: tf.TensorShape) -> tf.Tensor:
    """The weights that a strategy gave, float, of a shape that can be made that of the ratios."""
    rule = f"{shown} must give weights of the partners' shape, or None"
    weights = numbers_of(given, rule)
    try:
        is_alike = tf.broadcast_static_shape(weights.shape, shape).is_compatible_with(shape)
    except ValueError:
        is_alike = False
    if not is_alike:
        raise _checks.problem(f"{rule}. Received: weights of shape {weights.shape} for ratios of shape {shape}.")
    return weights if weights.dtype.is_floating else tf.cast(weights, tf.float64)


def _far_kept(plan: MixPlan, weights: tf.Tensor, within: bool) -> tuple[MixPlan, tf.Tensor]:
    """Leaves each sample whose pair weighs nothing what it is, with weight 1.

    within: of one batch, it becomes its own partner besides, for blends that show the partner at any ratio; in the
    batch of another loader it is not there.
    """
    if weights.shape.rank != plan.partner.shape.rank:
        weights = tf.broadcast_to(weights, tf.shape(plan.ratio))
    is_far = tf.equal(weights, 0)
    rows = tf.range(tf.shape(plan.partner)[-1])
    partner = tf.where(is_far, rows, plan.partner) if within else plan.partner
    ratio = tf.where(is_far, tf.ones([], plan.ratio.dtype), plan.ratio)
    return MixPlan(partner, ratio, plan.blend_seed), tf.where(is_far, tf.ones_like(weights), weights)
