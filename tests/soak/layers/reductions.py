"""Layers that sum up, reorder and select: reductions, running sums, sort, gather."""

from __future__ import annotations

import numpy as np

from tests.soak.layers.layer import Layer, has_rank, of_rank, sizes

ROWS = {"shape": of_rank(1, 2, 2, 3), "accepts": has_rank(1, 2, 3, 4)}


def mean_vjp(g, x):
    return (np.repeat(g[..., None] / x.shape[-1], x.shape[-1], axis=-1),)


def variance(x):
    return ((x - x.mean(axis=-1, keepdims=True)) ** 2).mean(axis=-1)


def variance_vjp(g, x):
    return (g[..., None] * 2 * (x - x.mean(axis=-1, keepdims=True)) / x.shape[-1],)


def deviation(x):
    return np.sqrt(variance(x))


def deviation_vjp(g, x):
    s = deviation(x)[..., None]
    # where all are equal this is the tip of a cone: 0 is a legal subgradient
    return (
        g[..., None]
        * np.where(s > 0, (x - x.mean(axis=-1, keepdims=True)) / (x.shape[-1] * np.where(s > 0, s, 1)), 0).astype(
            x.dtype
        ),
    )


def norm(x):
    return np.sqrt((x * x).sum(axis=-1))


def norm_vjp(g, x):
    r = norm(x)[..., None]
    return (g[..., None] * np.where(r > 0, x / np.where(r > 0, r, 1), 0).astype(x.dtype),)


def at_index(g, index, x):
    d = np.zeros_like(x)
    np.put_along_axis(d, index[..., None], g[..., None], axis=-1)
    return (d,)


def max_shared_vjp(g, x):  # at a tie, all that are largest share it
    largest = x == x.max(axis=-1, keepdims=True)
    return ((g[..., None] * (largest / largest.sum(axis=-1, keepdims=True))).astype(x.dtype),)


def without_each(x):
    """Return, for each entry of the last axis, the product of the others; right at zeros too."""
    before, after = np.ones_like(x), np.ones_like(x)
    before[..., 1:] = np.cumprod(x[..., :-1], axis=-1)
    after[..., :-1] = np.cumprod(x[..., :0:-1], axis=-1)[..., ::-1]
    return before * after


def cumprod_vjp(g, x):
    d = np.zeros_like(x)
    for end in range(x.shape[-1]):
        d[..., : end + 1] += g[..., end, None] * without_each(x[..., : end + 1])
    return (d,)


def sort_vjp(g, x):
    d = np.empty_like(x)
    np.put_along_axis(d, np.argsort(x, axis=-1, kind="stable"), g, axis=-1)
    return (d,)


def top_two(x):
    return np.sort(x, axis=-1)[..., ::-1][..., :2]


def top_two_vjp(g, x):
    order = np.argsort(x, axis=-1, kind="stable")[..., ::-1][..., :2]
    d = np.zeros_like(x)
    np.put_along_axis(d, order, g, axis=-1)
    return (d,)


def median_vjp(g, x):
    order = np.argsort(x, axis=-1, kind="stable")
    n = x.shape[-1]
    d = np.zeros_like(x)
    for place in {(n - 1) // 2, n // 2}:
        share = g / (1 if n % 2 else 2)
        np.put_along_axis(d, order[..., place, None], share[..., None], axis=-1)
    return (d,)


def difference_vjp(g, x):
    d = np.zeros_like(x)
    d[..., 1:] += g
    d[..., :-1] -= g
    return (d,)


def gather_parameters(values, x):
    return (values.rng.integers(0, x.shape[-1], int(values.rng.integers(1, 5))),)


def gather_vjp(g, x, index):
    d = np.zeros_like(x)
    np.add.at(d, (..., index), g)
    return d, None


def scatter_add(x, index):
    y = np.zeros((3, *x.shape[1:]), x.dtype)
    np.add.at(y, index, x)
    return y


def concatenate_parameters(values, x):
    return (values(*x.shape[:-1], int(values.rng.integers(1, 4))),)


def power_spectrum(x):
    return np.abs(np.fft.rfft(x, axis=-1)).astype(x.dtype) ** 2


def power_spectrum_vjp(g, x):
    fourier = np.fft.rfft(np.eye(x.shape[-1]), axis=-1)
    weighted = g * np.conj(np.fft.rfft(x, axis=-1))
    return (2 * np.real(weighted @ fourier.T).astype(x.dtype),)


LAYERS = [
    Layer(
        "sum",
        lambda x: x.sum(axis=0),
        lambda g, x: (np.repeat(g[None], len(x), axis=0),),
        jvp=lambda t, x: t[0].sum(axis=0),
        **ROWS,
    ),
    Layer("sum_of_everything", np.sum, lambda g, x: (np.full_like(x, g),), of_rank(0, 1, 2, 3)),
    Layer("mean", lambda x: x.mean(axis=-1), mean_vjp, jvp=lambda t, x: t[0].mean(axis=-1), **ROWS),
    Layer("variance", variance, variance_vjp, **ROWS),
    Layer("deviation", deviation, deviation_vjp, **ROWS),
    Layer("norm", norm, norm_vjp, **ROWS),
    Layer("sum_of_magnitudes", lambda x: np.abs(x).sum(axis=-1), lambda g, x: (g[..., None] * np.sign(x),), **ROWS),
    Layer("max", lambda x: x.max(axis=-1), lambda g, x: at_index(g, x.argmax(axis=-1), x), **ROWS),
    Layer("max_shared", lambda x: x.max(axis=-1), max_shared_vjp, **ROWS),
    Layer("min", lambda x: x.min(axis=-1), lambda g, x: at_index(g, x.argmin(axis=-1), x), **ROWS),
    Layer("product", lambda x: x.prod(axis=-1), lambda g, x: (g[..., None] * without_each(x),), **ROWS),
    Layer(
        "cumsum",
        lambda x: x.cumsum(axis=-1),
        lambda g, x: (g[..., ::-1].cumsum(axis=-1)[..., ::-1],),
        jvp=lambda t, x: t[0].cumsum(axis=-1),
        **ROWS,
    ),
    Layer("cumprod", lambda x: x.cumprod(axis=-1), cumprod_vjp, **ROWS),
    Layer("sort", lambda x: np.sort(x, axis=-1), sort_vjp, **ROWS),
    Layer("top_two", top_two, top_two_vjp, **ROWS),
    Layer("median", lambda x: np.median(x, axis=-1), median_vjp, **ROWS),
    Layer(
        "difference",
        lambda x: x[..., 1:] - x[..., :-1],
        difference_vjp,
        lambda rng: (*sizes(rng, 1), int(rng.integers(2, 5))),
        accepts=lambda x: x.ndim > 0 and x.shape[-1] > 1,
        jvp=lambda t, x: t[0][..., 1:] - t[0][..., :-1],
    ),
    Layer("gather", lambda x, index: x[..., index], gather_vjp, parameters=gather_parameters, **ROWS),
    Layer(
        "scatter_add",
        scatter_add,
        lambda g, x, index: (g[index], None),
        parameters=lambda values, x: (values.rng.integers(0, 3, len(x)),),
        **ROWS,
    ),
    Layer(
        "concatenate",
        lambda x, y: np.concatenate([x, y], axis=-1),
        lambda g, x, y: (g[..., : x.shape[-1]], g[..., x.shape[-1] :]),
        parameters=concatenate_parameters,
        **ROWS,
    ),
    Layer("transpose", lambda x: x.T, lambda g, x: (g.T,), of_rank(2, 3), jvp=lambda t, x: t[0].T),
    Layer(
        "flatten",
        lambda x: x.reshape(len(x), -1),
        lambda g, x: (g.reshape(x.shape),),
        of_rank(2, 3),
        accepts=has_rank(2, 3, 4),
    ),
    Layer("roll", lambda x: np.roll(x, 1, axis=-1), lambda g, x: (np.roll(g, -1, axis=-1),), **ROWS),
    Layer("power_spectrum", power_spectrum, power_spectrum_vjp, lowest="float32", **ROWS),
]
