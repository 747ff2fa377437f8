"""Reductions and scans along an axis: sums, products with zeros, order statistics, norms."""

import numpy as np

from tests.numerics.table.functions import norm
from tests.numerics.table.row import Row

RNG = np.random.default_rng(23)
Z = RNG.normal(size=(3, 4))


def sort_vjp(g, x):
    dx = np.empty_like(x)
    dx[np.argsort(x)] = g
    return dx


def at(index, size):
    return (np.arange(size) == index) * 1.0


def at_largest(g, x):
    dx = np.zeros_like(x)
    dx[np.arange(len(x)), x.argmax(axis=1)] = g
    return dx


def product_vjp(g, x):
    return g * np.array([np.prod(np.delete(x, k)) for k in range(x.size)])


def cumulative_product_vjp(g, x):
    return np.array([sum(g[j] * np.prod(np.delete(x[: j + 1], k)) for j in range(k, x.size)) for k in range(x.size)])


def divided(g, x):
    """The usual formula, which divides by x."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.cumsum((g * np.cumprod(x))[::-1])[::-1] / x


def quantile_vjp(g, x, q=0.3):
    position = q * (x.size - 1)
    low, share, order = int(position), position % 1, np.argsort(x)
    return g * ((1 - share) * at(order[low], x.size) + share * at(order[low + 1], x.size))


def top_two_vjp(g, x):
    order = np.argsort(-x)
    dx = np.zeros_like(x)
    dx[order[:2]] = g
    return dx


def p_norm(p):
    def vjp(g, x):
        size = np.sum(np.abs(x) ** p) ** (1 / p)
        return g * np.sign(x) * (np.abs(x) / size) ** (p - 1)

    return lambda x: np.sum(np.abs(x) ** p) ** (1 / p), vjp


def moving_average_vjp(g, x, decay=0.9):
    dx, carried = np.zeros_like(x), 0.0
    for k in reversed(range(x.size)):
        carried = g[k] + decay * carried
        dx[k] = (1 - decay) * carried
    return dx


def moving_average(x, decay=0.9):
    out, state = np.zeros_like(x), 0.0
    for k in range(x.size):
        state = decay * state + (1 - decay) * x[k]
        out[k] = state
    return out


ROWS = [
    Row(
        "mean",
        np.mean,
        lambda g, x: np.full(x.shape, g / x.size),
        (Z,),
        "a scalar",
        wrong={"sum": lambda g, x: np.full(x.shape, g)},
    ),
    Row(
        "sum-over-both-ends",
        lambda x: x.sum(axis=(0, 2)),
        lambda g, x: np.broadcast_to(g[None, :, None], x.shape).copy(),
        (RNG.normal(size=(2, 3, 2)),),
        "two axes, and the one between stays",
        wrong={"axes-swapped": lambda g, x: np.broadcast_to(g[::-1][None, :, None], x.shape).copy()},
    ),
    Row(
        "broadcast-sum",
        lambda x, b: x + b,
        lambda g, x, b: (g.copy(), g.sum(axis=0)),
        (RNG.normal(size=(6, 3)), np.zeros(3)),
        "a bias: summed over the batch",
        wrong={"mean": lambda g, x, b: (g.copy(), g.mean(axis=0))},
    ),
    Row(
        "broadcast-from-one-column",
        lambda x, w: x * w,
        lambda g, x, w: (g * w, (g * x).sum(axis=1, keepdims=True)),
        (Z, RNG.normal(size=(3, 1))),
        "broadcast along the last axis: the kept axis of length 1 has to be summed",
        wrong={"first-column-only": lambda g, x, w: (g * w, (g * x)[:, :1])},
    ),
    Row(
        "variance",
        np.var,
        lambda g, x: 2 * g * (x - x.mean()) / x.size,
        (Z,),
        "n against n - 1 is 9 % here",
        wrong={"unbiased": lambda g, x: 2 * g * (x - x.mean()) / (x.size - 1)},
    ),
    Row(
        "variance-of-offset-data",
        np.var,
        lambda g, x: 2 * g * (x - x.mean()) / x.size,
        (Z + 1e6,),
        "six digits cancel in x - mean",
        wrong={"second-moment": lambda g, x: 2 * g * x / x.size},
    ),
    Row(
        "standard-deviation",
        lambda x: x.std(axis=0, ddof=1),
        lambda g, x: g * (x - x.mean(axis=0)) / (x.std(axis=0, ddof=1) * (len(x) - 1)),
        (RNG.normal(size=(5, 2)),),
        "sample deviation by columns",
        wrong={"biased": lambda g, x: g * (x - x.mean(axis=0)) / (x.std(axis=0, ddof=1) * len(x))},
    ),
    Row(
        "standard-deviation-of-equal-values",
        np.std,
        lambda g, x: g * np.nan_to_num((x - x.mean()) / (x.size * max(x.std(), 1e-300))),
        (np.ones(4),),
        "a kink as of the norm at 0, where torch answered NaN: pytorch#4320",
        expect="kink",
    ),
    Row(
        "product",
        np.prod,
        product_vjp,
        (Z[0],),
        "each slope is the product of the others",
        wrong={"sum-rule": lambda g, x: g * np.ones_like(x)},
    ),
    Row(
        "product-with-a-zero",
        np.prod,
        product_vjp,
        (np.array([2.0, 0.0, 3.0, -1.5]),),
        "one slope is not zero: that of the zero; p / x is NaN there: tinygrad#17404",
        wrong={
            "zero-is-dead": lambda g, x: np.zeros_like(x),
            "divided": lambda g, x: g * np.prod(x) / np.where(x == 0, 1, x),
        },
    ),
    Row(
        "product-with-two-zeros",
        np.prod,
        product_vjp,
        (np.array([2.0, 0.0, 3.0, 0.0]),),
        "every slope is exactly 0, and f moves with two at once",
        wrong={"as-with-one-zero": lambda g, x: g * np.array([0.0, 6.0, 0.0, 6.0])},
    ),
    Row(
        "cumulative-product",
        np.cumprod,
        cumulative_product_vjp,
        (Z[1],),
        "a scan with memory",
        wrong={"own-output-only": lambda g, x: g * np.cumprod(x) / x},
    ),
    Row(
        "cumulative-product-with-a-zero",
        np.cumprod,
        cumulative_product_vjp,
        (np.array([2.0, 0.0, 3.0, 4.0]),),
        "NaN in tensorflow#3862, burn#3864, pytensor#1911; the zero's slope is 32",
        wrong={"divided": divided, "guarded": lambda g, x: np.nan_to_num(divided(g, x))},
    ),
    Row(
        "cumulative-sum",
        np.cumsum,
        lambda g, x: np.cumsum(g[::-1])[::-1],
        (Z[0],),
        "its transpose runs backwards",
        wrong={"forward-again": lambda g, x: np.cumsum(g)},
    ),
    Row(
        "exponential-moving-average",
        moving_average,
        moving_average_vjp,
        (RNG.normal(size=6),),
        "a recurrence: slopes that decay",
        wrong={"no-memory": lambda g, x: 0.1 * g, "forward-again": lambda g, x: moving_average(g)},
    ),
    Row(
        "differences",
        np.diff,
        lambda g, x: np.concatenate([[0], g]) - np.concatenate([g, [0]]),
        (Z[0],),
        "one output fewer than inputs",
        wrong={"ends-forgotten": lambda g, x: np.concatenate([[0], -np.diff(g), [0]])},
    ),
    Row(
        "trapezoid-rule",
        lambda y, x: np.trapezoid(y, x) if hasattr(np, "trapezoid") else np.trapz(y, x),  # noqa: NPY201  # numpy 1
        lambda g, y, x: (
            g * 0.5 * (np.append(np.diff(x), 0) + np.insert(np.diff(x), 0, 0)),
            g * 0.5 * (np.insert(y[1:] + y[:-1], 0, 0) - np.append(y[1:] + y[:-1], 0)),
        ),
        (Z[0], np.array([0.0, 0.5, 0.6, 2.0])),
        "uneven spacing, and the grid has a gradient too",
        wrong={
            "ends-in-full": lambda g, y, x: (
                g * np.gradient(x),
                g * 0.5 * (np.insert(y[1:] + y[:-1], 0, 0) - np.append(y[1:] + y[:-1], 0)),
            )
        },
    ),
    Row(
        "max",
        lambda x: x.max(axis=1),
        at_largest,
        (Z,),
        "one entry a row",
        wrong={"everyone": lambda g, x: np.repeat(g[:, None], 4, axis=1)},
    ),
    Row(
        "max-of-nearly-equal",
        lambda x: x.max(axis=1),
        at_largest,
        (np.array([[1.0, 1.0 + 1e-9, 0.0], [5.0, 5.0 - 1e-7, 4.0]]),),
        "the runner-up is 1e-9 behind: tensorflow-fast-rcnn#12",
        wrong={"runner-up": lambda g, x: at_largest(g, x)[:, [1, 0, 2]]},
    ),
    Row(
        "sort",
        np.sort,
        sort_vjp,
        (np.array([0.9, -1.0, 2.0, 0.3]),),
        "a permutation, and its inverse",
        wrong={"inverse-permutation": lambda g, x: g[np.argsort(x)], "unsorted": lambda g, x: g.copy()},
    ),
    Row(
        "median",
        np.median,
        lambda g, x: g * at(np.argsort(x)[len(x) // 2], len(x)),
        (np.array([0.3, -1.0, 2.0, 0.9, 0.5]),),
        "one entry counts",
        wrong={"mean": lambda g, x: g * np.full(5, 0.2)},
    ),
    Row(
        "median-of-an-even-number",
        np.median,
        lambda g, x: g * 0.5 * (at(np.argsort(x)[1], 4) + at(np.argsort(x)[2], 4)),
        (np.array([0.3, -1.0, 2.0, 0.9]),),
        "the two in the middle share; torch takes the lower one",
        wrong={"lower-one": lambda g, x: g * at(np.argsort(x)[1], 4)},
    ),
    Row(
        "quantile",
        lambda x: np.quantile(x, 0.3),
        quantile_vjp,
        (np.array([0.3, -1.0, 2.0, 0.9, 5.0, 4.4]),),
        "interpolates between two order statistics",
        wrong={"nearest": lambda g, x: g * at(np.argsort(x)[1], 6)},
    ),
    Row(
        "top-two",
        lambda x: np.sort(x)[::-1][:2].copy(),
        top_two_vjp,
        (np.array([0.3, 1.0, 2.0, -0.9]),),
        "a choice of entries, by value",
        wrong={"first-two": lambda g, x: np.concatenate([g, [0.0, 0.0]])},
    ),
    Row(
        "norm",
        norm,
        lambda g, x: g * x / norm(x),
        (Z,),
        "the Frobenius norm",
        wrong={"squared": lambda g, x: 2 * g * x, "not-normalised": lambda g, x: g * x},
    ),
    Row(
        "norm-near-0",
        norm,
        lambda g, x: g * x / norm(x),
        (1e-6 * Z,),
        "a kink at a distance of 1e-6 in all entries at once",
        wrong={"guarded-by-epsilon": lambda g, x: g * x / (norm(x) + 1e-6)},
    ),
    Row(
        "three-norm",
        *p_norm(3.0),
        (Z[0],),
        "odd power: sign and abs",
        wrong={"sign-forgotten": lambda g, x: np.abs(p_norm(3.0)[1](g, x)) * np.sign(g)},
    ),
    Row(
        "norm-of-one-and-a-half-with-a-zero",
        *p_norm(1.5),
        (np.array([1.0, 0.0, -2.0]),),
        "at a zero the slope is 0, and the second derivative infinite",
        wrong={"one-norm": lambda g, x: g * np.sign(x)},
    ),
    Row(
        "pairwise-distances",
        lambda x: np.sqrt(((x[:, None] - x) ** 2).sum(axis=2))[np.triu_indices(3, 1)],
        lambda g, x: _distances_vjp(g, x),
        (RNG.normal(size=(3, 2)),),
        "each point is in two pairs: its gradient is a sum",
        wrong={"one-side-only": lambda g, x: _distances_vjp(g, x, both=False)},
    ),
]


def _distances_vjp(g, x, *, both=True):
    dx = np.zeros_like(x)
    for cotangent, i, j in zip(g, *np.triu_indices(3, 1), strict=True):
        away = cotangent * (x[i] - x[j]) / norm(x[i] - x[j])
        dx[i] += away
        if both:
            dx[j] -= away
    return dx
