"""float32 and float16 layers: the check differentiates in float64 where it can, and compares the low backward with that."""

import numpy as np

from tests.numerics.table.functions import log_softmax, norm, softmax, softmax_vjp, stable_sigmoid
from tests.numerics.table.losses import cross_entropy, cross_entropy_vjp
from tests.numerics.table.normalisers import batch_norm, batch_norm_vjp
from tests.numerics.table.row import COARSE, Row

RNG = np.random.default_rng(30)
Z = RNG.normal(size=(3, 4))
SINGLE, HALF = np.float32, np.float16


def low(dtype, *arrays):
    return tuple(np.asarray(array).astype(dtype) if np.asarray(array).dtype.kind == "f" else array for array in arrays)


def both(name, f, vjp, inputs, why, **others):
    """Return the row in float32 and in float16."""
    return [
        Row(f"{name}-{dtype.__name__}", f, vjp, low(dtype, *inputs), why, accuracy=accuracy, **others)
        for dtype, accuracy in ((SINGLE, 1e-4), (HALF, 1e-2))
    ]


def insisting(f):
    """A layer that computes in float32 whatever it is given: differences are all that is left."""
    return lambda *arrays: f(*low(SINGLE, *arrays)).astype(SINGLE)


def matmul_vjp(g, a, b):
    return g @ b.T, a.T @ g


LOW = [
    *both("tanh", np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2), (Z,), "the simplest layer in low precision"),
    *both(
        "relu",
        lambda x: np.maximum(x, 0),
        lambda g, x: g * (x > 0),
        (Z,),
        "exact in every precision",
        wrong={"leaky": lambda g, x: g * np.where(x > 0, x.dtype.type(1), x.dtype.type(0.25))},
    ),
    *both(
        "softmax",
        softmax,
        softmax_vjp,
        (Z,),
        "no factor is exact",
        wrong={"diagonal-only": lambda g, z: g * softmax(z) * (1 - softmax(z))},
    ),
    *both(
        "log-softmax",
        log_softmax,
        lambda g, z: g - softmax(z) * g.sum(axis=-1, keepdims=True),
        (Z,),
        "sums in low precision",
        wrong={"identity": lambda g, z: g.copy()},
    ),
    *both(
        "cross-entropy",
        cross_entropy,
        lambda g, z, t: cross_entropy_vjp(g, z, t).astype(z.dtype),
        (Z, np.array([0, 3, 1])),
        "integer labels stay",
        wrong={"sign": lambda g, z, t: -cross_entropy_vjp(g, z, t).astype(z.dtype)},
    ),
    *both(
        "batch-norm",
        batch_norm,
        batch_norm_vjp,
        (RNG.normal(size=(6, 3)), RNG.normal(size=3), RNG.normal(size=3)),
        "cancellations in low precision",
        wrong={"mean-as-constant": lambda g, *a: batch_norm_vjp(g, *a, through_mean=False)},
    ),
    *both("norm", norm, lambda g, x: g * x / norm(x), (Z,), "a scalar", wrong={"squared": lambda g, x: 2 * g * x}),
    *both(
        "matmul",
        np.matmul,
        matmul_vjp,
        (Z, RNG.normal(size=(4, 2))),
        "sums of products",
        wrong={"factor": lambda g, a, b: (g @ b.T, 2 * a.T @ g)},
    ),
    *both(
        "two-outputs",
        lambda x: (np.sin(x), np.cos(x)),
        lambda g, x: g[0] * np.cos(x) - g[1] * np.sin(x),
        (Z,),
        "two outputs",
        wrong={
            "second-forgotten": lambda g, x: g[0] * np.cos(x),
            "sign": lambda g, x: g[0] * np.cos(x) + g[1] * np.sin(x),
        },
    ),
]

HARD = [
    Row(
        "scales-in-float32",
        lambda x: x * x,
        lambda g, x: 2 * g * x,
        low(SINGLE, np.array([1e-8, -1e-3, 1.0, 1e4, 1e8])),
        "sixteen orders of magnitude in seven digits",
        accuracy=1e-4,
    ),
    Row(
        "overflow-near-in-float16",
        lambda x: x * x,
        lambda g, x: 2 * g * x,
        low(HALF, np.array([200.0, -0.5, 1e-3])),
        "200 squared is 40000, and 65504 the largest number",
        accuracy=1e-2,
    ),
    Row(
        "all-1e-7-in-float32",
        lambda x: SINGLE(1e-7) * np.sin(x),
        lambda g, x: g * SINGLE(1e-7) * np.cos(x),
        low(SINGLE, Z[0]),
        "small gradients in float32: keras, caffe and torch pass anything here",
        accuracy=1e-4,
    ),
    Row(
        "cube-at-1e-4-in-float32",
        lambda x: x**3,
        lambda g, x: g * 3 * x**2,
        low(SINGLE, np.array([1e-4, 2e-4, -1e-4])),
        "right in float64 and wrong in float32 where it is written as (1 + x^2) - 1",
        wrong={"cancels": lambda g, x: g * 3 * ((1 + x**2) - 1)},
        accuracy=1e-4,
    ),
    Row(
        "saturated-sigmoid-in-float32",
        stable_sigmoid,
        lambda g, x: g * stable_sigmoid(x) * stable_sigmoid(-x),
        low(SINGLE, np.array([-12.0, 0.3, 12.0])),
        "1 - 6e-6 in float32: 1 - s is good to two digits, s(-x) to seven",
        wrong={"from-the-output-of-tanh": lambda g, x: g * (1 - np.tanh(x) ** 2)},
        accuracy=1e-4,
    ),
    Row(
        "relu-at-0-in-float32",
        lambda x: np.maximum(x, 0),
        lambda g, x: g * (x > 0),
        low(SINGLE, np.array([0.0, -1.0, 2.0])),
        "a kink in low precision",
        expect="kink",
        wrong={"negative": lambda g, x: g * np.where(x == 0, SINGLE(-1), (x > 0).astype(SINGLE))},
    ),
    Row(
        "float32-weights-of-a-float64-input",
        lambda x, w: x @ w,
        lambda g, x, w: ((g @ w.T).astype(x.dtype), (x.T @ g).astype(w.dtype)),
        (Z, Z.T.astype(SINGLE)),
        "mixed precision",
        wrong={"factor": lambda g, x, w: ((g @ w.T).astype(x.dtype), (2 * x.T @ g).astype(w.dtype))},
        accuracy=1e-4,
    ),
]

INSISTING = [
    Row(
        "insists-on-float32-tanh",
        insisting(np.tanh),
        lambda g, x: (g * (1 - np.tanh(x) ** 2)).astype(SINGLE),
        low(SINGLE, Z[0]),
        "noise of 1e-7, and no float64 to be had",
        accuracy=COARSE,
    ),
    Row(
        "insists-on-float32-softmax",
        insisting(softmax),
        lambda g, z: softmax_vjp(g, z).astype(SINGLE),
        low(SINGLE, Z),
        "the same, with entries that share outputs",
        wrong={"no-correction": lambda g, z: (g * softmax(z)).astype(SINGLE)},
        accuracy=COARSE,
    ),
    Row(
        "insists-on-float32-matmul",
        insisting(np.matmul),
        lambda g, a, b: tuple(part.astype(SINGLE) for part in matmul_vjp(g, a, b)),
        low(SINGLE, Z, Z.T.copy()),
        "linear: wide steps are exact",
        wrong={"factor": lambda g, a, b: ((g @ b.T).astype(SINGLE), (2 * a.T @ g).astype(SINGLE))},
        accuracy=COARSE,
    ),
]

ROWS = [*LOW, *HARD, *INSISTING]
