"""Normalisation: statistics that depend on what they normalise, so that constants there are the usual mistake."""

import numpy as np

from tests.numerics.table.functions import norm
from tests.numerics.table.row import Row

RNG = np.random.default_rng(22)
TALL = RNG.normal(size=(6, 3))
SCALE, SHIFT = RNG.normal(size=3), RNG.normal(size=3)


def normaliser(axis, eps=1e-5):
    """Return a layer that normalises along an axis, scales and shifts; and its pullback."""

    def forward(x, scale, shift):
        return scale * (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + eps) + shift

    def vjp(g, x, scale, shift, *, through_mean=True, through_variance=True):
        spread = np.sqrt(x.var(axis=axis, keepdims=True) + eps)
        hat = (x - x.mean(axis=axis, keepdims=True)) / spread
        dhat = g * scale
        dx = dhat.copy()
        if through_mean:
            dx -= dhat.mean(axis=axis, keepdims=True)
        if through_variance:
            dx -= hat * (dhat * hat).mean(axis=axis, keepdims=True)
        return dx / spread, (g * hat).sum(axis=0), g.sum(axis=0)

    return forward, vjp


batch_norm, batch_norm_vjp = normaliser(axis=0)
layer_norm, layer_norm_vjp = normaliser(axis=1)


def group_norm(x, scale):
    grouped = x.reshape(len(x), 2, -1)
    hat = (grouped - grouped.mean(axis=2, keepdims=True)) / np.sqrt(grouped.var(axis=2, keepdims=True) + 1e-5)
    return scale * hat.reshape(x.shape)


def group_norm_vjp(g, x, scale, *, groups=2):
    grouped, cotangent = (array.reshape(len(x), groups, -1) for array in (x, g * scale))
    spread = np.sqrt(grouped.var(axis=2, keepdims=True) + 1e-5)
    hat = (grouped - grouped.mean(axis=2, keepdims=True)) / spread
    inner = cotangent - cotangent.mean(axis=2, keepdims=True) - hat * (cotangent * hat).mean(axis=2, keepdims=True)
    return (inner / spread).reshape(x.shape), (g * hat.reshape(x.shape)).sum(axis=0)


def rms_norm(x, scale):
    return scale * x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6)


def rms_norm_vjp(g, x, scale, *, through_root=True):
    root = np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6)
    dx = g * scale / root
    if through_root:
        dx = dx - x * np.mean(g * scale * x, axis=-1, keepdims=True) / root**3
    return dx, (g * x / root).sum(axis=0)


def cosine(a, b):
    return np.sum(a * b) / (norm(a) * norm(b))


def cosine_vjp(g, a, b):
    return g * (b / norm(b) - cosine(a, b) * a / norm(a)) / norm(a), g * (
        a / norm(a) - cosine(a, b) * b / norm(b)
    ) / norm(b)


def weight_norm_vjp(g, v, s):
    unit = v / norm(v)
    return s * (g - unit * np.sum(g * unit)) / norm(v), np.sum(g * unit)


ROWS = [
    Row(
        "batch-norm",
        batch_norm,
        batch_norm_vjp,
        (TALL, SCALE, SHIFT),
        "a cotangent of ones is in the null space of its input's gradient",
        wrong={
            "mean-as-constant": lambda g, *a: batch_norm_vjp(g, *a, through_mean=False),
            "variance-as-constant": lambda g, *a: batch_norm_vjp(g, *a, through_variance=False),
            "both-as-constants": lambda g, *a: batch_norm_vjp(g, *a, through_mean=False, through_variance=False),
        },
    ),
    Row(
        "batch-norm-of-offset-data",
        batch_norm,
        batch_norm_vjp,
        (TALL + 1e4, SCALE, SHIFT),
        "eight digits cancel in x - mean",
        wrong={"mean-as-constant": lambda g, *a: batch_norm_vjp(g, *a, through_mean=False)},
    ),
    Row(
        "batch-norm-of-two",
        batch_norm,
        batch_norm_vjp,
        (TALL[:2], SCALE, SHIFT),
        "a batch of two is normalised to -1 and 1: the gradient of x is nearly zero, 1e-5 times the rest",
        wrong={"both-as-constants": lambda g, *a: batch_norm_vjp(g, *a, through_mean=False, through_variance=False)},
        accuracy=1e-4,
    ),
    Row(
        "batch-norm-of-constant-columns",
        batch_norm,
        batch_norm_vjp,
        (np.repeat([[0.5, -1.0, 3.0]], 4, axis=0), SCALE, SHIFT),
        "variance 0: all curvature is within sqrt(eps) = 0.003",
        wrong={"variance-forgotten-in-spread": lambda g, x, w, b: (g * w, *batch_norm_vjp(g, x, w, b)[1:])},
    ),
    Row(
        "layer-norm",
        layer_norm,
        layer_norm_vjp,
        (TALL, SCALE, SHIFT),
        "the same along the other axis; the scale's gradient is still summed over the batch",
        wrong={
            "batch-norm-formula": lambda g, *a: batch_norm_vjp(g, *a),
            "mean-as-constant": lambda g, *a: layer_norm_vjp(g, *a, through_mean=False),
        },
    ),
    Row(
        "layer-norm-of-small-inputs",
        layer_norm,
        layer_norm_vjp,
        (TALL * 1e-6, SCALE, SHIFT),
        "the spread is all epsilon: slopes of 300 at inputs of 1e-6",
        wrong={
            "epsilon-forgotten": lambda g, x, w, b: (
                normaliser(1, 0.0)[1](g, x, w, b)[0],
                *layer_norm_vjp(g, x, w, b)[1:],
            )
        },
    ),
    Row(
        "group-norm",
        group_norm,
        group_norm_vjp,
        (RNG.normal(size=(3, 6)), RNG.normal(size=6)),
        "groups of three channels",
        wrong={"as-one-group": lambda g, *a: group_norm_vjp(g, *a, groups=1)},
    ),
    Row(
        "rms-norm",
        rms_norm,
        rms_norm_vjp,
        (RNG.normal(size=(3, 5)), RNG.normal(size=5)),
        "no mean to forget, but the root",
        wrong={"root-as-constant": lambda g, *a: rms_norm_vjp(g, *a, through_root=False)},
    ),
    Row(
        "rms-norm-at-0",
        rms_norm,
        rms_norm_vjp,
        (np.array([[0.0, 0.0, 0.0], [1e-4, -1e-3, 0.0]]), np.array([1.0, -2.0, 0.5])),
        "epsilon alone keeps it smooth: a slope of 1000 at 0",
        wrong={"zero-at-0": lambda g, x, w: (rms_norm_vjp(g, x, w)[0] * (x != 0), rms_norm_vjp(g, x, w)[1])},
    ),
    Row(
        "normalised",
        lambda x: x / norm(x),
        lambda g, x: (g - x * np.sum(g * x) / np.sum(x**2)) / norm(x),
        (RNG.normal(size=(3, 4)),),
        "the projection off the radial direction is what people forget",
        wrong={"length-as-constant": lambda g, x: g / norm(x)},
    ),
    Row(
        "cosine-similarity",
        cosine,
        cosine_vjp,
        (RNG.normal(size=5), 1e3 * RNG.normal(size=5)),
        "two inputs of very different length: gradients 1000 apart",
        wrong={"lengths-as-constants": lambda g, a, b: (g * b / norm(a) / norm(b), g * a / norm(a) / norm(b))},
    ),
    Row(
        "cosine-similarity-of-itself",
        lambda a: cosine(a, np.array([1.0, 2.0, 2.0])),
        lambda g, a: cosine_vjp(g, a, np.array([1.0, 2.0, 2.0]))[0],
        (np.array([2.0, 4.0, 4.0]),),
        "parallel vectors: the gradient is exactly 0, and f at its maximum",
        wrong={"lengths-as-constants": lambda g, a: g * np.array([1.0, 2.0, 2.0]) / 18},
    ),
    Row(
        "weight-norm",
        lambda v, s: s * v / norm(v),
        weight_norm_vjp,
        (RNG.normal(size=(3, 2)), np.array(1.7)),
        "a direction and a length as parameters",
        wrong={"direction-as-free": lambda g, v, s: (s * g / norm(v), weight_norm_vjp(g, v, s)[1])},
    ),
    Row(
        "standardised-by-sample-deviation",
        lambda x: (x - x.mean()) / x.std(ddof=1),
        lambda g, x: (
            (g - g.mean() - (x - x.mean()) * np.sum(g * (x - x.mean())) / np.sum((x - x.mean()) ** 2)) / x.std(ddof=1)
        ),
        (RNG.normal(size=7),),
        "n - 1 in the deviation: the same formula with n is off by 1 / 7",
        wrong={
            "biased": lambda g, x: (
                (g - g.mean() - (x - x.mean()) * np.sum(g * (x - x.mean())) / np.sum((x - x.mean()) ** 2)) / x.std()
            )
        },
    ),
]
