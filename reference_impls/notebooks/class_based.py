"""What does the class-based notebook (``LinearLayer``, ``MLP``; 3-4-1, ReLU, sigmoid) do? As it was written.

Arrays are ``(num_examples, features)``.

Errors left in
--------------
`bce_loss_backward` (two output columns)
    `bce_loss` takes the mean over all elements, its gradient divides by the number of rows: equal for one
    output column, a factor ``n_outputs`` too large otherwise.
`bce_loss_backward` (beyond the clip)
    Where the probability is clipped the loss is flat and its gradient 0; about 1e9 is returned.
`sigmoid`
    Overflows with a warning for large negative inputs.
"""
# ruff: noqa: N803, N806  # the notebook's own names
# ruff: noqa: NPY002  # the notebook draws from numpy's global generator

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_impls._arguments import Array
from reference_impls.notebooks._global_state import seeded

if TYPE_CHECKING:
    from gradcheck import Case

X = np.array(
    [
        [3.0, 4.0, 2],
        [2.0, 3.5, 3],
        [4.0, 4.5, 1],
        [1.5, 3.0, 2],
        [5.0, 3.8, 3],
        [8.0, 7.5, 0],
        [10.0, 8.0, 1],
        [7.0, 7.0, 0],
        [12.0, 9.0, 0],
        [6.0, 7.2, 1],
    ]
)
"""The inputs, (10, 3)."""
Y = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]).reshape(-1, 1)
"""The labels, (10, 1)."""

DEMO_Z = np.array([[-5, 4], [0, 1]])
DEMO_DA = np.array([[-0.2, -0.5], [-0.1, 0.2]])
DEMO_A = np.array([0.2, 0.1, 0.8, 0.9])
DEMO_Y = np.array([1, 0, 1, 1])
"""What the notebook tries its functions on."""
PRINTED_RELU = ((0, 4), (0, 1))
PRINTED_RELU_BACKWARD = ((0.0, -0.5), (0.0, 0.2))
PRINTED_SIGMOID = ((0.00669285, 0.98201379), (0.5, 0.73105858))
PRINTED_SIGMOID_BACKWARD = ((-0.00132961, -0.00883135), (-0.025, 0.03932239))
PRINTED_BCE_LOSS = 0.5108256237659906
PRINTED_BCE_LOSS_BACKWARD = (-1.25, 0.27777778, -0.3125, -0.27777778)
"""What it prints for them."""
PRINTED_LOSSES = {1: 0.6932, 100: 0.1399, 200: 0.0662, 500: 0.0251, 1000: 0.0088}
"""Losses by epoch of the notebook's own run. It was not seeded: they cannot be reproduced."""


def relu(Z: Array) -> Array:
    """Return the positive part, any shape."""
    return np.maximum(0, Z)


def relu_backward(dA: Array, Z: Array) -> Array:
    """Return the cotangent where `Z` is positive, else 0."""
    return np.where(Z > 0, dA, 0)


def sigmoid(Z: Array) -> Array:
    """Return the logistic function, any shape."""
    return 1 / (1 + np.exp(-Z))


def sigmoid_backward(dA: Array, Z: Array) -> Array:
    """Return the cotangent times the slope of `sigmoid` at `Z`."""
    s = sigmoid(Z)
    dZ: Array = dA * s * (1 - s)
    return dZ


def bce_loss(A: Array, Y: Array) -> Any:
    """Return the cross-entropy, the mean over all elements, of probabilities clipped at 1e-9."""
    A = np.clip(A, 1e-9, 1 - 1e-9)
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def bce_loss_backward(A: Array, Y: Array) -> Array:
    """Return the gradient of `bce_loss`. Wrong for several columns, and beyond the clip."""
    n = Y.shape[0]
    A = np.clip(A, 1e-9, 1 - 1e-9)
    return np.asarray((-Y / A + (1 - Y) / (1 - A)) / n)


class LinearLayer:
    """``X @ W + b``: W (n_inputs, n_neurons) from numpy's global generator, b (n_neurons,) zero."""

    def __init__(self, n_inputs: int, n_neurons: int) -> None:
        self.W: Array = np.random.randn(n_inputs, n_neurons) * 0.01  # as written
        self.b: Array = np.zeros(n_neurons)

        self.X: Any = None
        self.dW: Any = None
        self.db: Any = None

    def forward(self, X: Array) -> Array:
        """Return (num_examples, n_neurons) and keep `X`."""
        self.X = X
        return np.asarray(X @ self.W + self.b)

    def backward(self, dOut: Array) -> Array:
        """Set dW and db; return the gradient for `X`."""
        self.dW = self.X.T @ dOut
        self.db = dOut.sum(axis=0)
        return np.asarray(dOut @ self.W.T)

    def update(self, learning_rate: float) -> None:
        """Take one step down the gradient, in place."""
        self.W -= learning_rate * self.dW
        self.b -= learning_rate * self.db


class MLP:
    """Two linear layers, ReLU between them and a sigmoid behind."""

    def __init__(self, n_inputs: int, n_hidden: int, n_outputs: int) -> None:
        self.layer1 = LinearLayer(n_inputs, n_hidden)
        self.layer2 = LinearLayer(n_hidden, n_outputs)

        self.Z1: Any = None
        self.Z2: Any = None
        self.A1: Any = None
        self.A2: Any = None

    def forward(self, X: Array) -> Array:
        """Return the probabilities, (num_examples, n_outputs)."""
        self.Z1 = self.layer1.forward(X)
        self.A1 = relu(self.Z1)
        self.Z2 = self.layer2.forward(self.A1)
        self.A2 = sigmoid(self.Z2)
        return np.asarray(self.A2)

    def backward(self, Y: Array) -> None:
        """Set the gradients of `bce_loss` against the labels `Y` in both layers."""
        dA2 = bce_loss_backward(self.A2, Y)
        dZ2 = sigmoid_backward(dA2, self.Z2)
        dA1 = self.layer2.backward(dZ2)
        dZ1 = relu_backward(dA1, self.Z1)
        self.layer1.backward(dZ1)

    def update(self, learning_rate: float) -> None:
        """Take one step down the gradient in both layers."""
        self.layer1.update(learning_rate)
        self.layer2.update(learning_rate)

    def predict(self, X: Array, threshold: float = 0.5) -> Array:
        """Return 0 or 1 per example."""
        probs = self.forward(X)
        return (probs >= threshold).astype(int)


def train(model: MLP, X: Array, Y: Array, learning_rate: float = 0.1, epochs: int = 1000) -> list[float]:
    """Train `model` in place and return the loss before each epoch's update.

    Examples
    --------
    >>> with seeded(0):
    ...     model = MLP(n_inputs=3, n_hidden=4, n_outputs=1)
    >>> losses = train(model, X, Y, epochs=300)
    >>> losses[0] > 0.69 and losses[-1] < losses[0]
    True
    """
    loss_history = []

    for _epoch in range(1, epochs + 1):
        A2 = model.forward(X)
        loss = bce_loss(A2, Y)
        loss_history.append(float(loss))

        model.backward(Y)
        model.update(learning_rate)

    return loss_history


def gradcheck_cases() -> Iterable[Case]:
    """Return one case per function and class of the notebook; the wrong ones say what is wrong."""
    from gradcheck import Case  # the notebook must be importable without the checker

    rng = np.random.default_rng(3)
    Z = rng.normal(size=(5, 3))
    A = rng.uniform(0.05, 0.95, (6, 2))
    labels = rng.integers(0, 2, (6, 2))
    with seeded(3):
        layer, model = LinearLayer(3, 4), MLP(n_inputs=3, n_hidden=4, n_outputs=1)
    return [
        Case.vjp("relu_backward", relu, relu_backward, Z),
        Case.vjp("relu_backward at the notebook's point", relu, relu_backward, DEMO_Z.astype(float)),
        Case.vjp("sigmoid_backward", sigmoid, sigmoid_backward, Z),
        Case.vjp("sigmoid_backward at the notebook's point", sigmoid, sigmoid_backward, DEMO_Z.astype(float)),
        Case.vjp("bce_loss_backward at the notebook's point", bce_loss, bce_loss_backward, DEMO_A, DEMO_Y),
        Case.vjp("bce_loss_backward", bce_loss, bce_loss_backward, A[:, :1], labels[:, :1]),
        Case.vjp("bce_loss_backward (two output columns)", bce_loss, bce_loss_backward, A, labels),
        Case.vjp(
            "bce_loss_backward (beyond the clip)",
            bce_loss,
            bce_loss_backward,
            np.array([[-0.001], [1.001]]),  # 0 and 1 themselves lie within a difference step of the clip
            np.array([[1], [0]]),
        ),
        Case.layer("LinearLayer", layer, rng.normal(size=(5, 3))),
        Case.layer("MLP", model, X, targets=Y, loss=bce_loss),
    ]
