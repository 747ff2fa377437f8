"""What is the parity network, corrected? Sigmoid layers without biases, a linear output, squared error.

Arrays are ``(num_examples, features)``; a layer is ``x @ W`` with W ``(features_in, features_out)``. The loss
is half the squared error, *summed*, and the gradients are those of this sum (the notebook prints its mean).
"""
# ruff: noqa: N803, N806  # matrices are capitals, as in the notebook

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reference_impls._arguments import Array
from reference_impls._network import BaseNetwork, Buffers
from reference_impls.kernels import linear_input_gradient, sigmoid, sigmoid_backward
from reference_impls.kernels import sigmoid_derivative as delta_sigmoid

if TYPE_CHECKING:
    from gradcheck import Case

__all__ = [
    "Network",
    "delta_sigmoid",
    "linear",
    "linear_backward",
    "sigmoid",
    "sigmoid_backward",
    "squared_error",
    "squared_error_backward",
]


def linear(x: Array, W: Array, *, out: Array | None = None) -> Array:
    """Return ``x @ W``.

    Parameters
    ----------
    x : ndarray
        (num_examples, features_in).
    W : ndarray
        (features_in, features_out).
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        (num_examples, features_out).

    Examples
    --------
    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    return np.asarray(x.dot(W, out))


def linear_backward(
    dout: Array, x: Array, W: Array, *, out: tuple[Array | None, Array | None] = (None, None)
) -> tuple[Array, Array]:
    """Return the gradients with respect to both inputs of `linear`.

    Parameters
    ----------
    dout : ndarray
        Cotangent, (num_examples, features_out).
    x, W : ndarray
        What `linear` was given.
    out : tuple of two ndarrays, optional
        Where the results go.

    Returns
    -------
    dx, dW : ndarray
        In the shapes of `x` and `W`.

    Examples
    --------
    >>> dx, dW = linear_backward(np.array([[1.0]]), np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    >>> dx.tolist(), dW.tolist()
    ([[3.0, 4.0]], [[1.0], [2.0]])
    """
    return linear_input_gradient(dout, W, out=out[0]), np.asarray(x.T.dot(dout, out[1]))


def squared_error(output: Array, Y: Array, *, out: Array | None = None) -> np.floating[Any]:
    """Return half the squared error, summed over all elements.

    Parameters
    ----------
    output, Y : ndarray
        Outputs and targets, (num_examples, features_out).
    out : ndarray, optional
        Where the elements' squares go.

    Returns
    -------
    floating
        The sum; the notebook's printed mean is this divided by the number of elements.

    Examples
    --------
    >>> float(squared_error(np.array([[1.0], [2.0]]), np.array([[0], [0]])))
    2.5
    """
    error = np.subtract(output, Y, out=out)
    total: np.floating[Any] = 0.5 * np.add.reduce(np.square(error, out=out), axis=None)
    return total


def squared_error_backward(output: Array, Y: Array, *, out: Array | None = None) -> Array:
    """Return the gradient of `squared_error` with respect to `output`.

    Parameters
    ----------
    output, Y : ndarray
        As for `squared_error`.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        The shape of `output`.

    Examples
    --------
    >>> squared_error_backward(np.array([[1.0], [2.0]]), np.array([[0], [3]]))
    array([[ 1.],
           [-1.]])
    """
    return np.subtract(output, Y, out=out)


class Forward(NamedTuple):
    """What a forward pass leaves behind: every layer's input and what it makes of it, before the sigmoid."""

    inputs: list[Array]
    hidden: list[Array]


class Network(BaseNetwork[Forward]):
    """Sigmoid layers without biases and a linear output under half the squared error, summed.

    Parameters ``"Whidden1"``, ``"Whidden2"``, ... and ``"Woutput"``, each (features_in, features_out), start
    uniform in 0 to 1; X is (num_examples, layer_sizes[0]), Y (num_examples, layer_sizes[-1]). The interface
    is that of every port:

    Parameters
    ----------
    layer_sizes : iterable of int
        Widths from the inputs to the outputs, two or more.
    seed : int or numpy.random.Generator, optional
        Where the initial parameters come from.
    dtype : dtype, optional
        Of everything.

    Raises
    ------
    ValueError
        By the constructor and by every method: an argument is unusable; the message says what was expected.

    Examples
    --------
    >>> network = Network([2, 2, 1])
    >>> list(network.parameters)
    ['Whidden1', 'Woutput']
    >>> X, Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
    >>> losses = network.fit(X, Y, epochs=200, learning_rate=0.1)
    >>> bool(losses[-1] < losses[0])
    True
    """

    def _names(self) -> list[str]:
        hidden = len(self.layer_sizes) - 2
        return [*(f"Whidden{layer}" for layer in range(1, hidden + 1)), "Woutput"]

    def _initial_parameters(self, rng: np.random.Generator) -> dict[str, Array]:
        shapes = pairwise(self.layer_sizes)
        return {name: rng.uniform(size=shape) for name, shape in zip(self._names(), shapes, strict=True)}

    def _forward(self, X: Array, buffers: Buffers) -> Forward:
        inputs, hidden = [X], []
        for layer, name in enumerate(self._names()):
            hidden.append(linear(inputs[-1], self.parameters[name], out=buffers.outputs[layer]))
            if name != "Woutput":
                inputs.append(sigmoid(hidden[-1], out=buffers.activations[layer]))
        return Forward(inputs, hidden)

    def _outputs(self, cache: Forward) -> Array:
        return cache.hidden[-1]

    def _loss(self, cache: Forward, Y: Array, buffers: Buffers) -> np.floating[Any]:
        return squared_error(cache.hidden[-1], Y, out=buffers.losses)

    def _backward(self, cache: Forward, Y: Array, buffers: Buffers, dloss: float) -> dict[str, Array]:
        gradients = {}
        dout = squared_error_backward(cache.hidden[-1], Y, out=buffers.cotangents[-1])
        dout *= dloss
        for layer, name in reversed(list(enumerate(self._names()))):
            x, dW = cache.inputs[layer], buffers.gradients[name]
            if layer == 0:  # nobody asks for the gradient of X
                gradients[name] = np.asarray(x.T.dot(dout, dW))
            else:
                out = buffers.cotangents[layer - 1], dW
                dx, gradients[name] = linear_backward(dout, x, self.parameters[name], out=out)
                dout = sigmoid_backward(dx, cache.hidden[layer - 1], out=dx)
        return gradients


def gradcheck_cases() -> Iterable[Case]:
    """Return the cases of every backward and of whole networks, at random points and the notebook's own.

    Examples
    --------
    >>> all(case.run(seed=0).ok for case in gradcheck_cases())
    True
    """
    from gradcheck import Case
    from reference_impls._cases import end_to_end, random_networks
    from reference_impls.notebooks import parity as notebook

    rng = np.random.default_rng(11)
    cases = []
    for n in (1, 2, 5):
        x, W, Y = rng.normal(size=(n, 3)), rng.normal(size=(3, 2)), rng.normal(size=(n, 3))
        cases += [
            Case.vjp(f"delta_sigmoid, {n} examples", sigmoid, delta_sigmoid, x),
            Case.vjp(f"sigmoid_backward, {n} examples", sigmoid, sigmoid_backward, x),
            Case.vjp(f"linear_backward, {n} examples", linear, linear_backward, x, W),
            Case.vjp(
                f"squared_error_backward, {n} examples",
                lambda output, Y=Y: squared_error(output, Y),
                lambda g, output, Y=Y: g * squared_error_backward(output, Y),
                x,
            ),
        ]
    labels = notebook.Y.astype(float)
    return [
        Case.vjp("delta_sigmoid at the notebook's labels", sigmoid, delta_sigmoid, labels),
        *cases,
        end_to_end("Network 2-2-1 on the notebook's data", Network([2, 2, 1]), notebook.X, labels),
        *random_networks(Network, real_targets=True),
    ]
