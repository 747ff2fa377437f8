"""Is evidence taken for no more than it is? Points at which something that looked like proof was an accident.

Each right gradient was accused once, or a wrong one passed; each stands beside a wrong one that is still told apart, or,
where f's values hide the difference from everybody, is undecided as well.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gradcheck import Verdict, check_vjp
from gradcheck.difference import Differences

MISMATCH, MATCH, KINK, UNDECIDED = Verdict.MISMATCH, Verdict.MATCH, Verdict.KINK, Verdict.INCONCLUSIVE


def tanh32(x):
    return np.tanh(x.astype(np.float32)).astype(np.float64)


def tanh_slope(x):
    return 1 - np.tanh(x) ** 2


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def log_softmax(x):
    shifted = x - x.max()
    return shifted - np.log(np.exp(shifted).sum())


@dataclass(frozen=True, eq=False)
class Case:
    """A right gradient at a point, what may be said of it, and wrong ones with what must be."""

    id: str
    f: Callable[..., Any]
    vjp: Callable[..., Any]
    inputs: tuple[Any, ...]
    why: str
    verdicts: set[Verdict]
    wrong: dict[Callable[[Any], Any], set[Verdict]] = field(default_factory=dict)
    seed: int = 0
    mode: str = "full"


def far_off(g):
    return g + 1.0


# ---------------------------------------------------------------------- waves


def wave_at_a_tie(a, b):
    return np.sin(1e3 * np.maximum(a, b))


def wave_at_a_tie_vjp(g, a, b):
    slope = g * 1e3 * np.cos(1e3 * np.maximum(a, b))
    return slope * np.where(a == b, 0.5, a > b), slope * np.where(a == b, 0.5, b > a)


def sine_of_a_product(x, a, b):
    return np.sin(a * x.sum() + b)


def sine_of_a_product_vjp(g, x, a, b):
    slope = g * np.cos(a * x.sum() + b)
    return np.full_like(x, slope * a), slope * x.sum(), slope


def below_the_last_bit(x):
    return np.cos(np.sin(x) / x)


def below_the_last_bit_vjp(g, x):
    return -g * np.sin(np.sin(x) / x) * (x * np.cos(x) - np.sin(x)) / x**2


def beyond_any_step(x):
    return (np.sin(1e-12 / x**3) + 1e6) - 1e6


def beyond_any_step_vjp(g, x):
    return -3e-12 * g * np.cos(1e-12 / x**3) / x**4


def waves_beside_a_large_number(x):
    return 1e10 + np.min(np.sin(x), axis=0) ** 2


def waves_beside_a_large_number_vjp(g, x):
    return g * np.sin(2 * x) * (np.sin(x) == np.min(np.sin(x), axis=0))


TIED = np.array(85291291.46211062)
WAVES = [
    Case(
        "wave-at-a-tie",
        wave_at_a_tie,
        wave_at_a_tie_vjp,
        (TIED, TIED),
        "steps over thousands of waves have small slopes on both sides, near each other",
        {KINK},
        {lambda g: 3 * g: {MISMATCH, UNDECIDED}, lambda g: -g: {MISMATCH, UNDECIDED}},
    ),
    Case(
        "sine-of-6e7",
        sine_of_a_product,
        sine_of_a_product_vjp,
        (np.array([92634207.5423221]), np.array(-0.6331876151795489), np.array(0.7780073420949039)),
        "the argument's rounding errors at the shortest spacing are equal by accident",
        {MATCH, UNDECIDED},
        {lambda g: 1.01 * g: {MISMATCH}},
        seed=5,
    ),
    Case(
        "cosine-of-1e-8",
        below_the_last_bit,
        below_the_last_bit_vjp,
        (np.array([84584234.00742392, 33088094.00586295, -40063607.5757394, 77136317.02009554]),),
        "waves of the height of f's last bit, beside which every step is long",
        {MATCH, UNDECIDED},
        {lambda g: g + 1e-8: {MISMATCH}},
    ),
    Case(
        "wave-of-1e12",
        beyond_any_step,
        beyond_any_step_vjp,
        (np.array([1.693590072689526e-08, 1.2241993137726309e-08]),),
        "from one number to the next f goes through hundreds of waves",
        {UNDECIDED},
        {lambda g: 2 * g: {UNDECIDED}},
        seed=1,
    ),
    Case(
        "waves-that-fade",
        lambda x: np.sum(np.sin(x**-2.5539) / x**-2.5539),
        lambda g, x: g * (np.cos(x**-2.5539) - np.sin(x**-2.5539) / x**-2.5539) * -2.5539 / x,
        (np.array([2.5157e-05, 0.9]),),
        "the finest table of differences takes them for noise, and far away f is a million million times higher",
        {UNDECIDED},
        {lambda g: g + 1e3 * np.eye(2)[1]: {MISMATCH}, lambda g: 2 * g: {MISMATCH}},
        mode="fast",
    ),
    Case(
        "waves-beside-1e10",
        waves_beside_a_large_number,
        waves_beside_a_large_number_vjp,
        (
            np.array(
                [
                    [120960777.03049424, 134317618.92360768, -124016925.47709665, 57994839.4692135],
                    [-25030329.816552415, 44945751.80396173, 28305518.874982364, 22639745.680630915],
                    [126496852.04179643, -194058544.04280674, 24282816.323375642, 68397704.3934749],
                ]
            ),
        ),
        "waves shorter than all spacings look like noise, and beside a large number like a float32's",
        {MATCH, UNDECIDED},
        {lambda g: -g: {MISMATCH, UNDECIDED}, lambda g: 0 * g: {MISMATCH, UNDECIDED}},
    ),
]

# ---------------------------------------------------------------------- treads


def mixed_digits(x, w, b):
    return tanh32(w @ x + b).sum()


def mixed_digits_vjp(g, x, w, b):
    slope = g * tanh_slope(w @ x + b)
    return w.T @ slope, slope @ x.T, slope.sum(axis=1, keepdims=True)


def pseudo_huber(x):
    return np.sqrt(1 + x * x) - 1


def two_treads(x):
    products = np.array([x[0, 0] * x[1, 0] + x[0, 1] * x[1, 1], x[1, 0] ** 2 + x[1, 1] ** 2])
    return 1.05 * pseudo_huber(products)


def two_treads_vjp(g, x):
    products = np.array([x[0, 0] * x[1, 0] + x[0, 1] * x[1, 1], x[1, 0] ** 2 + x[1, 1] ** 2])
    g = 1.05 * g * products / np.sqrt(1 + products**2)
    return np.stack([g[0] * x[1], g[0] * x[0] + 2 * g[1] * x[1]])


def quantised_product(x):
    return 0.5003321828830536 * ((np.sin(np.prod(x)) + 1e6) - 1e6)


def quantised_product_vjp(g, x):
    return 0.5003321828830536 * g * np.cos(np.prod(x)) * np.prod(x) / x


def saturated32(x, q):
    return tanh32(-np.sum(softmax(q) * log_softmax(x)))


def saturated32_vjp(g, x, q):
    loss = -np.sum(softmax(q) * log_softmax(x))
    return g * tanh_slope(loss) * (softmax(x) - softmax(q)), -g * tanh_slope(loss) * softmax(q) * (
        log_softmax(x) + loss
    )


def saturated_maximum(x):
    return np.log1p(np.max(tanh32(x)))


def saturated_maximum_vjp(g, x):
    out = np.zeros_like(x)
    best = np.argmax(tanh32(x))
    out[best] = g * tanh_slope(x[best]) / (1 + np.tanh(x[best]))
    return out


def shrunk_gram(x):
    q = tanh32(x @ x.T)
    return q * np.abs(q) - np.tanh(q * np.abs(q))


def shrunk_gram_vjp(g, x):
    q = np.tanh(x @ x.T)
    slope = g * np.tanh(q * np.abs(q)) ** 2 * 2 * np.abs(q) * tanh_slope(x @ x.T)
    return (slope + slope.T) @ x


TREADS = [
    Case(
        "float32-and-zeros",
        mixed_digits,
        mixed_digits_vjp,
        (
            np.array([[-3.0, -3.0, 3.0, 3.0, 2.0], [1.0, -3.0, -2.0, 0.0, 0.0]]),
            np.array([[-2.0, -2.0], [0.0, 1.0]]),
            np.array([[-2.0], [0.0]]),
        ),
        "float32 is fine near 0: over short steps the terms of many digits move, and the others stand on their treads",
        {MATCH, UNDECIDED},
        {lambda g: 1.1 * g: {MISMATCH}},
        seed=31,
    ),
    Case(
        "treads-of-two-outputs",
        two_treads,
        two_treads_vjp,
        (np.array([[1.49158945e-07, 5.44158494e-06], [-1.70846258e-05, -4.22242857e-07]]),),
        "the first tread that an entry leads to is of one output, and what it claims is hidden by that of another",
        {MATCH, UNDECIDED},
        {far_off: {MISMATCH}},
    ),
    Case(
        "nothing-but-zeros",
        quantised_product,
        quantised_product_vjp,
        (np.array([1.0170201249360315e-09, 4.195865330107464e-09, -6.847939638291068e-09]),),
        "f is 0 wherever one entry alone goes, and climbs in treads of 1e-10 where all do",
        {UNDECIDED, MATCH},
        {far_off: {MISMATCH}},
    ),
    Case(
        "saturated-float32",
        saturated32,
        saturated32_vjp,
        (np.array([17.56919839745569, -9.667607557219256]), np.array([0.5063618442489005, 0.7279290905274032])),
        "f is 1 all around: it has shown no digit that float32 does not have",
        {UNDECIDED, MATCH},
        {far_off: {MISMATCH}},
    ),
    Case(
        "saturated-float32-maximum",
        saturated_maximum,
        saturated_maximum_vjp,
        (np.array([-10.14252586348325, 10.060861202811967, 28.309870136549264, 39.05189835692262]),),
        "three are tied at float32's 1: only where all of them leave it does f show its treads",
        {UNDECIDED, MATCH},
        {far_off: {MISMATCH}, lambda g: g + 1e-5: {MISMATCH}},
        seed=31005754,
    ),
    Case(
        "float32-beside-the-flat",
        shrunk_gram,
        shrunk_gram_vjp,
        (np.array([[2.0, 3.0], [3.0, -2.0]]),),
        "outputs with a flat of their own hide that others are rounded in float32",
        {UNDECIDED, MATCH},
        {far_off: {MISMATCH}, lambda g: g + 1e-5: {MISMATCH}},
    ),
]

# ---------------------------------------------------------------------- what rounding leaves of a gradient


def group_of_two(x, bias):
    x = x + bias
    centred = x - x.mean(axis=-1, keepdims=True)
    return np.maximum(centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5), 0)


def group_of_two_vjp(g, x, bias):
    x = x + bias
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    hat = centred / spread
    g = g * (hat > 0)
    dx = (g - g.mean(axis=-1, keepdims=True) - hat * (g * hat).mean(axis=-1, keepdims=True)) / spread
    return dx, dx.sum()


def soft_cross_entropy(x, logits):
    return -np.sum(softmax(logits) * log_softmax(x))


def soft_cross_entropy_vjp(g, x, logits):
    q, logs = softmax(logits), log_softmax(x)
    return g * (softmax(x) - q), -g * q * (logs - np.sum(q * logs))


def large_beside_small(x):
    first, second = log_softmax(x)
    return 932.25 * first + 4.7e-11 * np.sin(second)


def large_beside_small_vjp(g, x):
    g = g * np.array([932.25, 4.7e-11 * np.cos(log_softmax(x)[1])])
    return g - softmax(x) * g.sum()


def sorted_probabilities(x):
    return 1 / (1 + np.exp(-log_softmax(np.sort(x))))


def sorted_probabilities_vjp(g, x):
    order, s = np.argsort(x), sorted_probabilities(x)
    g, dx = g * s * (1 - s), np.empty(x.shape)
    dx[order] = g - softmax(x[order]) * g.sum()
    return dx


def softmax32(x):
    return softmax(x).astype(np.float32).astype(np.float64)


def softmax32_vjp(g, x):
    return softmax(x) * (g - np.sum(g * softmax(x)))


def lost_waves(x):
    return 1e3 * (np.sqrt(1 + (np.sin(x) / x) ** 2) - 1)


def lost_waves_vjp(g, x):
    u = np.sin(x) / x
    return 1e3 * g * u / np.sqrt(1 + u * u) * (np.cos(x) - u) / x


def square_of_rounded(x):
    return (tanh32(x) - float(np.tanh(np.float32(-1)))) ** 2


def square_of_rounded_vjp(g, x):
    return 2 * g * (tanh32(x) - float(np.tanh(np.float32(-1)))) * tanh_slope(x)


LOST = [
    Case(
        "bias-before-a-norm",
        group_of_two,
        group_of_two_vjp,
        (
            np.array([[-0.0020803, 0.0245487], [-0.0025377, 0.2619998], [0.0227306, -0.0080572]]),
            np.array(3.279667519175491),
        ),
        "its gradient is 0, and what rounding leaves of it is the same for all last bits",
        {MATCH, UNDECIDED},
        {lambda g: g + 1e-3: {MISMATCH}},
    ),
    Case(
        "one-less-one",
        soft_cross_entropy,
        soft_cross_entropy_vjp,
        (
            np.array([3380756.0243641925, -3.000718768728114e-07]),
            np.array([-1.5685150629158624e-05, -59.21105643194756]),
        ),
        "1 - (1 - 2e-26) is 0: beside the slopes that f has elsewhere 2e-26 is below the last bit",
        {UNDECIDED, MATCH},
        {lambda g: g + 1e-3: {MISMATCH}},
    ),
    Case(
        "less-than-its-last-bits",
        large_beside_small,
        large_beside_small_vjp,
        (np.array([60.0, 0.3]),),
        "932 - (932 + 5e-11): what remains is a multiple of the last bit of 932",
        {UNDECIDED, MATCH},
        {lambda g: 1.5 * g: {MISMATCH}, lambda g: g + 1e-3: {MISMATCH}},
    ),
    Case(
        "less-than-its-last-bits-everywhere",
        lambda x: 932.25 * log_softmax(x)[0] + 2.5e-13 * log_softmax(x)[1],
        lambda g, x: g * np.array([932.25, 2.5e-13]) - softmax(x) * (g * 932.25 + g * 2.5e-13),
        (np.array([60.0, 0.3]),),
        "the same, and what remains is the same multiple everywhere",
        {UNDECIDED, MATCH},
        {lambda g: 100 * g: {MISMATCH}, lambda g: g + 1e-3: {MISMATCH}},
    ),
    Case(
        "one-of-three-stands-still",
        sorted_probabilities,
        sorted_probabilities_vjp,
        (np.array([-1.5, 37.0, 73.0]),),
        "the largest has half of the slope, and moves by less than the last bit of 0.5, but at no step tried to see it",
        {UNDECIDED, MATCH},
        {lambda g: g + 1e-3: {MISMATCH}},
    ),
    Case(
        "one-of-three-stands-still-in-float32",
        softmax32,
        softmax32_vjp,
        (np.array([0.4, -25.0, -26.5]),),
        "the largest has half of the slope, and moves by less than float32's last bit of 1",
        {UNDECIDED, MATCH},
        {lambda g: g + 1e-3: {MISMATCH}},
    ),
    Case(
        "waves-below-the-last-bit-of-1",
        lost_waves,
        lost_waves_vjp,
        (np.array([-201975055.86737537, 110053839.96854612]),),
        "f is 0 far and wide, and the claim that of waves, which cancel: over the length of one it predicts nothing",
        {UNDECIDED, MATCH},
        {lambda g: g + 1e-8: {MISMATCH}},
    ),
    Case(
        "least-square-of-what-is-rounded",
        square_of_rounded,
        square_of_rounded_vjp,
        (np.array(-0.999999999972672),),
        "its input is rounded, and so is where the square is least: by as much as all slopes nearby are off",
        {UNDECIDED, MATCH},
        {lambda g: g + 1e-3: {MISMATCH}},
    ),
]

# ---------------------------------------------------------------------- first looks


def cosine(x, y):
    return np.sum(x * y) / (np.sqrt(np.sum(x * x) + 1e-6) * np.sqrt(np.sum(y * y) + 1e-6))


def cosine_vjp(g, x, y):
    a, b = np.sqrt(np.sum(x * x) + 1e-6), np.sqrt(np.sum(y * y) + 1e-6)
    c = np.sum(x * y) / (a * b)
    return g * (y / (a * b) - c * x / (a * a)), g * (x / (a * b) - c * y / (b * b))


SMALL = (
    np.array([-6.6228868208855895e-09, 1.2312784566946838e-09, 6.057733534359034e-09, -5.650060045110886e-09]),
    np.array([1.261609932551484e-08, 4.737560055317186e-09, -2.8558265717281985e-09, 1.220111728347817e-08]),
)
"""Beside them the first step is long, and off by 3e-5 of each slope: an error of just that agrees with it."""


def test_error_that_agrees_with_a_step_that_others_show_to_be_too_long_is_caught():
    truth = cosine_vjp(1.0, *SMALL)[0][0]
    step = 2.0**-17
    x = SMALL[0].copy()
    x[0] += step
    forward = cosine(x, SMALL[1])
    x[0] -= 2 * step
    first_look = (forward - cosine(x, SMALL[1])) / (2 * step)
    assert 1e-5 < abs(first_look / truth - 1) < 1e-4

    def vjp(g, x, y):
        dx, dy = cosine_vjp(g, x, y)
        dx[0] *= first_look / truth
        return dx, dy

    assert check_vjp(cosine, cosine_vjp, *SMALL).ok
    report = check_vjp(cosine, vjp, *SMALL)
    assert [(c.name, c.index) for c in report.comparisons if c.verdict is MISMATCH] == [("x", (0,))], str(report)


def test_sides_of_a_spike_are_no_slopes():
    """The two sides of a point that lies on a tread of its own differ more, the shorter the step: no kink does."""

    class Spike:
        scale, magnitude, spacing = 1.0, 1.0, 2.0**-52

        def __init__(self, slope):
            self.slope = slope

        def at(self, step):
            return np.array([self.slope * abs(step) if self.slope else float(step != 0)]), step

    def sides(slope):
        return Differences(Spike(slope), np.zeros(1), np.ones(1), np.array([1e-3])).sides(2.0**-4)

    assert sides(0.0) == (0.0, 0.0)
    assert sides(3.0) == (-3.0, 3.0)


# ---------------------------------------------------------------------- kinks of opposite sense


def three_maxima(x):
    return 0.12 * np.max(x[:3]) - 0.09 * np.max(x[1:3]) + 0.27 * np.max(x[2:])


def three_maxima_vjp(g, x):
    out = np.zeros_like(x)
    for weight, part in ((0.12, slice(0, 3)), (-0.09, slice(1, 3)), (0.27, slice(2, 4))):
        out[part.start + np.argmax(x[part])] += weight * g
    return out


def minima_less_one(x, y):
    return np.minimum(x, y) @ np.array([0.744, -0.573])


def minima_less_one_vjp(g, x, y):
    return g * np.array([0.744, -0.573]) * (x <= y), 0 * y


KINKS = [
    Case(
        "maxima-of-both-senses",
        three_maxima,
        three_maxima_vjp,
        (np.full(4, 3.0),),
        "f is convex along two of the tied entries, and not where the third moves as well, which decides who gets what",
        {KINK},
        {lambda g: 0 * g: {MISMATCH}, lambda g: 2 * g: {MISMATCH}, lambda g: -g: {MISMATCH}},
    ),
    Case(
        "unit-length-of-0",
        lambda x, gain: gain * x / np.sqrt(x * x + 1e-6),
        lambda g, x, gain: (1e-6 * g * gain / np.sqrt(x * x + 1e-6) ** 3, (g * x / np.sqrt(x * x + 1e-6)).sum()),
        (np.array([0.0]), np.array(0.0)),
        "slopes differ nearby for f bends: what lies between them is no subgradient",
        {MATCH},
        {lambda g: g - 1e-20 * (g.ndim == 0): {MISMATCH}, lambda g: g + 1e-4: {MISMATCH}},
    ),
    Case(
        "minima-of-two-sizes",
        minima_less_one,
        minima_less_one_vjp,
        (np.array([-3.7, 0.0014]), np.array([-3.7, 0.0014])),
        "one kink bends up and the other down, where entries move 2,000 times less far",
        {KINK},
        {lambda g: 2 * g: {MISMATCH}, lambda g: -g: {MISMATCH}},
    ),
]

CASES = [*WAVES, *TREADS, *LOST, *KINKS]
with_case = pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])


def checked(case, change=lambda g: g):
    def vjp(*arguments):
        result = case.vjp(*arguments)
        arrays = [change(np.asarray(g)) for g in (result if isinstance(result, tuple) else (result,))]
        return tuple(arrays) if isinstance(result, tuple) else arrays[0]

    with np.errstate(all="ignore"):
        return check_vjp(case.f, vjp, *case.inputs, seed=case.seed, mode=case.mode)


@with_case
def test_right_gradient_is_not_accused(case):
    for seed in {case.seed, 1, 2, 3}:
        report = check_vjp(case.f, case.vjp, *case.inputs, seed=seed, mode=case.mode)
        assert report.verdict in case.verdicts, f"seed {seed}: {case.why}\n{report}"


@with_case
def test_wrong_gradient_does_not_pass(case):
    for change, verdicts in case.wrong.items():
        report = checked(case, change)
        assert report.verdict in verdicts, f"{case.why}\n{report}"


def test_a_vague_projection_of_few_entries_leaves_them_to_be_judged_one_by_one():
    """Beside the noise of float32 inside f, the sum of two errors of 1 % may be small; each by itself is not."""
    x = np.array([0.5, -1.0])
    for seed in range(20):
        right = check_vjp(tanh32, lambda g, x: g * tanh_slope(x), x, mode="fast", seed=seed)
        wrong = check_vjp(tanh32, lambda g, x: 1.01 * g * tanh_slope(x), x, mode="fast", seed=seed)
        assert right.verdict is MATCH, str(right)
        assert wrong.verdict is MISMATCH, str(wrong)


def test_a_step_that_float32_rounds_away_proves_nothing():
    """At a step that no entry takes, what rounding does to the claim is all that there is to compare it with."""
    x = np.array([-21.5], np.float32)

    def f(x):
        return (x * np.clip(x + 3, 0, 6) / 6).astype(np.float32)

    for seed in range(20):
        assert check_vjp(f, lambda g, x: 0 * g, x, mode="fast", seed=seed).verdict is MATCH
        wrong = check_vjp(f, lambda g, x: np.float32(1e-3) * g, x, mode="fast", seed=seed)
        assert wrong.verdict is MISMATCH, str(wrong)
