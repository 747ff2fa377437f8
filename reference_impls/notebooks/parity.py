"""What does the parity notebook (2-2-1, sigmoid, linear output, squared error, no biases) do? As written.

Arrays are ``(num_examples, features)``. No gradient of it is wrong. What deserves a warning:

Oddities left in
----------------
`analytical_gradient`
    A forward difference with h = 1e-9: a numerical gradient under the wrong name, good to about 7 digits.
`loss` and `backward`
    The gradients are those of the *summed* loss, the numbers printed are its *mean*: a factor of 4 with 4
    examples, seen only by who compares the two.
`sigmoid`
    Overflows with a warning for large negative inputs.
"""
# ruff: noqa: N803, N806  # the notebook's own names
# ruff: noqa: NPY002  # the notebook draws from numpy's global generator

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_impls._arguments import Array
from reference_impls.notebooks._global_state import seeded

if TYPE_CHECKING:
    from gradcheck import Case

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
"""The inputs, (4, 2): bits."""
Y = np.array([[0], [1], [1], [0]])
"""The labels, (4, 1): their parity."""

PRINTED_DELTA_SIGMOID = ("0.25      ", "0.19661193", "0.19661193", "0.25      ")
"""``delta_sigmoid(Y)`` as numpy printed it."""
PRINTED_ANALYTICAL_GRADIENT = ("0.25000002", "0.19661195", "0.19661195", "0.25000002")
"""``analytical_gradient(sigmoid, Y)`` as numpy printed it."""
PRINTED_LOSSES = {
    0: 0.14451072667400197,
    2500: 0.007930633168167129,
    5000: 0.0031754754752917323,
    7500: 0.0021824385490060365,
}
"""The mean loss by step, from ``numpy.random.seed(0)``."""
PRINTED_PREDICTIONS = ("-0.08500212", "0.98169372", "0.98169457", "0.07744216")
"""The outputs of the last forward pass as numpy printed them."""


def sigmoid(x: Array) -> Array:
    """Return the logistic function, any shape."""
    return 1 / (1 + np.exp(-x))


def delta_sigmoid(x: Array) -> Array:
    """Return the derivative of `sigmoid` at `x`, any shape."""
    slope: Array = sigmoid(x) * (1 - sigmoid(x))
    return slope


def analytical_gradient(f: Callable[[Array], Array], x: Array) -> Array:
    """Return a forward difference of `f`, in spite of the name."""
    h = 1e-9
    return (f(x + h) - f(x)) / h


def initial_parameters() -> tuple[Array, Array]:
    """Return Whidden (2, 2) and Woutput (2, 1), drawn from numpy's global generator."""
    input_dim = X.shape[-1]
    output_dim = Y.shape[-1]
    hidden_units = 2
    Whidden = np.random.uniform(size=(input_dim, hidden_units))  # as written
    Woutput = np.random.uniform(size=(hidden_units, output_dim))  # as written
    return Whidden, Woutput


def forward(X: Array, Whidden: Array, Woutput: Array) -> tuple[Array, Array, Array]:
    """Return hidden and activation, (num_examples, hidden), then output, (num_examples, 1)."""
    hidden = X.dot(Whidden)
    activation = sigmoid(hidden)
    output = activation.dot(Woutput)
    return hidden, activation, output


def loss(output: Array, Y: Array) -> Array:
    """Return half the squared error of every example; the notebook prints its mean and descends its sum."""
    return 0.5 * (output - Y) ** 2


def output_backward(output: Array, Y: Array) -> Array:
    """Return dloss_output, (num_examples, 1)."""
    dloss_output: Array = output - Y
    return dloss_output


def activation_backward(dloss_output: Array, Woutput: Array) -> Array:
    """Return dloss_activation, (num_examples, hidden)."""
    dloss_activation: Array = dloss_output.dot(Woutput.T)
    return dloss_activation


def hidden_backward(dloss_activation: Array, hidden: Array) -> Array:
    """Return dloss_hidden, (num_examples, hidden)."""
    dloss_hidden: Array = dloss_activation * delta_sigmoid(hidden)
    return dloss_hidden


def woutput_backward(dloss_output: Array, activation: Array) -> Array:
    """Return dloss_woutput, (hidden, 1)."""
    dloss_woutput: Array = activation.T.dot(dloss_output)
    return dloss_woutput


def whidden_backward(dloss_hidden: Array, X: Array) -> Array:
    """Return dloss_whidden, (features, hidden)."""
    dloss_whidden: Array = X.T.dot(dloss_hidden)
    return dloss_whidden


def backward(X: Array, Y: Array, hidden: Array, activation: Array, output: Array, Woutput: Array) -> dict[str, Array]:
    """Return the gradients of the summed loss for both weight matrices."""
    dloss_output = output_backward(output, Y)
    dloss_activation = activation_backward(dloss_output, Woutput)
    dloss_hidden = hidden_backward(dloss_activation, hidden)
    return {
        "Whidden": whidden_backward(dloss_hidden, X),
        "Woutput": woutput_backward(dloss_output, activation),
    }


def train(seed: int | None = 0, steps: int = 10000) -> tuple[dict[int, float], Array, tuple[Array, Array]]:
    """Train on the notebook's data.

    Parameters
    ----------
    seed : int, optional
        The notebook's is 0. The caller's global generator is put back afterwards.
    steps : int, optional
        The notebook took 10,000.

    Returns
    -------
    tuple
        The mean loss at every 2,500th step, the outputs of the last forward pass, and (Whidden, Woutput) at
        the end.

    Examples
    --------
    >>> losses, output, parameters = train(steps=1)
    >>> losses
    {0: 0.144510726674...}
    """
    lr = 0.1
    with seeded(seed):
        Whidden, Woutput = initial_parameters()
    printed = {}
    output = np.empty((0, 1))
    for step in range(steps):
        hidden, activation, output = forward(X, Whidden, Woutput)
        if step % 2500 == 0:
            printed[step] = float(np.mean(loss(output, Y)))
        gradients = backward(X, Y, hidden, activation, output, Woutput)
        Woutput -= gradients["Woutput"] * lr
        Whidden -= gradients["Whidden"] * lr
    return printed, output, (Whidden, Woutput)


def gradcheck_cases() -> Iterable[Case]:
    """Return one case per gradient of the notebook, and one for all of them together; all are right."""
    from gradcheck import Case  # the notebook must be importable without the checker

    rng = np.random.default_rng(1)
    Whidden, Woutput = rng.uniform(-1, 1, (2, 2)), rng.uniform(-1, 1, (2, 1))
    inputs = X.astype(float)
    hidden, activation, output = forward(inputs, Whidden, Woutput)

    def summed_loss(parameters: dict[str, Array]) -> Any:
        return np.sum(loss(forward(inputs, **parameters)[2], Y))

    def gradients(parameters: dict[str, Array]) -> dict[str, Array]:
        return backward(inputs, Y, *forward(inputs, **parameters), parameters["Woutput"])

    return [
        Case.vjp("delta_sigmoid", sigmoid, delta_sigmoid, hidden),
        Case.vjp("delta_sigmoid at the labels", sigmoid, delta_sigmoid, Y.astype(float)),
        Case.vjp(
            "analytical_gradient (a forward difference, to its own 7 digits)",
            sigmoid,
            lambda x: analytical_gradient(sigmoid, x),
            Y.astype(float),
            rtol=1e-5,
        ),
        Case.vjp("dloss_output", loss, lambda g, output, Y: g * output_backward(output, Y), output, Y),
        Case.vjp(
            "dloss_activation",
            lambda activation: activation.dot(Woutput),
            lambda g, activation: activation_backward(g, Woutput),
            activation,
        ),
        Case.vjp("dloss_hidden", sigmoid, hidden_backward, hidden),
        Case.vjp(
            "dloss_woutput",
            activation.dot,
            lambda g, Woutput: woutput_backward(g, activation),
            Woutput,
        ),
        Case.vjp(
            "dloss_whidden",
            inputs.dot,
            lambda g, Whidden: whidden_backward(g, inputs),
            Whidden,
        ),
        Case.grad(
            "all gradients against the summed loss",
            summed_loss,
            gradients,
            {"Whidden": Whidden, "Woutput": Woutput},
        ),
    ]
