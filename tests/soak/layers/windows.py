"""Layers that look through windows: convolutions with stride and padding, and pooling."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.soak.layers.layer import Layer, has_rank, sizes


def _pad(x, by, rank):
    return np.pad(x, [(0, 0)] * (x.ndim - rank) + [(by, by)] * rank)


def _crop(x, by, rank):
    return x[(..., *[slice(by, n - by) for n in x.shape[x.ndim - rank :]])]


def _windows(x, kernel, stride):
    """Return windows of the last axes, their places first and their insides last."""
    rank = len(kernel)
    view = sliding_window_view(x, kernel, axis=tuple(range(x.ndim - rank, x.ndim)))
    return view[(..., *[slice(None, None, stride)] * rank, *[slice(None)] * rank)]


def _places(offset, counts, stride):
    return (..., *[slice(o, o + stride * n, stride) for o, n in zip(offset, counts, strict=True)])


# ---------------------------------------------------------------------- convolutions (cross-correlations, as layers are)


def convolution(rank: int, stride: int, padding: int) -> Layer:
    """A convolution of x (n, channels, *space) with w (out, channels, *kernel) and a bias."""
    a, k = "xyz"[:rank], "abc"[:rank]

    def f(x, w, b):
        windows = _windows(_pad(x, padding, rank), w.shape[2:], stride)
        return np.einsum(f"nc{a}{k},oc{k}->no{a}", windows, w) + b.reshape(-1, *[1] * rank)

    def vjp(g, x, w, b):
        padded = _pad(x, padding, rank)
        dw = np.einsum(f"no{a},nc{a}{k}->oc{k}", g, _windows(padded, w.shape[2:], stride))
        dx = np.zeros_like(padded)
        for offset in product(*map(range, w.shape[2:])):
            dx[_places(offset, g.shape[2:], stride)] += np.einsum(f"no{a},oc->nc{a}", g, w[(..., *offset)])
        return _crop(dx, padding, rank), dw, g.sum(axis=(0, *range(2, 2 + rank)))

    def jvp(t, x, w, b):
        return f(t[0], w, t[2]) + f(x, t[1], np.zeros_like(b))

    def parameters(values, x):
        out = int(values.rng.integers(1, 3))
        kernel = [int(values.rng.integers(1, 1 + min(3, n + 2 * padding))) for n in x.shape[2:]]
        return values(out, x.shape[1], *kernel), values(out)

    return Layer(
        f"conv{rank}d_stride{stride}_padding{padding}",
        f,
        vjp,
        _image(rank),
        parameters,
        jvp,
        accepts=has_rank(2 + rank),
    )


def _image(rank: int):
    return lambda rng: (*sizes(rng, 2, 2), *sizes(rng, rank, 7 if rank == 1 else 5))


def depthwise_f(x, w):
    return np.einsum("ncxyab,cab->ncxy", _windows(x, w.shape[1:], 1), w)


def depthwise_vjp(g, x, w):
    dx = np.zeros_like(x)
    for offset in product(*map(range, w.shape[1:])):
        dx[_places(offset, g.shape[2:], 1)] += g * w[(slice(None), *offset)][:, None, None]
    return dx, np.einsum("ncxy,ncxyab->cab", g, _windows(x, w.shape[1:], 1))


def depthwise_parameters(values, x):
    return (values(x.shape[1], *[int(values.rng.integers(1, 1 + min(2, n))) for n in x.shape[2:]]),)


def transposed_f(x, w):  # stride 2: every entry of x paints w, scaled by it
    n, _, length = x.shape
    y = np.zeros((n, w.shape[1], 2 * (length - 1) + w.shape[2]), x.dtype)
    for offset in range(w.shape[2]):
        y[..., offset : offset + 2 * length : 2][..., :length] += np.einsum("nil,io->nol", x, w[..., offset])
    return y


def transposed_vjp(g, x, w):
    windows = _windows(g, w.shape[2:], 2)
    return np.einsum("nolk,iok->nil", windows, w), np.einsum("nil,nolk->iok", x, windows)


def transposed_parameters(values, x):
    return (values(x.shape[1], int(values.rng.integers(1, 3)), int(values.rng.integers(1, 4))),)


# ---------------------------------------------------------------------- pooling


def max_pool(kernel: int, stride: int) -> Layer:
    def f(x):
        return _windows(x, (kernel, kernel), stride).max(axis=(-2, -1))

    def vjp(g, x):
        windows = _windows(x, (kernel, kernel), stride)
        largest = windows.reshape(*windows.shape[:-2], -1).argmax(axis=-1)  # at a tie, the first gets it all
        dx = np.zeros_like(x)
        for number, offset in enumerate(product(range(kernel), repeat=2)):
            dx[_places(offset, g.shape[2:], stride)] += g * (largest == number)
        return (dx,)

    return Layer(f"max_pool_{kernel}_stride{stride}", f, vjp, _wide(kernel), accepts=_fits(kernel))


def average_pool(kernel: int, stride: int) -> Layer:
    def f(x):
        return _windows(x, (kernel, kernel), stride).mean(axis=(-2, -1))

    def vjp(g, x):
        dx = np.zeros_like(x)
        for offset in product(range(kernel), repeat=2):
            dx[_places(offset, g.shape[2:], stride)] += g / kernel**2
        return (dx,)

    return Layer(
        f"average_pool_{kernel}_stride{stride}", f, vjp, _wide(kernel), jvp=lambda t, x: f(t[0]), accepts=_fits(kernel)
    )


def _wide(kernel: int):
    return lambda rng: (*sizes(rng, 2, 2), *(kernel + int(n) for n in rng.integers(0, 4, 2)))


def _fits(kernel: int):
    return lambda x: x.ndim == 4 and min(x.shape[2:]) >= kernel


def upsample_vjp(g, x):
    return (g[..., 0::2] + g[..., 1::2],)


LAYERS = [
    *(convolution(1, stride, padding) for stride, padding in ((1, 0), (1, 2), (2, 1), (3, 0))),
    *(convolution(2, stride, padding) for stride, padding in ((1, 0), (1, 1), (2, 0), (2, 1))),
    Layer("depthwise_conv", depthwise_f, depthwise_vjp, _image(2), depthwise_parameters, accepts=has_rank(4)),
    Layer("transposed_conv", transposed_f, transposed_vjp, _image(1), transposed_parameters, accepts=has_rank(3)),
    max_pool(2, 2),
    max_pool(3, 1),
    average_pool(2, 2),
    average_pool(2, 1),
    Layer(
        "global_average_pool",
        lambda x: x.mean(axis=(2, 3)),
        lambda g, x: (np.broadcast_to(g[:, :, None, None] / np.prod(x.shape[2:], dtype=x.dtype), x.shape).copy(),),
        _image(2),
        accepts=has_rank(4),
    ),
    Layer(
        "upsample",
        lambda x: x.repeat(2, axis=-1),
        upsample_vjp,
        lambda rng: sizes(rng, int(rng.integers(1, 4))),
        jvp=lambda t, x: t[0].repeat(2, axis=-1),
        accepts=lambda x: x.ndim > 0 and x.size <= 16,
    ),
]
