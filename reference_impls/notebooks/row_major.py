"""What does the row-major notebook (3-4-1, ReLU, sigmoid, summed cross-entropy) do? As it was written.

Arrays are ``(num_examples, features)``. The statements are the notebook's; each gradient of its training loop
has a function of its own, so that it can be checked by itself, and `backward` calls them in the notebook's
order.

Errors left in
--------------
`loss_backward` (``da_2``)
    The loss `L` multiplies the second term. It belongs in neither. (The notebook's closing comment calls its
    absence a bug; it is the comment that is wrong.)
`b2_backward` (``db2``)
    Not summed over the batch: one gradient per example. The first update broadcasts ``b2`` from (1, 1) to
    (num_examples, 1), silently.
`b1_backward` (``db1``)
    Summed over the wrong axis. Legal only because the notebook has as many examples as hidden units, 4.
`sigmoid`
    ``math.exp`` overflows with an exception below about -709.

The closing comment also tells of an earlier bug, since mended: ``z_2 * (1 - z_2)`` where ``a_2 * (1 - a_2)``
belongs. The loss falls all the same, and on average faster than with the right gradients: a falling loss
proves nothing.
"""
# ruff: noqa: N802, N803, N806  # the notebook's own names
# ruff: noqa: RET504  # the notebook's own statements
# ruff: noqa: NPY002  # the notebook draws from numpy's global generator

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_impls._arguments import Array
from reference_impls.notebooks._global_state import seeded

if TYPE_CHECKING:
    from gradcheck import Case

X = np.array([[0, 0, 1], [1, 1, 0], [1, 0, 0], [0, 1, 1]])
"""The inputs, (num_examples, num_input_features) = (4, 3)."""
y = np.array([[0, 1, 1, 0]]).T
"""The labels, (num_examples, num_output_features) = (4, 1)."""

PRINTED_LOSSES = (
    2.890303145784619,
    2.7997001198377207,
    2.723596884576048,
    2.656814622955279,
    2.596644540802915,
    2.541396578982859,
    2.4899561958848464,
    2.441553604078974,
    2.395635313651831,
    2.351788739095291,
    2.309696043354913,
    2.269104930993223,
    2.2298097040247353,
    2.1916387652117764,
    2.154446293185981,
    2.1181066727658804,
    2.0825107622120314,
    2.0475633810167895,
    2.0131815939439277,
    1.9792934960569892,
    1.9458372945690443,
    1.912760550049176,
    1.880019489158516,
    1.8475783377979915,
    1.815408649939274,
    1.7834886254180673,
    1.7518024212538044,
    1.7203394671360885,
    1.6890937979648921,
    1.6580634159603398,
    1.6272496928794813,
    1.59665682008597,
    1.566291311196835,
    1.5361615591722195,
    1.5062774472555038,
    1.4766500112273737,
    1.4472911490354132,
    1.418213372970057,
    1.3898999959251803,
    1.3621130435028632,
    1.3345980160031605,
    1.3073684406081663,
    1.2804379014961156,
    1.2538199204904577,
    1.2275278503271134,
    1.2015747780793906,
    1.1759734368364467,
    1.1507361242500829,
    1.125874627029115,
    1.1014001508597882,
    1.0773232555588657,
    1.0536537955214667,
    1.0304008657099795,
)
"""The losses by step of the notebook's own run. It was not seeded: they cannot be reproduced."""


def sigmoid(x: float) -> float:
    """Return the logistic function of one number; raises OverflowError below about -709."""
    return 1 / (1 + math.exp(-x))


sigmoid_v = np.vectorize(sigmoid)


def relu_derivative(x: Any) -> Any:
    """Return whether `x` is positive."""
    return x > 0


relu_derivative_v = np.vectorize(relu_derivative)


def initial_parameters() -> tuple[Array, Array, Array, Array]:
    """Return W1 (3, 4), b1 (1, 4), W2 (4, 1) and b2 (1, 1), drawn from numpy's global generator."""
    W1 = np.random.random((3, 4)) - 0.5  # as written
    b1 = np.random.random((1, 4)) - 0.5  # as written
    W2 = np.random.random((4, 1)) - 0.5  # as written
    b2 = np.random.random((1, 1)) - 0.5  # as written
    return W1, b1, W2, b2


def forward(X: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> tuple[Array, Array, Array, Array]:
    """Return z_1 and a_1, (num_examples, 4), then z_2 and a_2, (num_examples, 1)."""
    z_1 = np.dot(X, W1) + b1
    a_1 = np.maximum(z_1, 0)
    z_2 = np.dot(a_1, W2) + b2
    a_2 = sigmoid_v(z_2)
    return z_1, a_1, z_2, a_2


def loss(a_2: Array, y: Array) -> Any:
    """Return the cross-entropy, summed over the examples."""
    L = -np.sum(y * np.log(a_2) + (1 - y) * (np.log(1 - a_2)))
    return L


def loss_backward(a_2: Array, y: Array, L: float) -> Array:
    """Return da_2, (num_examples, 1). Wrong: `L` has no place in it."""
    da_2: Array = (-y / a_2) + (1 - y) / (1 - a_2) * L
    return da_2


def sigmoid_backward(da_2: Array, a_2: Array) -> Array:
    """Return dz_2, (num_examples, 1)."""
    dz_2: Array = (a_2 * (1 - a_2)) * da_2
    return dz_2


def W2_backward(dz_2: Array, a_1: Array) -> Array:  # the notebook's name
    """Return dW2, (4, 1)."""
    dW2: Array = np.dot(a_1.T, dz_2)
    return dW2


def b2_backward(dz_2: Array) -> Array:
    """Return db2. Wrong: (num_examples, 1) in place of (1, 1)."""
    db2: Array = dz_2
    return db2


def a_1_backward(dz_2: Array, W2: Array) -> Array:
    """Return da_1, (num_examples, 4)."""
    da_1: Array = np.dot(dz_2, W2.T)
    return da_1


def relu_backward(da_1: Array, z_1: Array) -> Array:
    """Return dz_1, (num_examples, 4)."""
    dz_1: Array = relu_derivative_v(z_1) * da_1
    return dz_1


def W1_backward(dz_1: Array, X: Array) -> Array:  # the notebook's name
    """Return dW1, (3, 4)."""
    dW1: Array = np.dot(X.T, dz_1)
    return dW1


def b1_backward(dz_1: Array) -> Array:
    """Return db1. Wrong: summed over the features, (num_examples,), in place of over the examples, (1, 4)."""
    db1: Array = np.sum(dz_1, axis=1)
    return db1


def backward(X: Array, y: Array, z_1: Array, a_1: Array, a_2: Array, W2: Array, L: float) -> dict[str, Array]:
    """Return every gradient of the notebook's loop by its name, wrong ones included."""
    da_2 = loss_backward(a_2, y, L)
    dz_2 = sigmoid_backward(da_2, a_2)
    dW2 = W2_backward(dz_2, a_1)
    db2 = b2_backward(dz_2)
    da_1 = a_1_backward(dz_2, W2)
    dz_1 = relu_backward(da_1, z_1)
    dW1 = W1_backward(dz_1, X)
    db1 = b1_backward(dz_1)
    return {
        "da_2": da_2,
        "dz_2": dz_2,
        "dW2": dW2,
        "db2": db2,
        "da_1": da_1,
        "dz_1": dz_1,
        "dW1": dW1,
        "db1": db1,
    }


def train(seed: int | None = None, steps: int = 100) -> tuple[list[float], tuple[Array, Array, Array, Array]]:
    """Train on the notebook's data.

    Parameters
    ----------
    seed : int, optional
        The notebook was not seeded; given, the caller's global generator is put back afterwards.
    steps : int, optional
        The notebook took 100.

    Returns
    -------
    tuple
        The losses before each step, and (W1, b1, W2, b2) after the last; ``b2`` comes back as (4, 1).

    Examples
    --------
    >>> losses, (W1, b1, W2, b2) = train(seed=1)
    >>> len(losses), b2.shape
    (100, (4, 1))
    """
    with seeded(seed):
        W1, b1, W2, b2 = initial_parameters()
    losses = []
    for _ in range(steps):
        z_1, a_1, _z_2, a_2 = forward(X, W1, b1, W2, b2)
        L = loss(a_2, y)
        losses.append(float(L))
        gradients = backward(X, y, z_1, a_1, a_2, W2, L)
        W2 = W2 - 0.03 * gradients["dW2"]
        b2 = b2 - 0.03 * gradients["db2"]
        W1 = W1 - 0.03 * gradients["dW1"]
        b1 = b1 - 0.03 * gradients["db1"]
    return losses, (W1, b1, W2, b2)


def gradcheck_cases() -> Iterable[Case]:
    """Return one case per gradient of the loop, each given its own cotangent; the wrong ones say why.

    The hidden layer's bias is checked with the notebook's 4 examples, where its gradient has a legal shape by
    accident, and with 5.
    """
    from gradcheck import Case  # the notebook must be importable without the checker

    rng = np.random.default_rng(0)
    W1, b1, W2, b2 = (rng.uniform(-1, 1, shape) for shape in ((3, 4), (1, 4), (4, 1), (1, 1)))
    inputs = X.astype(float)
    z_1, a_1, z_2, a_2 = forward(inputs, W1, b1, W2, b2)
    five = rng.uniform(-1, 1, (5, 3))
    return [
        Case.vjp("da_2 (loss factor)", loss, lambda a_2, y: loss_backward(a_2, y, loss(a_2, y)), a_2, y),
        Case.vjp("dz_2", sigmoid_v, lambda da_2, z_2: sigmoid_backward(da_2, sigmoid_v(z_2)), z_2),
        Case.vjp("dW2", lambda W2: np.dot(a_1, W2) + b2, lambda dz_2, W2: W2_backward(dz_2, a_1), W2),
        Case.vjp(
            "db2 (not summed over the batch)",
            lambda b2: np.dot(a_1, W2) + b2,
            lambda dz_2, b2: b2_backward(dz_2),
            b2,
        ),
        Case.vjp("da_1", lambda a_1: np.dot(a_1, W2) + b2, lambda dz_2, a_1: a_1_backward(dz_2, W2), a_1),
        Case.vjp("dz_1", lambda z_1: np.maximum(z_1, 0), relu_backward, z_1),
        Case.vjp("dW1", lambda W1: np.dot(inputs, W1) + b1, lambda dz_1, W1: W1_backward(dz_1, inputs), W1),
        Case.vjp(
            "db1 (sum over the wrong axis), 4 examples",
            lambda b1: np.dot(inputs, W1) + b1,
            lambda dz_1, b1: b1_backward(dz_1),
            b1,
        ),
        Case.vjp(
            "db1 (sum over the wrong axis), 5 examples",
            lambda b1: np.dot(five, W1) + b1,
            lambda dz_1, b1: b1_backward(dz_1),
            b1,
        ),
        Case.vjp("dW1, 5 examples", lambda W1: np.dot(five, W1) + b1, lambda g, W1: W1_backward(g, five), W1),
    ]
