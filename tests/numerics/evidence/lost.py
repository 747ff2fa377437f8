"""What rounding leaves of a gradient."""

import numpy as np

from tests.numerics.evidence.case import (
    MATCH,
    MISMATCH,
    UNDECIDED,
    Case,
    far_off,
    log_softmax,
    softmax,
    tanh32,
    tanh_slope,
)


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


SIGNED = np.cos(1.0 + np.arange(4))


def entropy_of_one(x):
    p = softmax(x)
    return SIGNED @ (p * np.log(p))


def entropy_of_one_vjp(g, x):
    p = softmax(x)
    slope = SIGNED * (np.log(p) + 1)
    return g * p * (slope - p @ slope)


def norm_of_constants(x, w):
    pairs = np.repeat((x * w)[:, np.newaxis], 2, axis=1)
    centred = pairs - pairs.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)


def norm_of_constants_vjp(g, x, w):
    h, r = norm_of_constants(x, w), 1e5**0.5  # the variance is 0
    d = (r * (g - g.mean(axis=1, keepdims=True) - h * (g * h).mean(axis=1, keepdims=True))).sum(axis=1)
    return np.array([d @ w]), d * x[0]


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
    Case(
        "entropy-of-one",
        entropy_of_one,
        entropy_of_one_vjp,
        (np.array([31.141027450561523, -24.624719619750977, -32.57977294921875, -20.31423568725586]),),
        "the largest probability rounds to 1, and what the others take from it is lost; f, of 1e-21, shows no trace",
        {UNDECIDED},
        {lambda g: 2 * g: {MISMATCH}, lambda g: 1.1 * g: {MISMATCH}, far_off: {MISMATCH}},
    ),
    Case(
        "norm-of-constants",
        norm_of_constants,
        norm_of_constants_vjp,
        (np.array([0.0]), np.array([1.0, -1.0])),
        "300 less 300 leaves 1e-14, which no other number tells the size of; but it does not grow with the cotangent",
        {MATCH, UNDECIDED},
        {far_off: {MISMATCH}},
    ),
    Case(
        "bounded-beside-what-it-can-never-move",
        lambda x: np.array([np.sin(x[0]), 1e17 + np.cos(x[0])]),
        lambda g, x: g[:1] * np.cos(x) - g[1:] * np.sin(x),
        (np.array([0.7]),),
        "the second output never reacts, however far x goes; but its last bit hides all that it is claimed to do",
        {UNDECIDED},
        {lambda g: 2 * g: {MISMATCH}, lambda g: 1.01 * g: {MISMATCH}},
    ),
    Case(
        "claimed-of-what-never-moves",
        lambda x: np.array([np.sin(x[0]), 3.0]),
        lambda g, x: g[:1] * np.cos(x),
        (np.array([0.7]),),
        "an output of ordinary size would show it",
        {MATCH},
        {lambda g: g + 1e-4: {MISMATCH}},
    ),
]
