"""What is the row-major network, corrected? ReLU layers, a sigmoid, and the summed cross-entropy.

Arrays are ``(num_examples, features)``; a layer is ``a @ W + b`` with W ``(features_in, features_out)`` and b
``(1, features_out)``. Every step of the forward pass has its backward beside it, which takes the gradient of
the loss with respect to the step's output (the cotangent) and returns it with respect to the step's inputs.
"""
# ruff: noqa: N803, N806  # matrices are capitals, as in the notebook

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reference_impls import kernels
from reference_impls._arguments import Array
from reference_impls._network import BaseNetwork, Buffers
from reference_impls.kernels import (
    linear,
    linear_input_gradient,
    linear_parameter_gradients,
    relu,
    relu_backward,
    sigmoid,
)
from reference_impls.kernels import sigmoid_backward_from_output as sigmoid_backward

if TYPE_CHECKING:
    from gradcheck import Case

__all__ = [
    "Network",
    "bce_loss",
    "bce_loss_backward",
    "linear",
    "linear_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_bce_loss",
    "sigmoid_bce_loss_backward",
]


Three = tuple[Array | None, Array | None, Array | None]


def linear_backward(dz: Array, a: Array, W: Array, *, out: Three = (None, None, None)) -> tuple[Array, Array, Array]:
    """Return the gradients with respect to the three inputs of `linear`.

    Parameters
    ----------
    dz : ndarray
        Cotangent, (num_examples, features_out).
    a, W : ndarray
        What `linear` was given.
    out : tuple of three ndarrays, optional
        Where the results go.

    Returns
    -------
    da, dW, db : ndarray
        In the shapes of `a`, `W` and `b`; the bias is shared by the examples, so its gradient is the sum over
        them.

    Examples
    --------
    >>> a, W = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0], [6.0]])
    >>> da, dW, db = linear_backward(np.ones((2, 1)), a, W)
    >>> dW.tolist(), db.tolist()
    ([[4.0], [6.0]], [[2.0]])
    """
    return linear_input_gradient(dz, W, out=out[0]), *linear_parameter_gradients(dz, a, out=out[1:])


def bce_loss(a: Array, y: npt.ArrayLike) -> np.floating[Any]:
    """Return the binary cross-entropy of the probabilities `a`, summed over all elements.

    Parameters
    ----------
    a : ndarray
        Probabilities, (num_examples, features_out).
    y : array_like
        Labels 0 to 1, the same shape.

    Returns
    -------
    floating
        In nats; inf where what happened was given the probability 0. `sigmoid_bce_loss` has no such limit.

    Examples
    --------
    >>> float(bce_loss(np.array([[0.5], [0.5]]), np.array([[0], [1]])))
    1.3862943611198906
    """
    total: np.floating[Any] = np.sum(kernels.bce(a, y))
    return total


def bce_loss_backward(a: Array, y: npt.ArrayLike) -> Array:
    """Return the gradient of `bce_loss` with respect to `a`.

    Parameters
    ----------
    a, y : ndarray
        As for `bce_loss`.

    Returns
    -------
    ndarray
        The shape of `a`. The loss itself does not occur in it.

    Examples
    --------
    >>> bce_loss_backward(np.array([[0.5], [0.25]]), np.array([[0], [1]]))
    array([[ 2.],
           [-4.]])
    """
    return kernels.bce_backward(a, y)


def sigmoid_bce_loss(z: Array, y: npt.ArrayLike, *, out: Array | None = None) -> np.floating[Any]:
    """Return ``bce_loss(sigmoid(z), y)`` from the logits `z`, exact where the sigmoid saturates.

    Parameters
    ----------
    z : ndarray
        Logits, (num_examples, features_out).
    y : array_like
        Labels 0 to 1, the same shape.
    out : ndarray, optional
        Where the elements' losses go.

    Returns
    -------
    floating
        The sum over all elements.

    Examples
    --------
    >>> float(sigmoid_bce_loss(np.array([[1e8]]), np.array([[0]])))
    100000000.0
    """
    total: np.floating[Any] = np.add.reduce(kernels.bce_with_logits(z, y, out=out), axis=None)
    return total


def sigmoid_bce_loss_backward(z: Array, y: npt.ArrayLike, *, out: Array | None = None) -> Array:
    """Return the gradient of `sigmoid_bce_loss` with respect to `z`: ``sigmoid(z) - y``.

    Parameters
    ----------
    z, y : ndarray
        As for `sigmoid_bce_loss`.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        The shape of `z`.

    Examples
    --------
    >>> sigmoid_bce_loss_backward(np.array([[0.0]]), np.array([[1]]))
    array([[-0.5]])
    """
    return kernels.bce_with_logits_backward(z, y, out=out)


class Forward(NamedTuple):
    """What a forward pass leaves behind: every layer's input, first to last, and what the last made of it."""

    inputs: list[Array]
    logits: Array


class Network(BaseNetwork[Forward]):
    """ReLU layers and a sigmoid output under the cross-entropy, summed over examples and outputs.

    Parameters ``"W1"`` (features_in, features_out), ``"b1"`` (1, features_out) and so on start uniform in
    -0.5 to 0.5; X is (num_examples, layer_sizes[0]), Y (num_examples, layer_sizes[-1]). The interface is that
    of every port:

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
    >>> network = Network([3, 4, 1], seed=1)
    >>> X, Y = np.array([[0, 0, 1], [1, 1, 0], [1, 0, 0], [0, 1, 1]]), np.array([[0], [1], [1], [0]])
    >>> losses = network.fit(X, Y, epochs=500, learning_rate=0.3)
    >>> network.forward(X).round().ravel()
    array([0., 1., 1., 0.])
    """

    def _initial_parameters(self, rng: np.random.Generator) -> dict[str, Array]:
        parameters = {}
        for layer, (features_in, features_out) in enumerate(pairwise(self.layer_sizes), start=1):
            parameters[f"W{layer}"] = rng.random((features_in, features_out)) - 0.5
            parameters[f"b{layer}"] = rng.random((1, features_out)) - 0.5
        return parameters

    def _forward(self, X: Array, buffers: Buffers) -> Forward:
        inputs = [X]
        for layer, out in enumerate(buffers.outputs, start=1):
            z = linear(inputs[-1], self.parameters[f"W{layer}"], self.parameters[f"b{layer}"], out=out)
            inputs.append(relu(z, out=z) if layer < len(buffers.outputs) else z)
        return Forward(inputs[:-1], inputs[-1])

    def _outputs(self, cache: Forward) -> Array:
        return sigmoid(cache.logits)

    def _loss(self, cache: Forward, Y: Array, buffers: Buffers) -> np.floating[Any]:
        return sigmoid_bce_loss(cache.logits, Y, out=buffers.losses)

    def _backward(self, cache: Forward, Y: Array, buffers: Buffers, dloss: float) -> dict[str, Array]:
        gradients = {}
        dz = sigmoid_bce_loss_backward(cache.logits, Y, out=buffers.cotangents[-1])
        dz *= dloss
        for layer in range(len(cache.inputs), 0, -1):
            a, W, b = cache.inputs[layer - 1], f"W{layer}", f"b{layer}"
            dW, db = buffers.gradients[W], buffers.gradients[b]
            if layer == 1:  # nobody asks for the gradient of X
                gradients[W], gradients[b] = linear_parameter_gradients(dz, a, out=(dW, db))
            else:
                out = buffers.cotangents[layer - 2], dW, db
                da, gradients[W], gradients[b] = linear_backward(dz, a, self.parameters[W], out=out)
                dz = relu_backward(da, a, out=da)
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
    from reference_impls.notebooks import row_major as notebook

    rng = np.random.default_rng(10)
    cases = []
    for n in (1, 2, 5):
        z, a = rng.normal(size=(n, 3)), rng.uniform(0.05, 0.95, (n, 3))
        y = rng.integers(0, 2, (n, 3))
        W, b = rng.normal(size=(3, 4)), rng.normal(size=(1, 4))
        cases += [
            Case.vjp(f"relu_backward, {n} examples", relu, relu_backward, z),
            Case.vjp(f"sigmoid_backward, {n} examples", sigmoid, lambda da, z: sigmoid_backward(da, sigmoid(z)), z),
            Case.vjp(
                f"linear_backward, {n} examples",
                linear,
                lambda dz, a, W, b: linear_backward(dz, a, W),
                a,
                W,
                b,
            ),
            Case.vjp(f"bce_loss_backward, {n} examples", bce_loss, bce_loss_backward, a, y),
            Case.vjp(
                f"sigmoid_bce_loss_backward, {n} examples",
                sigmoid_bce_loss,
                sigmoid_bce_loss_backward,
                5 * z,
                y,
            ),
        ]
    network = Network([3, 4, 1], seed=0)
    return [
        *cases,
        end_to_end("Network 3-4-1 on the notebook's data", network, notebook.X, notebook.y),
        *random_networks(Network),
    ]
