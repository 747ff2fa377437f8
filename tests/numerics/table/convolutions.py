"""Convolution, pooling and resampling: strides, padding, overlap, and kernels that have to be flipped."""

import numpy as np

from tests.numerics.table.row import Row

RNG = np.random.default_rng(25)


def windows(length, size, stride=1, dilation=1):
    """Return the indices of each window, one row each."""
    starts = np.arange(0, length - dilation * (size - 1), stride)
    return starts[:, None] + dilation * np.arange(size)


def conv1d(stride=1, pad=0, dilation=1):
    """Return a correlation of (channels, length) with (out, channels, size), and its pullback."""

    def forward(x, k):
        padded = np.pad(x, ((0, 0), (pad, pad)))
        return np.einsum("cwk,ock->ow", padded[:, windows(padded.shape[1], k.shape[2], stride, dilation)], k)

    def vjp(g, x, k):
        padded = np.pad(x, ((0, 0), (pad, pad)))
        index = windows(padded.shape[1], k.shape[2], stride, dilation)
        dpadded = np.zeros_like(padded)
        for window, column in zip(index, g.T, strict=True):
            dpadded[:, window] += np.einsum("o,ock->ck", column, k)
        return dpadded[:, pad : pad + x.shape[1]], np.einsum("ow,cwk->ock", g, padded[:, index])

    return forward, vjp


def conv2d(x, k):
    out = np.zeros((x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1))
    for i in range(k.shape[0]):
        for j in range(k.shape[1]):
            out += k[i, j] * x[i : i + out.shape[0], j : j + out.shape[1]]
    return out


def conv2d_vjp(g, x, k, *, flipped=False):
    dx, dk = np.zeros_like(x), np.zeros_like(k)
    rows, columns = g.shape
    for i in range(k.shape[0]):
        for j in range(k.shape[1]):
            weight = k[::-1, ::-1][i, j] if flipped else k[i, j]
            dx[i : i + rows, j : j + columns] += weight * g
            dk[i, j] = np.sum(g * x[i : i + rows, j : j + columns])
    return dx, dk


def transposed_conv(x, k):
    out = np.zeros(2 * (len(x) - 1) + len(k))
    for i, value in enumerate(x):
        out[2 * i : 2 * i + len(k)] += value * k
    return out


def transposed_conv_vjp(g, x, k):
    pieces = g[windows(len(g), len(k), 2)]
    return pieces @ k, x @ pieces


def max_pool(size, stride):
    def forward(x):
        return x[windows(len(x), size, stride)].max(axis=1)

    def vjp(g, x, *, accumulates=True):
        index = windows(len(x), size, stride)
        winners = index[np.arange(len(index)), x[index].argmax(axis=1)]
        dx = np.zeros_like(x)
        if accumulates:
            np.add.at(dx, winners, g)
        else:
            dx[winners] = g
        return dx

    return forward, vjp


def max_pool_2d_vjp(g, x):
    blocks = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2)
    return (g[:, None, :, None] * (blocks == blocks.max(axis=(1, 3), keepdims=True))).reshape(x.shape)


overlapping, overlapping_vjp = max_pool(3, 1)
strided, strided_vjp = conv1d(stride=2, pad=1)
dilated, dilated_vjp = conv1d(dilation=2)
padded, padded_vjp = conv1d(pad=2)
PEAKED = np.array([0.0, 0.3, 9.0, 0.1, -1.0, 0.2, 1.0, 0.4])

ROWS = [
    Row(
        "convolution",
        lambda x, k: np.convolve(x, k, mode="valid"),
        lambda g, x, k: (np.convolve(g, k[::-1], mode="full"), np.convolve(x[::-1], g, mode="valid")),
        (RNG.normal(size=7), RNG.normal(size=3)),
        "numpy's convolve flips its kernel",
        wrong={
            "kernel-not-flipped": lambda g, x, k: (
                np.convolve(g, k, mode="full"),
                np.convolve(x[::-1], g, mode="valid"),
            )
        },
    ),
    Row(
        "convolution-strided-and-padded",
        strided,
        strided_vjp,
        (RNG.normal(size=(2, 6)), RNG.normal(size=(3, 2, 3))),
        "channels, stride 2, padding 1: the last column is never seen by some windows",
        wrong={
            "stride-forgotten": lambda g, x, k: (np.roll(strided_vjp(g, x, k)[0], 1, axis=1), strided_vjp(g, x, k)[1])
        },
    ),
    Row(
        "convolution-dilated",
        dilated,
        dilated_vjp,
        (RNG.normal(size=(1, 8)), RNG.normal(size=(2, 1, 3))),
        "holes between the taps",
        wrong={"taps-reversed": lambda g, x, k: (dilated_vjp(g, x, k)[0], dilated_vjp(g, x, k)[1][:, :, ::-1])},
    ),
    Row(
        "convolution-padded-beyond-its-kernel",
        padded,
        padded_vjp,
        (RNG.normal(size=(1, 4)), RNG.normal(size=(1, 1, 2))),
        "outputs that are zero whatever the input",
        wrong={"crop-off-by-one": lambda g, x, k: (np.roll(padded_vjp(g, x, k)[0], 1), padded_vjp(g, x, k)[1])},
    ),
    Row(
        "convolution-2d",
        conv2d,
        conv2d_vjp,
        (RNG.normal(size=(4, 5)), RNG.normal(size=(2, 3))),
        "the input's gradient is a full correlation with the flipped kernel",
        wrong={"kernel-flipped": lambda g, x, k: conv2d_vjp(g, x, k, flipped=True)},
    ),
    Row(
        "convolution-2d-symmetric-kernel",
        conv2d,
        conv2d_vjp,
        (RNG.normal(size=(4, 4)), np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16),
        "a flipped kernel would not show: other errors still must",
        wrong={"transposed-input": lambda g, x, k: (conv2d_vjp(g, x, k)[0].T, conv2d_vjp(g, x, k)[1])},
    ),
    Row(
        "transposed-convolution",
        transposed_conv,
        transposed_conv_vjp,
        (RNG.normal(size=4), RNG.normal(size=3)),
        "stride 2, windows overlap by one",
        wrong={
            "kernel-flipped": lambda g, x, k: (transposed_conv_vjp(g, x, k[::-1])[0], transposed_conv_vjp(g, x, k)[1])
        },
    ),
    Row(
        "average-pool-with-overlap",
        lambda x: x[windows(len(x), 3, 2)].mean(axis=1),
        lambda g, x: np.bincount(windows(len(x), 3, 2).ravel(), np.repeat(g / 3, 3), len(x)),
        (RNG.normal(size=7),),
        "an entry is in one window or in two",
        wrong={"sum": lambda g, x: np.bincount(windows(len(x), 3, 2).ravel(), np.repeat(g, 3), len(x))},
    ),
    Row(
        "max-pool-with-overlap",
        overlapping,
        overlapping_vjp,
        (PEAKED,),
        "one entry wins three windows: wrong in NNlib.jl#205, ocannl#512, tangermeme#95",
        wrong={"last-window-only": lambda g, x: overlapping_vjp(g, x, accumulates=False)},
    ),
    Row(
        "max-pool-2d",
        lambda x: x.reshape(2, 2, 2, 2).max(axis=(1, 3)),
        max_pool_2d_vjp,
        (RNG.normal(size=(4, 4)),),
        "one winner in each block",
        wrong={"whole-block": lambda g, x: np.kron(g, np.ones((2, 2)))},
    ),
    Row(
        "global-average-pool",
        lambda x: x.mean(axis=(1, 2)),
        lambda g, x: np.broadcast_to(g[:, None, None] / 6, x.shape).copy(),
        (RNG.normal(size=(3, 2, 3)),),
        "all entries of a channel share one output",
        wrong={"divided-by-one-side": lambda g, x: np.broadcast_to(g[:, None, None] / 3, x.shape).copy()},
    ),
    Row(
        "nearest-upsampling",
        lambda x: np.kron(x, np.ones((2, 2))),
        lambda g, x: g.reshape(2, 2, 3, 2).sum(axis=(1, 3)),
        (RNG.normal(size=(2, 3)),),
        "each pixel is copied to four",
        wrong={"strided": lambda g, x: g[::2, ::2].copy()},
    ),
    Row(
        "pixel-shuffle",
        lambda x: x.reshape(2, 2, 2, 3).transpose(2, 0, 3, 1).reshape(4, 6),
        lambda g, x: g.reshape(2, 2, 3, 2).transpose(1, 3, 0, 2).reshape(x.shape),
        (RNG.normal(size=(4, 2, 3)),),
        "a permutation of axes inside two reshapes",
        wrong={"axes-mixed": lambda g, x: g.reshape(2, 2, 3, 2).transpose(3, 1, 0, 2).reshape(x.shape)},
    ),
]
