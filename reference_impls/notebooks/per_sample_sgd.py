"""What does the per-sample notebook (2-3-1, ReLU, sigmoid, one update per example) do? As it was written.

Each example is a row ``(1, features)`` with a scalar target; the gradients of hidden quantities are columns
``(features, 1)`` and turned over where the parameters are updated.

Errors left in
--------------
`BinaryCrossEntropy` and `output_backward` (``dl_dz2``)
    The loss is written with log2, ``a2 - y`` is the gradient of the loss in natural logarithms: they differ
    by the factor 1/ln 2 = 1.4427. The notebook never calls the loss, so nothing shows it.
`sigmoid`
    Overflows with a warning for large negative inputs.
"""
# ruff: noqa: N802, N803, N806  # the notebook's own names
# ruff: noqa: NPY002  # the notebook draws from numpy's global generator

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from reference_impls._arguments import Array
from reference_impls.notebooks._global_state import seeded

if TYPE_CHECKING:
    from gradcheck import Case

x_train = np.array([[[0, 0]], [[0, 1]], [[1, 0]], [[1, 1]]])
"""The inputs, (4, 1, 2): four examples, each a row."""
y_train = np.array([1, 0, 0, 1])
"""The targets, (4,): XNOR."""

PRINTED_BEFORE = (0.7819563, 0.83897195, 0.88531668, 0.91813449)
PRINTED_AFTER = (0.95340432, 0.0101688, 0.01041628, 0.99339687)
"""The predictions before and after the notebook's own run, which was not seeded: not reproducible."""


def ReLU(a: Array) -> Array:
    """Return the positive part, any shape."""
    positive: Array = np.maximum(a, 0)
    return positive


def ReLU_derivitive(a: Array) -> Array:
    """Return the derivative of `ReLU` as booleans, 0 at 0, any shape."""
    return np.asarray(a > 0)


def sigmoid(a: Array) -> Array:
    """Return the logistic function, any shape."""
    logistic: Array = 1 / (1 + np.exp(-1 * a))
    return logistic


def BinaryCrossEntropy(yhat: Array, y: Array | int) -> Array:
    """Return the cross-entropy in bits, per element; the gradients below are those of the one in nats."""
    entropy: Array = -1 * (y * np.log2(yhat) + (1 - y) * np.log2(1 - yhat))
    return entropy


def initial_parameters() -> tuple[Array, Array, Array, Array]:
    """Return W1 (2, 3), W2 (3, 1), b1 (1, 3) and b2 (1, 1), drawn from numpy's global generator."""
    W1 = np.random.rand(2, 3)  # as written
    W2 = np.random.rand(3, 1)  # as written
    b1 = np.random.rand(1, 3)  # as written
    b2 = np.random.rand(1, 1)  # as written
    return W1, W2, b1, b2


def forward(x: Array, W1: Array, W2: Array, b1: Array, b2: Array) -> Array:
    """Return the prediction for one example, (1, 1)."""
    z1 = np.dot(x, W1) + b1
    a1 = ReLU(z1)
    z2 = np.dot(a1, W2) + b2
    a2 = sigmoid(z2)
    yhat: Array = a2
    return yhat


def output_backward(a2: Array, y: Array | int) -> Array:
    """Return dl_dz2, (1, 1): for the loss in natural logarithms, not for the `BinaryCrossEntropy` above."""
    dl_dz2: Array = a2 - y
    return dl_dz2


def b2_backward(dl_dz2: Array) -> Array:
    """Return dl_db2, (1, 1)."""
    dl_db2: Array = dl_dz2
    return dl_db2


def W2_backward(dl_dz2: Array, a1: Array) -> Array:
    """Return dl_dW2, (3, 1)."""
    dl_dW2: Array = np.dot(a1.T, dl_dz2)
    return dl_dW2


def a1_backward(dl_dz2: Array, W2: Array) -> Array:
    """Return dl_da1 as a column, (3, 1)."""
    dl_da1: Array = np.dot(W2, dl_dz2)
    return dl_da1


def relu_backward(dl_da1: Array, z1: Array) -> Array:
    """Return dl_dz1 as a column, (3, 1)."""
    dl_dz1: Array = dl_da1 * ReLU_derivitive(z1).T
    return dl_dz1


def b1_backward(dl_dz1: Array) -> Array:
    """Return dl_db1 as a column, (3, 1)."""
    dl_db1: Array = dl_dz1
    return dl_db1


def W1_backward(dl_dz1: Array, x: Array) -> Array:
    """Return dl_dW1, (2, 3)."""
    dl_dW1: Array = np.dot(dl_dz1, x).T
    return dl_dW1


def gradients(
    x: Array, W1: Array, W2: Array, b1: Array, b2: Array, y: Array | int
) -> tuple[Array, Array, Array, Array]:
    """Return dl_dW1, dl_dW2, dl_db1 (a column) and dl_db2 for one example: the first half of `backprop`."""
    z1 = np.dot(x, W1) + b1
    a1 = ReLU(z1)
    z2 = np.dot(a1, W2) + b2
    a2 = sigmoid(z2)

    dl_dz2 = output_backward(a2, y)
    dl_db2 = b2_backward(dl_dz2)
    dl_dW2 = W2_backward(dl_dz2, a1)

    dl_da1 = a1_backward(dl_dz2, W2)
    dl_dz1 = relu_backward(dl_da1, z1)

    dl_db1 = b1_backward(dl_dz1)
    dl_dW1 = W1_backward(dl_dz1, x)
    return dl_dW1, dl_dW2, dl_db1, dl_db2


def backprop(
    x: Array,
    W1: Array,
    W2: Array,
    b1: Array,
    b2: Array,
    y: Array | int,
    yhat: Array,
    alpha: float,
) -> tuple[Array, Array, Array, Array]:
    """Return W1, W2, b1 and b2 after one update; `yhat` is not used."""
    dl_dW1, dl_dW2, dl_db1, dl_db2 = gradients(x, W1, W2, b1, b2, y)

    b1 = b1 - alpha * dl_db1.T
    W1 = W1 - alpha * dl_dW1
    b2 = b2 - alpha * dl_db2
    W2 = W2 - alpha * dl_dW2

    return W1, W2, b1, b2


def train(seed: int | None = None, epochs: int = 500) -> tuple[list[float], tuple[Array, Array, Array, Array]]:
    """Train on the notebook's data.

    Parameters
    ----------
    seed : int, optional
        The notebook was not seeded; given, the caller's global generator is put back afterwards.
    epochs : int, optional
        The notebook took 500.

    Returns
    -------
    tuple
        The four predictions at the end, and (W1, W2, b1, b2).

    Examples
    --------
    >>> predictions, parameters = train(seed=0, epochs=500)
    >>> [round(p) for p in predictions]
    [1, 0, 0, 1]
    """
    with seeded(seed):
        W1, W2, b1, b2 = initial_parameters()
    for _epoch in range(epochs):
        for i in range(4):
            yhat = forward(x_train[i], W1, W2, b1, b2)
            W1, W2, b1, b2 = backprop(x_train[i], W1, W2, b1, b2, y_train[i], yhat, alpha=0.1)
    predictions = [float(forward(x, W1, W2, b1, b2)[0, 0]) for x in x_train]
    return predictions, (W1, W2, b1, b2)


def gradcheck_cases() -> Iterable[Case]:
    """Return one case per gradient of `backprop`, each given its own cotangent; the wrong one says why.

    Columns are turned over where the notebook turns them over: at the parameters.
    """
    from gradcheck import Case  # the notebook must be importable without the checker

    rng = np.random.default_rng(2)
    W1, W2, b1, b2 = (rng.uniform(-1, 1, shape) for shape in ((2, 3), (3, 1), (1, 3), (1, 1)))
    x = rng.uniform(0, 1, (1, 2))
    z1 = np.dot(x, W1) + b1
    a1 = ReLU(z1)
    z2 = np.dot(a1, W2) + b2
    return [
        *(
            Case.vjp(
                f"dl_dz2 (gradient of ln, loss in log2), y={y}",
                lambda z2, y=y: BinaryCrossEntropy(sigmoid(z2), y),
                lambda g, z2, y=y: g * output_backward(sigmoid(z2), y),
                z2,
            )
            for y in (0, 1)
        ),
        Case.vjp("ReLU_derivitive", ReLU, ReLU_derivitive, z1),
        Case.vjp("dl_db2", lambda b2: np.dot(a1, W2) + b2, lambda g, b2: b2_backward(g), b2),
        Case.vjp("dl_dW2", lambda W2: np.dot(a1, W2) + b2, lambda g, W2: W2_backward(g, a1), W2),
        Case.vjp("dl_da1", lambda a1: np.dot(a1, W2) + b2, lambda g, a1: a1_backward(g, W2).T, a1),
        Case.vjp("dl_dz1", ReLU, lambda g, z1: relu_backward(g.T, z1).T, z1),
        Case.vjp("dl_db1", lambda b1: np.dot(x, W1) + b1, lambda g, b1: b1_backward(g.T).T, b1),
        Case.vjp("dl_dW1", lambda W1: np.dot(x, W1) + b1, lambda g, W1: W1_backward(g.T, x), W1),
    ]
