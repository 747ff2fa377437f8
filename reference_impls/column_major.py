r"""What is the column-major network, corrected? Layers in dicts keyed '1' to 'L', examples in columns.

Arrays are ``(features, num_examples)``. ReLU layers, a sigmoid, and the cross-entropy: the mean over the
examples, the sum over the outputs.

Forward
-------
With ``A[0] = X`` (n_0, m), one example a column, layer l = 1 ... L computes

    Z[l] = W[l] A[l-1] + b[l]        W[l] is (n_l, n_{l-1}), b[l] is (n_l, 1) and added to every column
    A[l] = max(0, Z[l])              below the top
    A[L] = s(Z[L])                   at the top, s(z) = 1 / (1 + e^-z): the prediction

and the cost is J = (1/m) sum of c(Y, A[L]) over all elements, c(y, a) = -(y ln a + (1 - y) ln(1 - a)).

One quantity per layer
----------------------
Call dZ[l] the array of the derivatives of J with respect to the elements of Z[l]. It is all that has to
travel backwards: the parameters of a layer act through its Z alone. Element (i, k) of Z[l] is the sum over j
of W[l]_ij A[l-1]_jk, plus b[l]_i, so W[l]_ij is multiplied by A[l-1]_jk in every column k, and b[l]_i by 1.
Adding up the columns,

    dW[l] = dZ[l] A[l-1]^T
    db[l] = dZ[l] summed over its columns

with no further 1/m: dZ already holds it.

The top
-------
Two factors meet. The loss has the slope dc/da = -y/a + (1-y)/(1-a) = (a - y) / (a (1-a)), the sigmoid
s'(z) = s(z) (1 - s(z)) = a (1-a). Their product loses the denominator:

    dZ[L] = (A[L] - Y) / m

That is more than convenient. Where the sigmoid saturates, one factor overflows while the other vanishes; the
product is harmless. Even the remaining subtraction cancels there, and is done here as (1-y) s(z) - y s(-z),
the same number.

Below
-----
Z[l] acts through A[l] on Z[l+1] alone, in its own column. Element A[l]_jk enters Z[l+1]_ik with the weight
W[l+1]_ij for every i: the derivative of J with respect to A[l] is W[l+1]^T dZ[l+1]. The ReLU hands it on
where it was open:

    dZ[l] = (W[l+1]^T dZ[l+1]) * r(Z[l]),    r(z) = 1 for z > 0, 0 for z < 0

At z = 0 the ReLU has a kink, and any slope from 0 to 1 is a legal subgradient; this module takes 0. It is not
a curiosity: with b = 0 at the start, every example x = 0 puts the whole first layer there, and a central
difference then shows the mean of the two one-sided slopes.
"""
# ruff: noqa: N802, N803, N806  # matrices are capitals, as in the formulae above
# ruff: noqa: E741  # l is a layer's number, as in the formulae above

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reference_impls import _arguments, kernels
from reference_impls._arguments import Array
from reference_impls._network import BaseNetwork, Buffers
from reference_impls.kernels import relu, relu_backward, sigmoid, sigmoid_backward

if TYPE_CHECKING:
    from gradcheck import Case

Layers = dict[str, Array]
"""One array per layer, by the layer's number as a string."""
Places = Mapping[str, Array | None]
"""Where results go, likewise."""

__all__ = [
    "Network",
    "backward",
    "cost",
    "cost_backward",
    "forward",
    "initialize_parameters",
    "parameter_gradients",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
]


def cost(Y: npt.ArrayLike, Z: Array, *, out: Array | None = None) -> np.floating[Any]:
    """Return the cross-entropy of the predictions ``sigmoid(Z)``: the mean over columns, the sum over rows.

    Parameters
    ----------
    Y : array_like
        Labels 0 to 1, (outputs, num_examples).
    Z : ndarray
        The last layer's pre-activations, the same shape.
    out : ndarray, optional
        Where the elements' losses go.

    Returns
    -------
    floating
        In nats; exact where the sigmoid saturates.

    Examples
    --------
    >>> float(cost(np.array([[0, 1]]), np.array([[0.0, 0.0]])))
    0.6931471805599453
    """
    mean: np.floating[Any] = np.add.reduce(kernels.bce_with_logits(Z, Y, out=out), axis=None) / Z.shape[1]
    return mean


def cost_backward(Y: npt.ArrayLike, Z: Array, *, out: Array | None = None) -> Array:
    """Return dZ of the last layer, the gradient of `cost`: ``(sigmoid(Z) - Y) / num_examples``.

    Parameters
    ----------
    Y, Z : ndarray
        As for `cost`.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        The shape of `Z`.

    Examples
    --------
    >>> cost_backward(np.array([[0, 1]]), np.array([[0.0, 0.0]]))
    array([[ 0.25, -0.25]])
    """
    dZ = kernels.bce_with_logits_backward(Z, Y, out=out)
    return np.divide(dZ, Z.shape[1], dZ)


def initialize_parameters(dimensions: Sequence[int], seed: Any = 0) -> tuple[Layers, Layers]:
    """Return initial weights, normal with standard deviation 0.01, and biases, zero.

    Parameters
    ----------
    dimensions : sequence of int
        Widths from the inputs to the outputs.
    seed : int or numpy.random.Generator, optional
        Where they come from; 0 is a seed like any other.

    Returns
    -------
    W, b : dict of str to ndarray
        (dimensions[l], dimensions[l-1]) and (dimensions[l], 1) under the key str(l).

    Examples
    --------
    >>> W, b = initialize_parameters([2, 3, 1])
    >>> W["1"].shape, b["1"].shape, W["2"].shape
    ((3, 2), (3, 1), (1, 3))
    """
    rng = _arguments.as_generator(seed)
    W, b = {}, {}
    for l in range(1, len(dimensions)):
        W[str(l)] = rng.standard_normal((dimensions[l], dimensions[l - 1])) * 0.01
        b[str(l)] = np.zeros((dimensions[l], 1))
    return W, b


def forward(X: Array, W: Layers, b: Layers) -> tuple[Array, Layers, Layers]:
    """Run the network.

    Parameters
    ----------
    X : ndarray
        (features, num_examples).
    W, b : dict of str to ndarray
        As from `initialize_parameters`.

    Returns
    -------
    YHat : ndarray
        The predictions, (outputs, num_examples).
    Z, A : dict of str to ndarray
        Every layer's pre-activations and activations; ``A['0']`` is `X`.

    Examples
    --------
    >>> YHat, Z, A = forward(np.zeros((2, 5)), *initialize_parameters([2, 3, 1]))
    >>> YHat
    array([[0.5, 0.5, 0.5, 0.5, 0.5]])
    """
    Z, A = {}, {"0": X}
    a, top = X, str(len(W))
    for l in map(str, range(1, len(W) + 1)):
        Z[l] = kernels.linear_columns(W[l], a, b[l])
        A[l] = a = sigmoid(Z[l]) if l == top else relu(Z[l])
    return a, Z, A


def backward(Y: npt.ArrayLike, Z: Layers, W: Layers, dcost: float = 1.0, *, out: Places | None = None) -> Layers:
    """Return dZ of every layer.

    Parameters
    ----------
    Y : array_like
        Labels, (outputs, num_examples).
    Z : dict of str to ndarray
        From `forward` with the same `W`; below the top, the activations will do: they are positive where Z is.
    W : dict of str to ndarray
        The weights.
    dcost : float, optional
        Cotangent of the cost.
    out : dict of str to ndarray, optional
        Where the results go.

    Returns
    -------
    dict of str to ndarray
        In the shapes of `Z`.

    Examples
    --------
    >>> W, b = initialize_parameters([2, 3, 1])
    >>> _, Z, A = forward(np.zeros((2, 2)), W, b)
    >>> backward(np.array([[0, 1]]), Z, W)["2"]
    array([[ 0.25, -0.25]])
    """
    L, out = len(W), out or {}
    dZ = {str(L): cost_backward(Y, Z[str(L)], out=out.get(str(L)))}
    dZ[str(L)] *= dcost
    for l in reversed(range(1, L)):
        dA = kernels.linear_columns_input_gradient(dZ[str(l + 1)], W[str(l + 1)], out=out.get(str(l)))
        dZ[str(l)] = relu_backward(dA, Z[str(l)], out=dA)
    return dZ


def parameter_gradients(dZ: Layers, A: Layers, *, out: tuple[Places, Places] | None = None) -> tuple[Layers, Layers]:
    """Return the gradients of the parameters from those of the pre-activations.

    Parameters
    ----------
    dZ : dict of str to ndarray
        From `backward`.
    A : dict of str to ndarray
        From `forward`.
    out : tuple of two dicts of str to ndarray, optional
        Where the results go.

    Returns
    -------
    dW, db : dict of str to ndarray
        In the shapes of W and b.

    Examples
    --------
    >>> dW, db = parameter_gradients({"1": np.array([[1.0, 2.0]])}, {"0": np.array([[3.0, 4.0]])})
    >>> dW["1"], db["1"]
    (array([[11.]]), array([[3.]]))
    """
    dW, db = {}, {}
    for l, dz in dZ.items():
        places = (None, None) if out is None else (out[0][l], out[1][l])
        dW[l], db[l] = kernels.linear_columns_parameter_gradients(dz, A[str(int(l) - 1)], out=places)
    return dW, db


class Forward(NamedTuple):
    """What a forward pass leaves behind: the weights it used, and every layer's activations, at the top before them."""

    W: Layers
    A: Layers


class Network(BaseNetwork[Forward]):
    """ReLU layers and a sigmoid output on columns; the mean over examples of the cross-entropy.

    Parameters ``"W1"`` (features_out, features_in), ``"b1"`` (features_out, 1) and so on, by layer in `W` and
    `b`; X is
    (layer_sizes[0], num_examples), Y (layer_sizes[-1], num_examples). The interface is that of every port:

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
    >>> network = Network([2, 3, 1], seed=2)
    >>> X, Y = np.array([[0, 0, 1, 1], [0, 1, 0, 1]]), np.array([[0, 0, 0, 1]])
    >>> losses = network.fit(X, Y, epochs=2000, learning_rate=1)
    >>> network.forward(X).round()
    array([[0., 0., 0., 1.]])
    """

    @property
    def W(self) -> Layers:
        """The live weights by layer."""
        return {str(l): self.parameters[f"W{l}"] for l in range(1, len(self.layer_sizes))}

    @property
    def b(self) -> Layers:
        """The live biases by layer."""
        return {str(l): self.parameters[f"b{l}"] for l in range(1, len(self.layer_sizes))}

    def _inputs(self, X: npt.ArrayLike) -> Array:
        return _arguments.as_examples("X", X, (self.layer_sizes[0], "num_examples"), self.dtype)

    def _examples(self, X: npt.ArrayLike, Y: npt.ArrayLike) -> tuple[Array, Array]:
        inputs = self._inputs(X)
        layout = (self.layer_sizes[-1], inputs.shape[1])
        return inputs, _arguments.as_examples("Y", Y, layout, self.dtype)

    def _initial_parameters(self, rng: np.random.Generator) -> dict[str, Array]:
        return _flat(*initialize_parameters(self.layer_sizes, rng))

    def _shapes(self, X: Array) -> list[tuple[int, ...]]:
        return [(features, X.shape[1]) for features in self.layer_sizes[1:]]

    def _forward(self, X: Array, buffers: Buffers) -> Forward:
        W, b, A = self.W, self.b, {"0": X}
        for l, out in enumerate(buffers.outputs, start=1):
            a = kernels.linear_columns(W[str(l)], A[str(l - 1)], b[str(l)], out=out)
            A[str(l)] = relu(a, out=a) if l < len(W) else a
        return Forward(W, A)

    def _outputs(self, cache: Forward) -> Array:
        return sigmoid(cache.A[str(len(cache.W))])

    def _loss(self, cache: Forward, Y: Array, buffers: Buffers) -> np.floating[Any]:
        return cost(Y, cache.A[str(len(cache.W))], out=buffers.losses)

    def _backward(self, cache: Forward, Y: Array, buffers: Buffers, dloss: float) -> dict[str, Array]:
        places = {str(l): out for l, out in enumerate(buffers.cotangents, start=1)}
        dW, db = ({l: buffers.gradients[of + l] for l in places} for of in "Wb")
        return _flat(*parameter_gradients(backward(Y, cache.A, cache.W, dloss, out=places), cache.A, out=(dW, db)))


def _flat(W: Layers, b: Layers) -> dict[str, Array]:
    """Return layers under the names "W1", "b1", "W2", ..."""
    flat = {}
    for l in map(str, range(1, len(W) + 1)):
        flat["W" + l], flat["b" + l] = W[l], b[l]
    return flat


def gradcheck_cases() -> Iterable[Case]:
    """Return the cases of every backward and of whole networks, at random points and the notebook's own.

    Examples
    --------
    >>> all(case.run(seed=0).ok for case in gradcheck_cases())
    True
    """
    from gradcheck import Case
    from reference_impls._cases import end_to_end, random_networks
    from reference_impls.notebooks import column_major as notebook

    rng = np.random.default_rng(14)
    cases = []
    for m in (1, 2, 5):
        Z, Y = rng.normal(size=(3, m)), rng.integers(0, 2, (3, m))
        A, W, b = rng.normal(size=(2, m)), rng.normal(size=(3, 2)), rng.normal(size=(3, 1))
        top = rng.normal(size=(2, 3))
        cases += [
            Case.vjp(f"relu_backward, {m} examples", relu, relu_backward, Z),
            Case.vjp(f"sigmoid_backward, {m} examples", sigmoid, sigmoid_backward, Z),
            Case.grad(
                f"cost_backward, {m} examples",
                lambda Z, Y=Y: cost(Y, Z),
                lambda Z, Y=Y: cost_backward(Y, Z),
                Z,
            ),
            Case.grad(
                f"dZ of a hidden layer, {m} examples",
                lambda Z, Y=Y[:2], top=top: cost(Y, np.dot(top, relu(Z))),
                lambda Z, Y=Y[:2], top=top: backward(Y, {"1": Z, "2": np.dot(top, relu(Z))}, {"1": top, "2": top})["1"],
                Z,
            ),
            Case.vjp(
                f"parameter_gradients, {m} examples",
                lambda W, b, A=A: np.dot(W, A) + b,
                lambda dz, W, b, A=A: tuple(layers["1"] for layers in parameter_gradients({"1": dz}, {"0": A})),
                W,
                b,
            ),
        ]
    for name, task in notebook.TASKS.items():
        network = Network(task["shape"], seed=task["seed"])
        cases.append(end_to_end(f"Network at its start on {name}", network, np.array(task["X"]), np.array(task["Y"])))
    return [*cases, *random_networks(Network, features_first=True)]
