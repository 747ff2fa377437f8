"""Which gradients are checked? Layers of several sizes, all right: what a check costs that has nothing to say."""

from __future__ import annotations

import numpy as np

from benchmarks.detection.problem import Problem


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_backward(da, z):
    a = sigmoid(z)
    return da * a * (1 - a)


def dense(x, w, b):
    return x @ w + b


def dense_backward(dy, x, w, b):
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


X, Y = np.random.default_rng(0).normal(size=(32, 64)), np.random.default_rng(1).integers(0, 2, (32, 1))


def mlp(w1, b1, w2, b2):
    z = np.tanh(X @ w1 + b1) @ w2 + b2
    return np.mean(np.logaddexp(0, z) - Y * z)


def mlp_backward(g, w1, b1, w2, b2):
    a = np.tanh(X @ w1 + b1)
    dz = g * (sigmoid(a @ w2 + b2) - Y) / len(Y)
    dh = dz @ w2.T * (1 - a**2)
    return X.T @ dh, dh.sum(axis=0), a.T @ dz, dz.sum(axis=0)


SIZES = {
    "sigmoid": (sigmoid, sigmoid_backward, [[(4, 3)], [(50, 20)], [(100, 100)], [(1000, 1000)]]),
    "dense": (
        dense,
        dense_backward,
        [[(n, k), (k, m), (m,)] for n, k, m in [(8, 16, 4), (32, 64, 64), (64, 256, 256)]],
    ),
    "MLP 64-64-1": (mlp, mlp_backward, [[(64, 64), (64,), (64, 1), (1,)]]),
}
"""Of each family of functions: f, its backward, and the shapes of its inputs, smallest first."""


def entries(problem: Problem) -> int:
    """How many numbers the gradients of a problem have."""
    return sum(x.size for x in problem.inputs)


def problems() -> list[Problem]:
    """Return them all; `topic` is the family, `row` the shape of the first input."""
    rng = np.random.default_rng(0)
    found = []
    for family, (f, vjp, sizes) in SIZES.items():
        for shapes in sizes:
            inputs = tuple(rng.normal(size=shape) for shape in shapes)
            size = " x ".join(map(str, (*shapes[0], *shapes[1][1:]) if len(shapes) == 3 else shapes[0]))
            found.append(Problem(family, size, f"{family} {size}", f, vjp, inputs, True, "match"))
    return found
