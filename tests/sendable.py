"""Layers that can be sent to other processes: right and wrong, with kinks, states, complex and float32 numbers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np

STATE: list[int] = []
"""Of this process, which those that it starts do not have."""


def in_a_worker():
    return multiprocessing.parent_process() is not None


def tanh_layer(X, W):
    return np.tanh(X @ W)


def tanh_layer_forward(tangents, X, W):
    dX, dW = tangents
    return (1 - np.tanh(X @ W) ** 2) * (dX @ W + X @ dW)


def tanh_layer_backward(g, X, W):
    y = np.tanh(X @ W)
    d = g * (1 - y * y)
    return d @ W.T, X.T @ d


def tanh_layer_backward_one_entry_wrong(g, X, W):
    dX, dW = tanh_layer_backward(g, X, W)
    dW[3, 4] *= 1.01
    return dX, dW


def tanh_layer_backward_all_wrong(g, X, W):
    dX, dW = tanh_layer_backward(g, X, W)
    return -dX, dW


def dense(X, W, b):
    return X @ W + b


def dense_backward(g, X, W, b):
    return g @ W.T, X.T @ g, g.sum(axis=0)


def relu_layer(X, W):
    return np.maximum(0, X @ W)


def relu_layer_backward(g, X, W):
    d = g * (X @ W > 0)
    return d @ W.T, X.T @ d


def complex_dense(X, W):
    return X @ W


def complex_dense_backward(g, X, W):
    return g @ W.conj().T, X.conj().T @ g


_PICKED = np.random.default_rng(8).integers(0, 200, (200, 3))
SCATTERED = np.zeros((200, 200), bool)
"""Which outputs of `scattered` each of 200 entries reaches: no product of axes."""
SCATTERED[np.arange(200)[:, None], _PICKED] = True


def scattered(x):
    return np.tanh(x[_PICKED].sum(axis=1))


def scattered_backward(g, x):
    y = scattered(x)
    d = np.zeros(200)
    np.add.at(d, _PICKED, (g * (1 - y * y))[:, None])
    return d


def scattered_backward_one_entry_wrong(g, x):
    d = scattered_backward(g, x)
    d[17] *= 1.01
    return d


def loss(x):
    return np.sum(np.tanh(x) ** 2)


def loss_gradient(x):
    t = np.tanh(x)
    return 2 * t * (1 - t * t)


def loss_gradient_wrong(x):
    return loss_gradient(x) * np.where(np.arange(x.size) == 17, -1, 1)


def shrink(x):
    """A loss with kinks at 0 and zeros beyond."""
    return np.sum(np.maximum(0, x) ** 2) + np.abs(x[0])


def shrink_gradient(x):
    gradient = 2 * np.maximum(0, x)
    gradient[0] += np.sign(x[0])
    return gradient


def batch_norm(x, gamma):
    centred = x - x.mean(axis=0)
    return gamma * centred / np.sqrt(np.mean(centred**2, axis=0) + 1e-5)


def batch_norm_backward(g, x, gamma):
    centred = x - x.mean(axis=0)
    std = np.sqrt(np.mean(centred**2, axis=0) + 1e-5)
    h = centred / std
    d = g * gamma
    return (d - d.mean(axis=0) - h * np.mean(d * h, axis=0)) / std, np.sum(g * h, axis=0)


def convolution(x, k):
    return np.array([x[i : i + k.size] @ k for i in range(x.size - k.size + 1)])


def convolution_backward(g, x, k):
    dx, dk = np.zeros(x.shape), np.zeros(k.shape)
    for i, each in enumerate(g):
        dx[i : i + k.size] += each * k
        dk += each * x[i : i + k.size]
    return dx, dk


def coupled(x):
    """Elementwise, but for a coupling that shows only where the first entry has moved far."""
    return np.sin(x) + (x[0] > 1.5) * np.sum(x)


def coupled_backward(g, x):
    return g * np.cos(x)


def rounded(x):
    """A staircase beside what is exact: noise that shows over longer spacings only."""
    return np.sum(np.tanh(np.round(x * 1e7) / 1e7) + np.sin(x))


def rounded_gradient_wrong(x):
    return (tanh_gradient(x) + np.cos(x)) * np.where(np.arange(x.size) == 3, 1.01, 1)


class Dense:
    def __init__(self, wrong=False):
        rng = np.random.default_rng(0)
        self.W, self.b, self.wrong = rng.normal(size=(6, 12)), rng.normal(size=12), wrong

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.X.T @ dout, dout.sum(axis=0)
        if self.wrong:
            self.db = dout.mean(axis=0)
        return dout @ self.W.T


class Dropout(Dense):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(5)

    def forward(self, X):
        self.mask = self.rng.random((X.shape[0], 12)) < 0.7
        return super().forward(X) * self.mask

    def backward(self, dout):
        return super().backward(dout * self.mask)


class Dying:
    """Kills the first worker process that calls it often; once, as a file remembers."""

    def __init__(self, folder, wrong=False):
        self.marker, self.calls, self.wrong = Path(folder) / "died", 0, wrong

    def forward(self, X, W):
        self.calls += 1
        if in_a_worker() and self.calls > 25 and not self.marker.exists():
            self.marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        self.given = X, W
        return tanh_layer(X, W)

    def backward(self, dout):
        backward = tanh_layer_backward_one_entry_wrong if self.wrong else tanh_layer_backward
        return backward(dout, *self.given)


def slow(x):
    """Let other threads run meanwhile, as large operations of NumPy do."""
    time.sleep(5e-3)
    return np.tanh(x).sum()


def busy(x):
    """Let no other thread run meanwhile."""
    for _ in range(20_000):
        pass
    return np.tanh(x).sum()


def tanh_gradient(x):
    return 1 - np.tanh(x) ** 2


def elsewhere(x):
    return np.sum(np.tanh(x)) * (1 + len(STATE))


def elsewhere_gradient(x):
    return tanh_gradient(x) * (1 + len(STATE))


def raises_far_along(x):
    if x[150] != 0:
        raise KeyError("no such bin")
    return np.sum(np.tanh(x))


def raises_far_along_gradient(x):
    return tanh_gradient(x)
