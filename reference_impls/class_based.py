"""What is the class-based network, corrected? Layer objects that keep their input, weights and gradients.

Arrays are ``(num_examples, features)``. A layer's ``forward`` keeps what its ``backward`` needs; ``backward``
sets ``dW`` and ``db`` and returns the gradient for the layer's input; ``update`` takes the step. The loss is the
mean over *all* elements, and so is its gradient.
"""
# ruff: noqa: N803, N806  # matrices are capitals, as in the notebook

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reference_impls import kernels
from reference_impls._arguments import Array
from reference_impls._network import BaseNetwork, Buffers
from reference_impls.kernels import relu, relu_backward, sigmoid, sigmoid_backward

if TYPE_CHECKING:
    from gradcheck import Case

__all__ = [
    "MLP",
    "LinearLayer",
    "Network",
    "bce_loss",
    "bce_loss_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_bce_loss",
    "sigmoid_bce_loss_backward",
]


def _clip_at(dtype: np.dtype[Any]) -> float:
    """Return the smallest probability: 1e-9 as in the notebook, or what still differs from 0 beside 1."""
    return max(1e-9, float(np.finfo(np.result_type(dtype, np.float16)).eps))


def bce_loss(A: Array, Y: npt.ArrayLike) -> np.floating[Any]:
    """Return the binary cross-entropy of the probabilities `A`, the mean over all elements.

    Parameters
    ----------
    A : ndarray
        Probabilities, any shape; clipped at 1e-9 from 0 and 1 (1.2e-7 in float32).
    Y : array_like
        Labels 0 to 1, the same shape.

    Returns
    -------
    floating
        In nats. `sigmoid_bce_loss` needs no clip.

    Examples
    --------
    >>> float(bce_loss(np.array([0.2, 0.1, 0.8, 0.9]), np.array([1, 0, 1, 1])))
    0.5108256237659906
    """
    clip = _clip_at(A.dtype)
    mean: np.floating[Any] = np.mean(kernels.bce(np.clip(A, clip, 1 - clip), Y))
    return mean


def bce_loss_backward(A: Array, Y: npt.ArrayLike) -> Array:
    """Return the gradient of `bce_loss` with respect to `A`.

    Parameters
    ----------
    A, Y : ndarray
        As for `bce_loss`.

    Returns
    -------
    ndarray
        The shape of `A`; 0 beyond the clip, where the loss is flat, and divided by the number of *elements*.

    Examples
    --------
    >>> bce_loss_backward(np.array([0.2, 0.1, 0.8, 0.9]), np.array([1, 0, 1, 1]))
    array([-1.25      ,  0.27777778, -0.3125    , -0.27777778])
    >>> bce_loss_backward(np.array([0.0]), np.array([1]))
    array([-0.])
    """
    clip = _clip_at(A.dtype)
    slope = kernels.bce_backward(np.clip(A, clip, 1 - clip), Y)
    return slope * ((clip < A) & (1 - clip > A)) / A.size


def sigmoid_bce_loss(Z: Array, Y: npt.ArrayLike, *, out: Array | None = None) -> np.floating[Any]:
    """Return the cross-entropy of ``sigmoid(Z)`` from the logits `Z`, without a clip and exact at any `Z`.

    Parameters
    ----------
    Z : ndarray
        Logits, any shape.
    Y : array_like
        Labels 0 to 1, the same shape.
    out : ndarray, optional
        Where the elements' losses go.

    Returns
    -------
    floating
        The mean over all elements.

    Examples
    --------
    >>> float(sigmoid_bce_loss(np.array([[1e8], [1e8]]), np.array([[0], [1]])))
    50000000.0
    """
    mean: np.floating[Any] = np.add.reduce(kernels.bce_with_logits(Z, Y, out=out), axis=None) / Z.size
    return mean


def sigmoid_bce_loss_backward(Z: Array, Y: npt.ArrayLike, *, out: Array | None = None) -> Array:
    """Return the gradient of `sigmoid_bce_loss` with respect to `Z`.

    Parameters
    ----------
    Z, Y : ndarray
        As for `sigmoid_bce_loss`.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        The shape of `Z`.

    Examples
    --------
    >>> sigmoid_bce_loss_backward(np.array([[0.0], [0.0]]), np.array([[0], [1]]))
    array([[ 0.25],
           [-0.25]])
    """
    slope = kernels.bce_with_logits_backward(Z, Y, out=out)
    return np.divide(slope, Z.size, slope)


Two = tuple[Array | None, Array | None]
Three = tuple[Array | None, Array | None, Array | None]


class LinearLayer:
    """``X @ W + b``.

    Parameters
    ----------
    n_inputs, n_neurons : int
        Widths.
    seed : int or numpy.random.Generator, optional
        Where `W` comes from.
    dtype : dtype, optional
        Of the parameters.

    Attributes
    ----------
    W : ndarray
        (n_inputs, n_neurons), normal with standard deviation 0.01 at first.
    b : ndarray
        (n_neurons,), zero at first.
    X : ndarray or None
        The input of the last forward pass.
    dW, db : ndarray or None
        The gradients of the last backward pass.

    Examples
    --------
    >>> layer = LinearLayer(3, 2)
    >>> layer.forward(np.ones((4, 3))).shape
    (4, 2)
    >>> layer.backward(np.ones((4, 2))).shape, layer.dW.shape, layer.db
    ((4, 3), (3, 2), array([4., 4.]))
    """

    def __init__(self, n_inputs: int, n_neurons: int, *, seed: Any = 0, dtype: npt.DTypeLike = np.float64) -> None:
        rng = np.random.default_rng(seed)
        self.W: Array = (rng.standard_normal((n_inputs, n_neurons)) * 0.01).astype(dtype)
        self.b: Array = np.zeros(n_neurons, dtype)

        self.X: Any = None
        self.dW: Any = None
        self.db: Any = None

    def forward(self, X: Array, *, out: Array | None = None) -> Array:
        """Return the outputs, (num_examples, n_neurons), for `X`, (num_examples, n_inputs)."""
        self.X = X
        return kernels.linear(X, self.W, self.b, out=out)

    def backward(self, dOut: Array, *, out: Three = (None, None, None)) -> Array:
        """Set `dW`, `db` from the cotangent, (num_examples, n_neurons); return the gradient for the input.

        `out` is where the gradients for the input, `W` and `b` go.
        """
        self.parameter_gradients(dOut, out=out[1:])
        return kernels.linear_input_gradient(dOut, self.W, out=out[0])

    def parameter_gradients(self, dOut: Array, *, out: Two = (None, None)) -> None:
        """Set `dW` and `db` only: nobody needs the gradient for the input of a first layer."""
        dW, db = out
        row = None if db is None else db[np.newaxis]
        self.dW, row = kernels.linear_parameter_gradients(dOut, self.X, out=(dW, row))
        self.db = row[0]

    def update(self, learning_rate: float) -> None:
        """Take one step down the gradient, in place."""
        self.W -= learning_rate * self.dW
        self.b -= learning_rate * self.db


class MLP:
    """Linear layers, ReLU between them and a sigmoid behind.

    Parameters
    ----------
    *layer_sizes : int
        Widths from the inputs to the outputs, two or more.
    seed : int or numpy.random.Generator, optional
        Where the layers' weights come from.
    dtype : dtype, optional
        Of the parameters.

    Attributes
    ----------
    layer1, layer2, ... : LinearLayer
        The layers; `layers` lists them.
    A : list of ndarray
        The layers' outputs in the last forward pass, after their activations; the last ones are still logits.

    Examples
    --------
    >>> model = MLP(3, 4, 1)
    >>> model.forward(np.ones((2, 3))).shape
    (2, 1)
    >>> model.backward(np.array([[0], [1]]))
    >>> model.layer1.dW.shape
    (3, 4)
    """

    layer1: LinearLayer

    def __init__(self, *layer_sizes: int, seed: Any = 0, dtype: npt.DTypeLike = np.float64) -> None:
        rng = np.random.default_rng(seed)
        self._names = [f"layer{i}" for i in range(1, len(layer_sizes))]
        for name, (n_inputs, n_neurons) in zip(self._names, pairwise(layer_sizes), strict=True):
            setattr(self, name, LinearLayer(n_inputs, n_neurons, seed=rng, dtype=dtype))

        self.A: list[Array] = []

    @property
    def layers(self) -> Sequence[LinearLayer]:
        """The layers, first to last."""
        return [getattr(self, name) for name in self._names]

    def forward(self, X: Array) -> Array:
        """Return the probabilities, (num_examples, n_outputs)."""
        return sigmoid(self.logits(X))

    def logits(self, X: Array, buffers: Buffers | None = None) -> Array:
        """Return what the probabilities are the sigmoid of; layers' outputs go to `buffers`, if there are any."""
        outputs = buffers.outputs if buffers else [None] * len(self._names)
        self.A = []
        for layer, out in zip(self.layers, outputs, strict=True):
            X = layer.forward(X, out=out)
            self.A.append(X)
            if len(self.A) < len(outputs):
                relu(X, out=X)
        return X

    def backward(self, Y: npt.ArrayLike, buffers: Buffers | None = None, dloss: float = 1.0) -> None:
        """Set the gradients of the last forward pass's loss against the labels `Y`, times `dloss`, in all layers."""
        if buffers is None:
            buffers = Buffers.none([f"{name}.{of}" for name in self._names for of in "Wb"], len(self._names))
        dZ = sigmoid_bce_loss_backward(self.A[-1], Y, out=buffers.cotangents[-1])
        dZ *= dloss
        for i in range(len(self._names) - 1, -1, -1):
            name = self._names[i]
            dW, db = buffers.gradients[f"{name}.W"], buffers.gradients[f"{name}.b"]
            layer: LinearLayer = getattr(self, name)
            if i == 0:
                layer.parameter_gradients(dZ, out=(dW, db))
            else:
                dA = layer.backward(dZ, out=(buffers.cotangents[i - 1], dW, db))
                dZ = relu_backward(dA, self.A[i - 1], out=dA)

    def update(self, learning_rate: float) -> None:
        """Take one step down the gradient in all layers."""
        for layer in self.layers:
            layer.update(learning_rate)

    def predict(self, X: Array, threshold: float = 0.5) -> Array:
        """Return 0 or 1 for every probability."""
        return (self.forward(X) >= threshold).astype(int)


class Network(BaseNetwork[MLP]):
    """An `MLP` under the cross-entropy, the mean over examples and outputs.

    Parameters ``"layer1.W"`` (n_inputs, n_neurons), ``"layer1.b"`` (n_neurons,) and so on are those of
    ``mlp``; X is
    (num_examples, layer_sizes[0]), Y (num_examples, layer_sizes[-1]). The loss is taken from the logits,
    without a clip, so that `gradients` is its gradient everywhere. The interface is that of every port:

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
    >>> network = Network([3, 4, 1])
    >>> list(network.parameters)
    ['layer1.W', 'layer1.b', 'layer2.W', 'layer2.b']
    >>> X, Y = np.array([[3.0, 4.0, 2.0], [8.0, 7.5, 0.0]]), np.array([[0], [1]])
    >>> losses = network.fit(X, Y, epochs=300, learning_rate=0.1)
    >>> network.forward(X).round().ravel()
    array([0., 1.])
    """

    def _initial_parameters(self, rng: np.random.Generator) -> dict[str, Array]:
        self.mlp = MLP(*self.layer_sizes, seed=rng, dtype=self.dtype)
        return self._by_name("W", "b")

    def _by_name(self, *attributes: str) -> dict[str, Array]:
        """Return attributes of all layers under the parameters' names; ``dW`` goes under ``W``'s."""
        return {
            f"layer{i}.{attribute.removeprefix('d')}": getattr(layer, attribute)
            for i, layer in enumerate(self.mlp.layers, start=1)
            for attribute in attributes
        }

    def _forward(self, X: Array, buffers: Buffers) -> MLP:
        for i, layer in enumerate(self.mlp.layers, start=1):  # whoever put another array into the dict means it
            layer.W, layer.b = self.parameters[f"layer{i}.W"], self.parameters[f"layer{i}.b"]
        self.mlp.logits(X, buffers)
        return self.mlp

    def _outputs(self, cache: MLP) -> Array:
        return sigmoid(cache.A[-1])

    def _loss(self, cache: MLP, Y: Array, buffers: Buffers) -> np.floating[Any]:
        return sigmoid_bce_loss(cache.A[-1], Y, out=buffers.losses)

    def _backward(self, cache: MLP, Y: Array, buffers: Buffers, dloss: float) -> dict[str, Array]:
        cache.backward(Y, buffers, dloss)
        return self._by_name("dW", "db")


def gradcheck_cases() -> Iterable[Case]:
    """Return the cases of every backward, class and whole network, at random points and the notebook's own.

    Examples
    --------
    >>> all(case.run(seed=0).ok for case in gradcheck_cases())
    True
    """
    from gradcheck import Case
    from reference_impls._cases import end_to_end, random_networks
    from reference_impls.notebooks import class_based as notebook

    rng = np.random.default_rng(13)
    point = notebook.DEMO_Z.astype(float)
    cases = [
        Case.vjp("relu_backward at the notebook's point", relu, relu_backward, point),
        Case.vjp("sigmoid_backward at the notebook's point", sigmoid, sigmoid_backward, point),
        Case.vjp(
            "bce_loss_backward at the notebook's point",
            bce_loss,
            bce_loss_backward,
            notebook.DEMO_A,
            notebook.DEMO_Y,
        ),
        Case.vjp(
            "bce_loss_backward beyond the clip",
            bce_loss,
            bce_loss_backward,
            np.array([[-0.001], [1.001]]),  # 0 and 1 themselves lie within a difference step of the clip
            np.array([[1], [0]]),
        ),
    ]
    for n, outputs in ((1, 1), (2, 2), (5, 3)):
        Z, A = rng.normal(size=(n, outputs)), rng.uniform(0.05, 0.95, (n, outputs))
        Y = rng.integers(0, 2, (n, outputs))
        size = f"{n} examples, {outputs} columns"
        layer = LinearLayer(3, outputs, seed=rng)
        layer.W, layer.b = rng.normal(size=(3, outputs)), rng.normal(size=outputs)
        model = MLP(3, 4, outputs, seed=rng)
        for linear in model.layers:
            linear.W, linear.b = rng.normal(size=linear.W.shape), rng.normal(size=linear.b.shape)
        X = rng.normal(size=(n, 3))
        cases += [
            Case.vjp(f"relu_backward, {size}", relu, relu_backward, Z),
            Case.vjp(f"sigmoid_backward, {size}", sigmoid, sigmoid_backward, Z),
            Case.vjp(f"bce_loss_backward, {size}", bce_loss, bce_loss_backward, A, Y),
            Case.vjp(f"sigmoid_bce_loss_backward, {size}", sigmoid_bce_loss, sigmoid_bce_loss_backward, 5 * Z, Y),
            Case.layer(f"LinearLayer, {size}", layer, X),
            Case.layer(f"MLP, {size}", model, X, targets=Y, loss=bce_loss),
        ]
    network = Network([3, 4, 1], seed=0)
    return [
        *cases,
        Case.layer("MLP on the notebook's data", MLP(3, 4, 1), notebook.X, targets=notebook.Y, loss=bce_loss),
        end_to_end("Network 3-4-1 on the notebook's data", network, notebook.X, notebook.Y),
        *random_networks(Network),
    ]
