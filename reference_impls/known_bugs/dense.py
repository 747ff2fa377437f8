"""How do dense layers go wrong? Transposes, sums over the batch, wrong axes, factors, paths around, wrong stages."""
# ruff: noqa: N803, N806  # matrices are capitals

from __future__ import annotations

from typing import Any

import numpy as np

from reference_impls.known_bugs._bug import Array, Bug, normal
from reference_impls.known_bugs.activations import sigmoid


def affine(X: Array, W: Array, b: Array) -> Array:
    """Return ``X @ W + b``."""
    return X @ W + b


def affine_backward(dY: Array, X: Array, W: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of `affine`."""
    dX = dY @ W.T
    dW = X.T @ dY
    db = dY.sum(axis=0)
    return dX, dW, db


def column_affine(X: Array, W: Array, b: Array) -> Array:
    """Return ``W @ X + b`` for examples in columns, b of shape (n, 1)."""
    return W @ X + b


def column_affine_backward(dZ: Array, X: Array, W: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of `column_affine`."""
    return W.T @ dZ, dZ @ X.T, dZ.sum(axis=1, keepdims=True)


def scaled(x: Array, gamma: Array) -> Array:
    """Return each column times its own number."""
    return x * gamma


def scaled_backward(dy: Array, x: Array, gamma: Array) -> tuple[Array, Array]:
    """Return the gradients of `scaled`."""
    return dy * gamma, (dy * x).sum(axis=0)


def product(a: Array, b: Array) -> Array:
    """Return the elementwise product."""
    return a * b


def product_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return the gradients of `product`."""
    return dy * b, dy * a


def neuron(X: Array, W: Array, b: Array) -> Array:
    """Return a sigmoid layer."""
    return sigmoid(X @ W + b)


def neuron_backward(dA: Array, X: Array, W: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of `neuron`."""
    z = X @ W + b
    a = sigmoid(z)
    dZ = dA * a * (1 - a)
    return dZ @ W.T, X.T @ dZ, dZ.sum(axis=0)


def residual(x: Array, W: Array) -> Array:
    """Return x and what a layer adds to it."""
    return x + np.tanh(x @ W)


def residual_backward(dy: Array, x: Array, W: Array) -> tuple[Array, Array]:
    """Return the gradients of `residual`."""
    dz = dy * (1 - np.tanh(x @ W) ** 2)
    return dy + dz @ W.T, x.T @ dz


class Dense:
    """One layer of an `MLP`."""

    def __init__(self, n_in: int, n_out: int, seed: int) -> None:
        self.W, self.b = normal(n_in, n_out, seed=seed), normal(n_out, seed=seed)

    def forward(self, X: Array) -> Array:
        """Return ``X @ W + b``."""
        self.X = X
        return X @ self.W + self.b

    def backward(self, dY: Array) -> Array:
        """Return the gradient of X; leave the others in `dW` and `db`."""
        self.dW, self.db = self.X.T @ dY, dY.sum(axis=0)
        return dY @ self.W.T


class Sigmoid:
    """The activation of an `MLP`."""

    def forward(self, Z: Array) -> Array:
        """Return the sigmoid."""
        self.Z, self.A = Z, sigmoid(Z)
        return self.A

    def backward(self, dA: Array) -> Array:
        """Return the gradient of Z."""
        return dA * self.A * (1 - self.A)


class WrongSigmoid(Sigmoid):
    """The same with z for a: a wrong stage of a model that is right itself."""

    def backward(self, dA: Array) -> Array:
        """Return something else."""
        return dA * self.Z * (1 - self.Z)


class MLP:
    """Two dense layers with a sigmoid between them."""

    def __init__(self) -> None:
        self.layers: list[Any] = [Dense(3, 4, 1), Sigmoid(), Dense(4, 4, 2)]

    def forward(self, X: Array) -> Array:
        """Return the last layer's output."""
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def backward(self, dY: Array) -> Array:
        """Return the gradient of X."""
        for layer in reversed(self.layers):
            dY = layer.backward(dY)
        return dY


SQUARE = (normal(4, 3), normal(3, 3), normal(3))
POINT = (normal(4, 3), normal(3, 2), normal(2))
COINCIDENCE = (normal(4, 3), normal(3, 4), normal(4))
COLUMNS = (normal(3, 5), normal(2, 3), normal(2, 1))

BUGS = (
    Bug(
        "weight gradient transposed", affine_backward, "dW = X.T @ dY", "dW = dY.T @ X", "legal in a square layer",
        "mismatch", "transposed", "transposed", affine, inputs=SQUARE,
    ),
    Bug(
        "weights not transposed", affine_backward, "dY @ W.T", "dY @ W", "legal in a square layer",
        "mismatch", "product", "cotangent @ W in place of cotangent @ W.T", affine, inputs=SQUARE,
    ),
    Bug(
        "bias not summed", affine_backward, "dY.sum(axis=0)", "dY", "notebook 000",
        "contract", "sum missing", "sum over axis 0", affine, inputs=POINT,
    ),
    Bug(
        "bias summed over the wrong axis", affine_backward, "axis=0", "axis=1",
        "notebook 000: legal where batch = hidden",
        "mismatch", "product", "cotangent.sum(axis=1) in place of cotangent.sum(axis=0)", affine, inputs=COINCIDENCE,
    ),
    Bug(
        "bias summed over the wrong axis, other batch", affine_backward, "axis=0", "axis=1", "notebook 000",
        "contract", "product", "cotangent.sum(axis=1) in place of cotangent.sum(axis=0)", affine, inputs=POINT,
    ),
    Bug(
        "bias averaged", affine_backward, "dY.sum(axis=0)", "dY.mean(axis=0)", "mean for sum",
        "mismatch", "factor", "1/4", affine, inputs=POINT,
    ),
    Bug(
        "weights averaged once too often", affine_backward, "X.T @ dY", "X.T @ dY / len(X)", "1/m in layer and loss",
        "mismatch", "factor", "X has 5 rows", affine,
        inputs=(normal(5, 3), normal(3, 2), normal(2)),
    ),
    Bug(
        "weight gradient reshaped, not transposed", affine_backward, "dW = X.T @ dY",
        "dW = (dY.T @ X).reshape(W.shape)", "reshape for .T",
        "mismatch", "transposed", "another order", affine, inputs=POINT,
    ),
    Bug(
        "keepdims forgotten", column_affine_backward, ", keepdims=True", "", "b of shape (n, 1)",
        "contract", "reshaped", "right, in another shape", column_affine, inputs=COLUMNS,
    ),
    Bug(
        "first example alone", affine_backward, "dY.sum(axis=0)", "dY[0]", "an index for a sum",
        "mismatch", "product", "cotangent[0] in place of cotangent.sum(axis=0)", affine, inputs=POINT,
    ),
    Bug(
        "gradient forgotten", affine_backward, "dW = X.T @ dY", "dW = np.zeros_like(W)", "allocated, never filled",
        "mismatch", "zero", "zero", affine, inputs=POINT,
    ),
    Bug(
        "gradients returned in another order", product_backward, "dy * b, dy * a", "dy * a, dy * b",
        "argument order swapped",
        "mismatch", "exchanged", "exchanged", product, inputs=(normal(5), normal(5, seed=1)),
    ),
    Bug(
        "scale not applied", scaled_backward, "dy * gamma", "dy", "the scale's own factor",
        "mismatch", "elementwise", "gamma is missing", scaled, inputs=(normal(5, 3), normal(3)),
    ),
    Bug(
        "scale without its input", scaled_backward, "(dy * x).sum(axis=0)", "dy.sum(axis=0)", "the shift's formula",
        "mismatch", "product", "cotangent.sum(axis=0) in place of (cotangent * x).sum(axis=0)", scaled,
        inputs=(normal(5, 3), normal(3)),
    ),
    Bug(
        "z for a in a layer", neuron_backward, "a * (1 - a)", "z * (1 - z)", "notebook 000, in the whole layer",
        "mismatch", "outer factor", "z * (1 - z) in place of a * (1 - a)", neuron, inputs=POINT,
    ),
    Bug(
        "activation forgotten in a layer", neuron_backward, "dA * a * (1 - a)", "dA", "the linear layer's backward",
        "mismatch", "product", "", neuron, inputs=POINT,
    ),
    Bug(
        "residual path forgotten", residual_backward, "dy + dz @ W.T", "dz @ W.T", "the path around the layer",
        "mismatch", "term", "the term cotangent is missing", residual, inputs=(normal(4, 3), normal(3, 3)),
    ),
    Bug(
        "wrong stage of a model", MLP, "Sigmoid()", "WrongSigmoid()", "notebook 000, in a model",
        "mismatch", "stage", "layers[1] (WrongSigmoid): Z * (1 - Z) in place of a * (1 - a)", inputs=(normal(5, 3),),
    ),
    Bug(
        "stages backwards in the wrong order", MLP, "reversed(self.layers)",
        "[self.layers[1], self.layers[2], self.layers[0]]",
        "the order of the stages",
        "mismatch", "stage", "between", inputs=(normal(5, 3),),
    ),
)  # fmt: skip
"""The bugs of these layers."""
