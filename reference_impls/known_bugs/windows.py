"""How do convolutions and poolings go wrong? Kernels not flipped, windows off by one, ties, forgotten averages."""

from __future__ import annotations

import numpy as np

from reference_impls.known_bugs._bug import Array, Bug, normal


def conv1d(x: Array, w: Array, stride: int = 1, padding: int = 1, dilation: int = 1) -> Array:
    """Return the cross-correlation of x (n,) with the kernel w (k,)."""
    padded = np.pad(x, padding)
    last = len(padded) - dilation * (len(w) - 1)
    return np.array([padded[i : i + dilation * len(w) : dilation] @ w for i in range(0, last, stride)])


def conv1d_backward(
    dy: Array, x: Array, w: Array, stride: int = 1, padding: int = 1, dilation: int = 1
) -> tuple[Array, Array]:
    """Return the gradients of `conv1d`."""
    padded = np.pad(x, padding)
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, g in enumerate(dy):
        start = i * stride
        window = slice(start, start + dilation * len(w), dilation)
        dpadded[window] += g * w
        dw += g * padded[window]
    dx = dpadded[padding : padding + len(x)]
    return dx, dw


def strided(x: Array, w: Array) -> Array:
    """Return `conv1d` with a stride of 2 and no padding."""
    return conv1d(x, w, stride=2, padding=0)


def strided_backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Return the gradients of `strided`."""
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i, g in enumerate(dy):
        start = 2 * i
        dx[start : start + len(w)] += g * w
        dw += g * x[start : start + len(w)]
    return dx, dw


def dilated(x: Array, w: Array) -> Array:
    """Return `conv1d` with a dilation of 2 and no padding."""
    return conv1d(x, w, padding=0, dilation=2)


def dilated_backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Return the gradients of `dilated`."""
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i, g in enumerate(dy):
        window = slice(i, i + 2 * len(w), 2)
        dx[window] += g * w
        dw += g * x[window]
    return dx, dw


def conv2d(x: Array, w: Array) -> Array:
    """Return the cross-correlation of an image (h, w) with a 3 x 3 kernel, padded by one."""
    padded = np.pad(x, 1)
    return np.asarray(np.einsum("ijkl,kl->ij", np.lib.stride_tricks.sliding_window_view(padded, (3, 3)), w))


def conv2d_backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Return the gradients of `conv2d`."""
    dx = conv2d(dy, w[::-1, ::-1])
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, 1), (3, 3))
    dw = np.einsum("ij,ijkl->kl", dy, windows)
    return dx, dw


def max_pool(x: Array) -> Array:
    """Return the largest of every two neighbours of each row."""
    return np.asarray(x.reshape(len(x), -1, 2).max(axis=2))


def max_pool_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `max_pool`: of ties the first gets it."""
    pairs = x.reshape(len(x), -1, 2)
    chosen = np.arange(2) == pairs.argmax(axis=2)[:, :, None]
    return np.asarray((chosen * dy[:, :, None]).reshape(x.shape))


def average_pool(x: Array) -> Array:
    """Return the mean of every two neighbours of each row."""
    return np.asarray(x.reshape(len(x), -1, 2).mean(axis=2))


def average_pool_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `average_pool`."""
    return np.repeat(dy, 2, axis=1) / 2


TIED = np.array([[1.0, 1.0, -2.0, 0.5], [3.0, -1.0, 0.25, 0.25], [0.75, 0.75, 2.0, 2.0]])
SIGNAL = (normal(7), normal(3))
LONG = (normal(9), normal(3))
IMAGE = (normal(5, 5), normal(3, 3))

BUGS = (
    Bug(
        "kernel not flipped", conv2d_backward, "w[::-1, ::-1]", "w", "correlation is not its own transpose",
        "mismatch", "not transposed", "", conv2d, inputs=IMAGE,
    ),
    Bug(
        "kernel flipped along one axis", conv2d_backward, "w[::-1, ::-1]", "w[::-1]", "half of the flip",
        "mismatch", "as if", "w flipped along axis 1", conv2d, inputs=IMAGE,
    ),
    Bug(
        "kernel gradient flipped", conv2d_backward, "dw = np.einsum(\"ij,ijkl->kl\", dy, windows)",
        "dw = np.einsum(\"ij,ijkl->kl\", dy, windows)[::-1, ::-1]", "convolution for correlation",
        "mismatch", "flipped", "flipped along", conv2d, inputs=IMAGE,
    ),
    Bug(
        "padding off by one", conv1d_backward, "dpadded[padding : padding + len(x)]", "dpadded[: len(x)]",
        "the padding not cut off",
        "mismatch", "shifted", "shifted by one", conv1d, inputs=SIGNAL,
    ),
    Bug(
        "padded on one side only", conv1d_backward, "padded = np.pad(x, padding)",
        "padded = np.pad(x, (0, 2 * padding))",
        "windows that begin one too late",
        "mismatch", "shifted", "shifted by one", conv1d, inputs=SIGNAL,
    ),
    Bug(
        "stride forgotten", strided_backward, "start = 2 * i", "start = i", "right for stride 1",
        "mismatch", "", "", strided, inputs=LONG,
    ),
    Bug(
        "dilation forgotten", dilated_backward, "dw += g * x[window]", "dw += g * x[i : i + len(w)]",
        "right for dilation 1",
        "mismatch", "", "", dilated, inputs=LONG,
    ),
    Bug(
        "last window forgotten", strided_backward, "enumerate(dy)", "enumerate(dy[:-1])", "a range one too short",
        "mismatch", "part left out", "a[3] is left out", strided, inputs=LONG,
    ),
    Bug(
        "max pool ties", max_pool_backward, "np.arange(2) == pairs.argmax(axis=2)[:, :, None]",
        "pairs == pairs.max(axis=2, keepdims=True)", "x == max gives each of the tied ones all of it",
        "mismatch", "ties", "tied", max_pool, inputs=(TIED,),
    ),
    Bug(
        "max pool to the smaller one", max_pool_backward, "argmax", "argmin", "argmin for argmax",
        "mismatch", "flipped", "", max_pool, inputs=(normal(3, 2),),
    ),
    Bug(
        "average pool without 1/k", average_pool_backward, " / 2", "", "the mean's own factor",
        "mismatch", "factor", "2 times", average_pool, inputs=(normal(3, 6),),
    ),
    Bug(
        "average pool tiled", average_pool_backward, "np.repeat(dy, 2, axis=1)", "np.tile(dy, 2)",
        "np.tile for np.repeat",
        "mismatch", "permuted", "another order", average_pool, inputs=(normal(3, 6),),
    ),
)  # fmt: skip
"""The bugs of these layers."""
