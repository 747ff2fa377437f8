"""Kinks of opposite sense, or of two sizes."""

import numpy as np

from tests.numerics.evidence.case import KINK, MATCH, MISMATCH, UNDECIDED, Case, tanh32, tanh_slope


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


def median32(x):
    return tanh32(np.median(x, axis=1))


def median32_vjp(g, x):
    out = np.zeros_like(x)
    middle = np.argsort(x, axis=1, kind="stable")[:, x.shape[1] // 2]
    out[np.arange(len(x)), middle] = g * tanh_slope(np.median(x, axis=1))
    return out


def bent_and_kinked(x):
    return 1e7 + np.sum(35 / x + 0.003 * np.maximum(x, 0.33))


def bent_and_kinked_vjp(g, x):
    return g * (-35 / x**2 + 0.003 * (x > 0.33))


EQUAL = 0.9999999984674136


def distance(x, y):
    return SIGNS @ np.abs(x - y)


def distance_vjp(g, x, y):
    slope = g * SIGNS * np.sign(x - y)
    return slope, -slope


SIGNS = np.cos(1.0 + np.arange(3))


def bent_maximum(x):
    most = np.max(x[:3])
    return np.where(most > 0, -1.27 * most, 0.14 * most)


def bent_maximum_vjp(g, x):
    tied = (x == np.max(x[:3])) & (np.arange(x.size) < 3)
    return g * np.where(np.max(x[:3]) > 0, -1.27, 0.14) * tied / tied.sum()


KINKS = [
    Case(
        "share-of-a-side-that-no-entry-shows-alone",
        bent_maximum,
        bent_maximum_vjp,
        (np.array([0.0, 0.0, 0.0, 0.1]),),
        "f falls along each of the tied entries, and stands still the other way; it falls that way where all move",
        {KINK},
        {lambda g: 10 * g: {MISMATCH}, lambda g: -30 * g: {MISMATCH}},
    ),
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
    Case(
        "equal-but-for-rounding",
        distance,
        distance_vjp,
        (np.array([-3.4e-10, 3.1e-9, EQUAL]), np.array([-1.3669160022640046, -0.5605630539083577, EQUAL])),
        "both slopes of a kink cancel to a last bit: 0 agrees within noise, but an error within the kink does so too",
        {KINK},
        {lambda g: g + 2 * (g == 0): {MISMATCH}, lambda g: -g: {MISMATCH}},
    ),
    *(
        Case(
            f"medians-on-treads-{name}",
            median32,
            median32_vjp,
            (np.array(x),),
            why,
            {KINK, UNDECIDED},
            {lambda g: 1.5 * g: {MISMATCH, UNDECIDED}, lambda g: -g: {MISMATCH}},
            seed=seed,
        )
        for name, x, why, seed in (
            (
                "alone",
                [[2.0, -3.0, -2.0], [-2.0, -2.0, -2.0], [3.0, 1.0, -3.0]],
                "three are tied: slopes add up over steps so short that float32 shows none",
                3,
            ),
            (
                "beside-another-scale",
                [[0.0, 1.0, -1.0], [-3.0, -3.0, -3.0], [-2.0, 2.0, 0.0]],
                "at 0 float32 shows all steps, and that slopes of 1 add up hides that those of 0.005 do not",
                43,
            ),
        )
    ),
    Case(
        "kink-smaller-than-the-bend",
        bent_and_kinked,
        bent_and_kinked_vjp,
        (np.array([0.33, 0.5]),),
        "noise hides the kink over short steps, and the bend over long ones: the mean of both sides is known well",
        {KINK, UNDECIDED},
        {lambda g: g + 0.1: {MISMATCH}, lambda g: g - 0.1: {MISMATCH}},
    ),
]
