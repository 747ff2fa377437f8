"""Treads that rounding inside f leaves, and what lies between them."""

import math

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


TARGET = np.array([-15.982981800411437, -28.098359957144073, -9.524375432567272, 22.755184184047398])


def log_cosh_error(x):
    return np.logaddexp(x - TARGET, TARGET - x).mean()


def plateau_of_ones(x):
    return np.log(tanh32(log_cosh_error(x)))


def plateau_of_ones_vjp(g, x):
    t = tanh32(log_cosh_error(x))
    return g / t * tanh_slope(log_cosh_error(x)) * np.tanh(x - TARGET) / x.size


def small_beside_a_tread(x):
    return tanh32(1e-9 * x) + tanh32(0.3 + 1e-10 * x)


def small_beside_a_tread_vjp(g, x):
    return g * (1e-9 * tanh_slope(1e-9 * x) + 1e-10 * tanh_slope(0.3 + 1e-10 * x))


def norm_of_large_squares(x):
    v = (1e10 + x**2) ** 2 + 1e10
    centred = v - v.mean()
    return np.cos(1.0 + np.arange(x.size)) @ centred / np.sqrt(np.mean(centred**2) + 1e-5)


def norm_of_large_squares_vjp(g, x):
    v = (1e10 + x**2) ** 2 + 1e10
    centred = v - v.mean()
    r = 1 / np.sqrt(np.mean(centred**2) + 1e-5)
    d = g * np.cos(1.0 + np.arange(x.size))
    d = r * (d - d.mean() - centred * r * np.mean(d * centred * r))
    return d * 2 * (1e10 + x**2) * 2 * x


ERF = np.vectorize(math.erf)


def gelu_of_a_product(w):
    z = -2.4711672622841157 * w - 6.988
    return 0.5 * z * (1 + ERF(z / math.sqrt(2)))


def gelu_of_a_product_vjp(g, w):
    z = -2.4711672622841157 * w - 6.988
    slope = 0.5 * (1 + ERF(z / math.sqrt(2))) + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return g * slope * -2.4711672622841157


def triplet(anchor, positive, negative):
    return np.maximum(0.0, np.sum((anchor - positive) ** 2 - (anchor - negative) ** 2) + 1.0)


def triplet_vjp(g, anchor, positive, negative):
    g = 2 * g * (triplet(anchor, positive, negative) > 0)
    return g * (negative - positive), g * (positive - anchor), g * (anchor - negative)


def power_triplet(anchor, positive, negative):
    return triplet(anchor**2.5, positive, negative)


def power_triplet_vjp(g, anchor, positive, negative):
    first, *others = triplet_vjp(g, anchor**2.5, positive, negative)
    return first * 2.5 * anchor**1.5, *others


def rows_of_triplets(anchor, positive, negative):
    return np.maximum(0.0, (anchor - positive) ** 2 - (anchor - negative) ** 2 + 1.0)


def rows_of_triplets_vjp(g, anchor, positive, negative):
    g = 2 * g * (rows_of_triplets(anchor, positive, negative) > 0)
    return g * (negative - positive), g * (positive - anchor), g * (anchor - negative)


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
    Case(
        "plateau-of-ones",
        plateau_of_ones,
        plateau_of_ones_vjp,
        (np.array([9.099449143843902, -28.098359957144073, -17.14174727399939, 11.684274006100406]),),
        "log(1) = 0: f's own size says nothing of the treads inside, and one entry's steps all miss them",
        {UNDECIDED},
        {far_off: {MISMATCH}},
    ),
    Case(
        "small-beside-a-tread",
        small_beside_a_tread,
        small_beside_a_tread_vjp,
        (np.array([-52.9]),),
        "one term climbs, known to a millionth; what the other adds, a tenth, is on a tread of float32",
        {UNDECIDED},
        {lambda g: 2 * g: {MISMATCH}, lambda g: 0.9 * g: {MISMATCH}, lambda g: -g: {MISMATCH}},
    ),
    Case(
        "norm-of-large-squares",
        norm_of_large_squares,
        norm_of_large_squares_vjp,
        (np.array([-1.2e-8, -6.0e-9, 2.3e-9, 1.6e-8]),),
        "f jumps by all it has between last bits of 1e20; the claim, of 1e5, holds for a step of 1e-9 only",
        {UNDECIDED},
        {lambda g: g + 1e9: {MISMATCH}},
    ),
    Case(
        "gelu-of-a-product",
        gelu_of_a_product,
        gelu_of_a_product_vjp,
        (np.array([0.5346560865666536]),),
        "1 + erf(-6) climbs in last bits of 1, which nothing near is as large as",
        {MATCH, UNDECIDED},
        {far_off: {MISMATCH}, lambda g: g + 1e-9: {MISMATCH}},
    ),
    Case(
        "triplet-of-a-huge-anchor",
        triplet,
        triplet_vjp,
        (np.array([1e40]), np.array([0.7]), np.array([-1.3])),
        "1e40 swallows what is far less: the first tread along two of them is 1e20 times as far as any usual step",
        {UNDECIDED},
        {lambda g: 1e3 * g: {MISMATCH}},
    ),
    Case(
        "dead-far-from-its-kink",
        lambda x: np.maximum(x - 1e12, 0.0),
        lambda g, x: 0 * g,
        (np.array([0.3]),),
        "beyond a kink far away f climbs, and that is no tread",
        {MATCH},
        {lambda g: g + 1: {MISMATCH}, lambda g: g + 1e-3: {MISMATCH}},
    ),
    Case(
        "never-moves",
        lambda x, y: 3.0 * x + 0 * y,
        lambda g, x, y: (3.0 * g, 0 * g),
        (np.array([0.3]), np.array([0.4])),
        "however far the entry goes",
        {MATCH},
        {lambda g: g + 1: {MISMATCH}, lambda g: g - 1e80 * (g == 0): {MISMATCH}},
    ),
    *(
        Case(
            f"equal-squares-{mode}",
            power_triplet,
            power_triplet_vjp,
            (np.array([3.8e7, 1.2e7, 2.3e8]), np.array([-1.17, -0.43, -0.61]), np.array([-1.0, 0.27, -1.27])),
            "f is 3 wherever the anchor goes; that steps of 100 are lost in numbers of 1e18 shows along other entries",
            {UNDECIDED},
            {far_off: {UNDECIDED}},
            mode=mode,
        )
        for mode in ("full", "fast")
    ),
    Case(
        "equal-squares-of-one-row",
        rows_of_triplets,
        rows_of_triplets_vjp,
        (np.array([3.0, 1e18]), np.array([-1.17, -0.43]), np.array([-1.0, 0.27])),
        "the treads of one output hide nothing of another",
        {UNDECIDED},
        {lambda g: g * [1.1, 1.0]: {MISMATCH}, lambda g: g + np.array([1e-3, 0.0]): {MISMATCH}},
    ),
]
