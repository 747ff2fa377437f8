"""What is the per-sample network, corrected? ReLU layers, a sigmoid, and one update after every example.

An example is a row ``(1, features)`` with its own gradients; a stack of examples ``(num_examples, 1,
features)`` has a stack of them. A layer is ``x @ W + b`` with W ``(features_in, features_out)`` and b ``(1,
features_out)``. The loss is the cross-entropy in natural logarithms, the one that ``sigmoid(z) - y`` is the
gradient of.
"""
# ruff: noqa: N803, N806  # matrices are capitals, as in the notebook

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from reference_impls import _arguments, kernels
from reference_impls._arguments import Array
from reference_impls._network import BaseNetwork, Buffers
from reference_impls.kernels import relu, sigmoid, sigmoid_derivative

if TYPE_CHECKING:
    from gradcheck import Case

STACK_AXES = 3  # (num_examples, 1, features)

__all__ = [
    "Network",
    "backprop",
    "binary_cross_entropy",
    "binary_cross_entropy_derivative",
    "forward",
    "linear",
    "linear_backward",
    "logit_cross_entropy",
    "logit_cross_entropy_derivative",
    "relu",
    "relu_derivative",
    "sigmoid",
    "sigmoid_derivative",
]


def relu_derivative(a: Array) -> Array:
    """Return the slope of `relu` at `a`, as booleans; at 0 it is taken as 0.

    Parameters
    ----------
    a : ndarray
        Any shape.

    Returns
    -------
    ndarray of bool
        Same shape.

    Examples
    --------
    >>> relu_derivative(np.array([[-5.0, 0.0, 4.0]]))
    array([[False, False,  True]])
    """
    return np.asarray(a > 0)


def binary_cross_entropy(yhat: Array, y: npt.ArrayLike) -> Array:
    """Return the cross-entropy of the probability `yhat`, in natural logarithms, for every element.

    Parameters
    ----------
    yhat : ndarray
        Probabilities, any shape.
    y : array_like
        Targets 0 to 1, of a shape that broadcasts against `yhat`.

    Returns
    -------
    ndarray
        One loss per element; inf where what happened was given the probability 0.

    Examples
    --------
    >>> binary_cross_entropy(np.array([[0.5]]), 1)
    array([[0.69314718]])
    """
    return kernels.bce(yhat, y)


def binary_cross_entropy_derivative(yhat: Array, y: npt.ArrayLike) -> Array:
    """Return the derivative of `binary_cross_entropy` with respect to `yhat`.

    Parameters
    ----------
    yhat, y
        As for `binary_cross_entropy`.

    Returns
    -------
    ndarray
        One derivative per element.

    Examples
    --------
    >>> binary_cross_entropy_derivative(np.array([[0.25]]), 1)
    array([[-4.]])
    """
    return kernels.bce_backward(yhat, y)


def logit_cross_entropy(z: Array, y: npt.ArrayLike) -> Array:
    """Return ``binary_cross_entropy(sigmoid(z), y)`` from the logit `z`, exact where the sigmoid saturates.

    Parameters
    ----------
    z : ndarray
        Logits, any shape.
    y : array_like
        Targets 0 to 1, of a shape that broadcasts against `z`.

    Returns
    -------
    ndarray
        One loss per element.

    Examples
    --------
    >>> logit_cross_entropy(np.array([[1e8]]), 0)
    array([[1.e+08]])
    """
    return kernels.bce_with_logits(z, y)


def logit_cross_entropy_derivative(z: Array, y: npt.ArrayLike) -> Array:
    """Return the derivative of `logit_cross_entropy` with respect to `z`: ``sigmoid(z) - y``.

    Parameters
    ----------
    z, y
        As for `logit_cross_entropy`.

    Returns
    -------
    ndarray
        One derivative per element.

    Examples
    --------
    >>> logit_cross_entropy_derivative(np.array([[0.0]]), 1)
    array([[-0.5]])
    """
    return kernels.bce_with_logits_backward(z, y)


def linear(x: Array, W: Array, b: Array, *, out: Array | None = None) -> Array:
    """Return ``x @ W + b``.

    Parameters
    ----------
    x : ndarray
        One example (1, features_in), or a stack of them.
    W : ndarray
        (features_in, features_out).
    b : ndarray
        (1, features_out).
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        One row (1, features_out), or a stack of them.

    Examples
    --------
    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([[5.0]]))
    array([[16.]])
    """
    features_in, features_out = W.shape
    rows = None if out is None else out.reshape(-1, features_out)
    rows = kernels.linear(x.reshape(-1, features_in), W, b, out=rows)  # one product for a whole stack
    return rows.reshape(*x.shape[:-1], features_out)


def linear_backward(dz: Array, x: Array, W: Array) -> tuple[Array, Array, Array]:
    """Return the gradients with respect to the inputs of `linear`, each example's its own.

    Parameters
    ----------
    dz : ndarray
        Cotangent, (1, features_out), or a stack of them.
    x, W : ndarray
        What `linear` was given.

    Returns
    -------
    dx, dW, db : ndarray
        (1, features_in), (features_in, features_out) and (1, features_out), or stacks of them: what is summed
        over a stack is the gradient for the parameters that its examples share.

    Examples
    --------
    >>> dx, dW, db = linear_backward(np.array([[2.0]]), np.array([[1.0, 3.0]]), np.array([[4.0], [5.0]]))
    >>> dx.tolist(), dW.tolist(), db.tolist()
    ([[8.0, 10.0]], [[2.0], [6.0]], [[2.0]])
    """
    return dz @ W.T, np.swapaxes(x, -1, -2) @ dz, dz


class Forward(NamedTuple):
    """What a forward pass leaves behind: every layer's input and pre-activation, first to last."""

    inputs: list[Array]
    pre_activations: list[Array]


def forward(x: Array, parameters: Mapping[str, Array], buffers: Buffers | None = None) -> Forward:
    """Run one example, or a stack of them, up to the last pre-activation.

    Parameters
    ----------
    x : ndarray
        (1, features), or a stack.
    parameters : mapping of str to ndarray
        ``"W1"``, ``"b1"``, ``"W2"``, ... of every layer.
    buffers : Buffers, optional
        Where the results go.

    Returns
    -------
    Forward
        The prediction is the `sigmoid` of its last pre-activation.

    Examples
    --------
    >>> parameters = {"W1": np.array([[3.0], [4.0]]), "b1": np.array([[5.0]])}
    >>> forward(np.array([[1.0, 2.0]]), parameters).pre_activations
    [array([[16.]])]
    """
    buffers = buffers or Buffers.none(parameters, len(parameters) // 2)
    inputs, pre_activations = [x], []
    for layer, out in enumerate(buffers.outputs, start=1):
        z = linear(inputs[-1], parameters[f"W{layer}"], parameters[f"b{layer}"], out=out)
        pre_activations.append(z)
        if layer < len(buffers.outputs):
            inputs.append(relu(z, out=buffers.activations[layer - 1]))
    return Forward(inputs, pre_activations)


def backprop(passed: Forward, y: npt.ArrayLike, parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Return the gradient of one example's loss, or of every example's in a stack, for every parameter.

    Parameters
    ----------
    passed : Forward
        From `forward` with the same parameters.
    y : array_like
        Targets, of a shape that broadcasts against the last pre-activation.
    parameters : mapping of str to ndarray
        As for `forward`.

    Returns
    -------
    dict of str to ndarray
        The names of `parameters`; their shapes, or stacks of them.

    Examples
    --------
    >>> parameters = {"W1": np.array([[0.0], [0.0]]), "b1": np.array([[0.0]])}
    >>> gradients = backprop(forward(np.array([[1.0, 2.0]]), parameters), 1, parameters)
    >>> gradients["W1"].tolist(), gradients["b1"].tolist()
    ([[-0.5], [-1.0]], [[-0.5]])
    """
    gradients = {}
    dz = logit_cross_entropy_derivative(passed.pre_activations[-1], y)
    for layer in reversed(range(1, len(parameters) // 2 + 1)):
        x, W = passed.inputs[layer - 1], parameters[f"W{layer}"]
        dx, gradients[f"W{layer}"], gradients[f"b{layer}"] = linear_backward(dz, x, W)
        if layer > 1:
            dz = dx * relu_derivative(passed.pre_activations[layer - 2])
    return {name: gradients[name] for name in parameters}


class Network(BaseNetwork[Forward]):
    """ReLU layers and a sigmoid output, trained example by example; the loss is the sum over all of them.

    `step` goes through the examples in order and updates after each; `gradients` is the sum of the examples'
    own, all at the present parameters; `compile` makes steps faster, with numba. Parameters ``"W1"``
    (features_in, features_out), ``"b1"`` (1, features_out) and so on start uniform in 0 to 1. X is
    (num_examples, 1, features), or flat, (num_examples, features); `forward` answers in the same layout; Y has
    one target, or one row of them, per example. The interface is that of every port:

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
    >>> network = Network([2, 3, 1], seed=1)
    >>> X, Y = np.array([[[0, 0]], [[0, 1]], [[1, 0]], [[1, 1]]]), np.array([1, 0, 0, 1])
    >>> losses = network.fit(X, Y, epochs=500, learning_rate=0.1)
    >>> network.forward(X).round().ravel()
    array([1., 0., 0., 1.])
    """

    _one_pass: kernels.one_by_one.Pass | None = None

    def forward(self, X: npt.ArrayLike) -> Array:
        """Return the predictions, (num_examples, 1, outputs), or flat where `X` is."""
        return super().forward(X).reshape((*np.shape(X)[:-1], self.layer_sizes[-1]))

    def _inputs(self, X: npt.ArrayLike) -> Array:
        array = np.asarray(X)
        features = self.layer_sizes[0]
        if array.ndim == STACK_AXES:
            return _arguments.as_examples("X", array, ("num_examples", 1, features), self.dtype)
        return _arguments.as_examples("X", array, ("num_examples", features), self.dtype)[:, np.newaxis]

    def _examples(self, X: npt.ArrayLike, Y: npt.ArrayLike) -> tuple[Array, Array]:
        inputs, targets = self._inputs(X), np.asarray(Y)
        n, outputs = len(inputs), self.layer_sizes[-1]
        if targets.ndim == STACK_AXES:
            return inputs, _arguments.as_examples("Y", targets, (n, 1, outputs), self.dtype)
        if targets.ndim == 1 and outputs == 1:
            return inputs, _arguments.as_examples("Y", targets, (n,), self.dtype)[:, np.newaxis, np.newaxis]
        return inputs, _arguments.as_examples("Y", targets, (n, outputs), self.dtype)[:, np.newaxis]

    def _initial_parameters(self, rng: np.random.Generator) -> dict[str, Array]:
        parameters = {}
        for layer, features_out in enumerate(self.layer_sizes[1:], start=1):
            parameters[f"W{layer}"] = rng.random((self.layer_sizes[layer - 1], features_out))
            parameters[f"b{layer}"] = rng.random((1, features_out))
        return parameters

    def _shapes(self, X: Array) -> list[tuple[int, ...]]:
        return [(len(X), 1, features) for features in self.layer_sizes[1:]]

    def _forward(self, X: Array, buffers: Buffers) -> Forward:
        return forward(X, self.parameters, buffers)

    def _outputs(self, cache: Forward) -> Array:
        return sigmoid(cache.pre_activations[-1])

    def _loss(self, cache: Forward, Y: Array, buffers: Buffers) -> np.floating[Any]:
        total: np.floating[Any] = np.add.reduce(
            kernels.bce_with_logits(cache.pre_activations[-1], Y, out=buffers.losses), axis=None
        )
        return total

    def _backward(self, cache: Forward, Y: Array, buffers: Buffers, dloss: float) -> dict[str, Array]:
        stacks = backprop(cache, Y, self.parameters)
        return {name: dloss * np.sum(stack, axis=0) for name, stack in stacks.items()}

    def compile(self) -> Self:
        """Take steps in machine code from now on: needs numba, and seconds for the first one. Return the network."""
        self._one_pass = kernels.compiled_pass()
        return self

    def _step(self, X: Array, Y: Array, learning_rate: float, buffers: Buffers) -> None:
        layers = range(1, len(self.layer_sizes))
        W, b = ([self.parameters[f"{name}{layer}"] for layer in layers] for name in "Wb")
        kernels.descend_one_by_one(X[:, 0], Y[:, 0], W, b, learning_rate, one_pass=self._one_pass)

    def _descend(self, cache: Forward, Y: Array, learning_rate: float, buffers: Buffers) -> None:
        self._step(cache.inputs[0], Y, learning_rate, buffers)


def gradcheck_cases() -> Iterable[Case]:
    """Return the cases of every backward and of whole networks, at random points and the notebook's own.

    Examples
    --------
    >>> all(case.run(seed=0).ok for case in gradcheck_cases())
    True
    """
    from gradcheck import Case
    from reference_impls._cases import end_to_end, random_networks
    from reference_impls.notebooks import per_sample_sgd as notebook

    rng = np.random.default_rng(12)
    z, yhat = rng.normal(size=(1, 4)), rng.uniform(0.05, 0.95, (1, 4))
    x, W, b = rng.normal(size=(1, 3)), rng.normal(size=(3, 4)), rng.normal(size=(1, 4))
    cases = [
        Case.vjp("relu_derivative", relu, relu_derivative, z),
        Case.vjp("sigmoid_derivative", sigmoid, sigmoid_derivative, z),
        Case.vjp(
            "linear_backward, one example",
            linear,
            lambda dz, x, W, b: linear_backward(dz, x, W),
            x,
            W,
            b,
        ),
        Case.vjp(
            "linear_backward, the examples of a stack",
            lambda x: linear(x, W, b),
            lambda dz, x: linear_backward(dz, x, W)[0],
            rng.normal(size=(5, 1, 3)),
        ),
    ]
    for y in (0, 1):
        cases += [
            Case.vjp(
                f"binary_cross_entropy_derivative, y={y}",
                lambda yhat, y=y: binary_cross_entropy(yhat, y),
                lambda g, yhat, y=y: g * binary_cross_entropy_derivative(yhat, y),
                yhat,
            ),
            Case.vjp(
                f"logit_cross_entropy_derivative, y={y}",
                lambda z, y=y: logit_cross_entropy(z, y),
                lambda g, z, y=y: g * logit_cross_entropy_derivative(z, y),
                5 * z,
            ),
        ]
    network = Network([2, 3, 1], seed=0)
    for i, (x_i, y_i) in enumerate(zip(notebook.x_train, notebook.y_train, strict=True)):
        name = f"Network 2-3-1 on the notebook's example {i}"
        cases.append(end_to_end(name, network, x_i[np.newaxis], y_i[np.newaxis]))
    return [
        *cases,
        end_to_end("Network 2-3-1 on the notebook's data", network, notebook.x_train, notebook.y_train),
        *random_networks(Network),
    ]
