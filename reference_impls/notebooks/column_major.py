"""What does the column-major notebook (L layers in dicts keyed '1' to 'L', ReLU, sigmoid) do? As written.

Arrays are ``(features, num_examples)``. No gradient of it is wrong. What deserves a warning:

Oddities left in
----------------
its own check of ``dZ['1']``
    "Fails" with a distance of 0.00335 although the gradient is legal: with b = 0 and x = 0 three
    pre-activations lie exactly on the kink of the ReLU, where a central difference returns half of the
    one-sided slope.
`backward`
    Takes 0 for the slope of the ReLU at 0; the notebook's prose says 1. Both are legal subgradients.
`initialize_parameters`
    ``if (seed)`` ignores the seed 0.
`numeric_gradient`
    Takes 2-D arrays only and copies the whole array twice per entry.
`sigmoid`
    Overflows with a warning for large negative inputs.
"""
# ruff: noqa: N803, N806  # the notebook's own names
# ruff: noqa: E731, E741  # the notebook's own statements
# ruff: noqa: NPY002  # the notebook draws from numpy's global generator

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_impls._arguments import Array
from reference_impls.notebooks._global_state import seeded

if TYPE_CHECKING:
    from gradcheck import Case

Layers = dict[str, Array]
"""One array per layer, by the layer's number as a string."""

FIRST_SHAPE = (1, 3, 1)
"""``layer_dimensions`` of the notebook's first, untrained network, drawn from seed 1."""
PRINTED_FIRST_W = {
    "1": ((0.01624345,), (-0.00611756,), (-0.00528172,)),
    "2": ((-0.01072969, 0.00865408, -0.02301539),),
}
PRINTED_FIRST_COST = 0.6931036106682773
PRINTED_FIRST_DZ = {"1": ((0, -0.00268219), (0, 0), (0, 0)), "2": ((-0.25, 0.24997821),)}
PRINTED_NUMERIC_DZ = {
    "1": ((0.00134121, -0.00268219), (-0.00108176, 0), (0.00287692, 0)),
    "2": ((-0.25, 0.24997821),),
}
PRINTED_DISTANCE = {"1": 0.0033534664943288993, "2": 8.0192216675912322e-10}
PRINTED_FIRST_YHAT = ((0.5, 0.49995643),)
PRINTED_SECOND_COST = 0.69307720763727243
"""What the notebook prints for that network, in its order; the last after one update with learning rate 1."""

BITS = ((0, 0, 1, 1), (0, 1, 0, 1))
"""The inputs of the two-bit tasks, (2, 4)."""
TASKS: dict[str, dict[str, Any]] = {
    "NOT": {"X": ((0, 1),), "Y": ((1, 0),), "shape": (1, 2, 1), "epochs": 100000, "seed": 1},
    "AND": {"X": BITS, "Y": ((0, 0, 0, 1),), "shape": (2, 2, 1), "epochs": 100000, "seed": 1},
    "OR": {"X": BITS, "Y": ((0, 1, 1, 1),), "shape": (2, 2, 1), "epochs": 50000, "seed": 1},
    "XOR": {"X": BITS, "Y": ((0, 1, 1, 0),), "shape": (2, 3, 1), "epochs": 50000, "seed": 5},
}
"""The four training runs, all with learning rate 1."""
PRINTED_COSTS = {
    "NOT": (
        0.6931257326865512,
        0.00011178431622663637,
        5.5350795198765576e-05,
        3.6726630636644556e-05,
        2.746135660596447e-05,
        2.1920918594980274e-05,
        1.823660827398187e-05,
        1.5609800102928724e-05,
        1.3642830748872628e-05,
        1.2114909282190857e-05,
        1.089418062271606e-05,
    ),
    "AND": (
        0.6931537991507776,
        0.00012141409013251916,
        5.9705588167839904e-05,
        3.9479310820581085e-05,
        2.9453636207564906e-05,
        2.3473901749588015e-05,
        1.9503307652577147e-05,
        1.6676702553356963e-05,
        1.4562793283211957e-05,
        1.2922315760005122e-05,
        1.1612775004161222e-05,
    ),
    "OR": (
        0.6931186561290182,
        0.0002409086021001038,
        0.00011800414334797501,
        7.792100725693064e-05,
        5.809529269374713e-05,
        4.628038947343695e-05,
        3.844328283175966e-05,
        3.286725208232808e-05,
        2.8697095795395653e-05,
        2.5461732788293928e-05,
        2.2879928457563323e-05,
    ),
    "XOR": (
        0.693152806790345,
        0.0003488680224083522,
        0.00016446249766163183,
        0.0001067492705668156,
        7.87403169220654e-05,
        6.225787299858608e-05,
        5.1415353815313e-05,
        4.375306426885527e-05,
        3.8056055150617013e-05,
        3.365631509024209e-05,
        3.0155874466667106e-05,
    ),
}
"""The cost at every tenth of each run, the last one being that of the last forward pass."""


def initialize_parameters(dimensions: Sequence[int], seed: int | None = None) -> tuple[Layers, Layers]:
    """Return W, (dimensions[l], dimensions[l-1]) from numpy's generator, and b, (dimensions[l], 1), zeros.

    As in the notebook the seed 0 is ignored; with any other the caller's generator is put back afterwards.
    """
    with seeded(seed if (seed) else None):
        W = {}
        b = {}

        for l in range(1, len(dimensions)):  # as written
            W[str(l)] = np.random.randn(dimensions[l], dimensions[l - 1]) * 0.01  # as written
            b[str(l)] = np.zeros((dimensions[l], 1))

    return W, b


sigmoid: Callable[[Any], Any] = lambda z: 1 / (1 + np.exp(-z))
relu: Callable[[Any], Any] = lambda z: np.maximum(0, z)


def forward(X: Array, W: Layers, b: Layers) -> tuple[Array, Layers, Layers]:
    """Return the outputs (dimensions[-1], num_examples), and every layer's Z and A; A['0'] is `X`."""
    Z = {}
    A = {}

    L = len(W)

    a = X
    A["0"] = a

    for l in [str(i + 1) for i in range(L)]:  # as written
        z = np.dot(W[l], a) + b[l]
        a = relu(z) if l != str(L) else sigmoid(z)

        Z[str(l)] = z
        A[str(l)] = a

    return a, Z, A


cost: Callable[[Any, Any], Any] = lambda Y, YHat: (
    (-1 / Y.shape[1]) * np.sum(Y * np.log(YHat) + (1 - Y) * np.log(1 - YHat))
)


def backward(Y: Array, A: Layers, Z: Layers, W: Layers) -> Layers:
    """Return dZ, one array per layer, each of the shape of Z."""
    dZ = {}

    L = len(W)
    m = Y.shape[1]

    dz = (A[str(L)] - Y) / m
    dZ[str(L)] = dz

    for l in reversed([i + 1 for i in range(L - 1)]):  # as written
        dz = np.dot(W[str(l + 1)].T, dz) * np.array(Z[str(l)] > 0)
        dZ[str(l)] = dz

    return dZ


def numeric_gradient(X: Array, fn: Callable[[Array], Any], epsilon: float = 1e-7) -> Array:
    """Return the central difference of the scalar function `fn` for every entry of the 2-D array `X`."""
    gradients = np.zeros(X.shape)

    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            plus, minus = [np.copy(X), np.copy(X)]
            plus[i, j] += epsilon
            minus[i, j] -= epsilon
            gradients[i, j] = (fn(plus) - fn(minus)) / (2 * epsilon)

    return gradients


distance: Callable[[Any, Any], Any] = lambda a, b: np.sqrt(np.sum((a - b) ** 2))


def update_parameters(
    dZ: Layers, A: Layers, W: Layers, b: Layers, learning_rate: float
) -> tuple[Layers, Layers, Layers, Layers]:
    """Return W and b after one step, and the gradients dW and dB it took."""
    dW = {}
    dB = {}

    _W = {}
    _b = {}

    for l in [i + 1 for i in range(len(W))]:  # as written
        dw = np.dot(dZ[str(l)], A[str(l - 1)].T)
        db = np.sum(dZ[str(l)], axis=1, keepdims=True)

        _W[str(l)] = W[str(l)] - dw * learning_rate
        _b[str(l)] = b[str(l)] - db * learning_rate

        dW[str(l)] = dw
        dB[str(l)] = db

    return _W, _b, dW, dB


def model(  # as written
    X: Array, Y: Array, shape: Sequence[int], epochs: int, alpha: float, seed: int | None = None
) -> tuple[Layers, Layers, list[float]]:
    """Train a network.

    Parameters
    ----------
    X : ndarray
        Inputs, (shape[0], num_examples).
    Y : ndarray
        Labels, (shape[-1], num_examples).
    shape : sequence of int
        Widths from the inputs to the outputs.
    epochs : int
        Full-batch steps.
    alpha : float
        Learning rate.
    seed : int, optional
        For `initialize_parameters`.

    Returns
    -------
    tuple
        W and b at the end, and the costs the notebook prints: at every tenth of the run and after it.

    Examples
    --------
    >>> X, Y = np.array([[0, 1]]), np.array([[1, 0]])
    >>> W, b, costs = model(X, Y, shape=[1, 2, 1], epochs=10, alpha=1, seed=1)
    >>> round(costs[0], 10)
    0.6931257327
    """
    W, b = initialize_parameters(shape, seed=seed)
    costs = []

    for i in range(epochs):
        YHat, Z, A = forward(X, W, b)
        if i % (epochs / 10) == 0:
            costs.append(float(cost(Y, YHat)))
        dZ = backward(Y, A, Z, W)
        W, b, _dW, _db = update_parameters(dZ, A, W, b, alpha)

    costs.append(float(cost(Y, YHat)))

    return W, b, costs


def gradcheck_cases() -> Iterable[Case]:
    """Return the notebook's two checks (one on a kink) and every gradient at random points: all right."""
    from gradcheck import Case  # the notebook must be importable without the checker

    X, Y = np.array([[0, 1]]), np.array([[1, 0]])
    W, b = initialize_parameters(FIRST_SHAPE, seed=1)
    _, Z, A = forward(X, W, b)
    cases = [
        Case.grad(
            "dZ2, the notebook's own check",
            lambda Z2: cost(Y, sigmoid(Z2)),
            lambda Z2: backward(Y, {**A, "2": sigmoid(Z2)}, {**Z, "2": Z2}, W)["2"],
            Z["2"],
        ),
        Case.grad(
            "dZ1, the notebook's own check (three entries on the kink)",
            lambda Z1: cost(Y, sigmoid(np.dot(W["2"], relu(Z1)) + b["2"])),
            lambda Z1: backward(Y, _from_first(Z1, W, b)[0], _from_first(Z1, W, b)[1], W)["1"],
            Z["1"],
        ),
    ]
    rng = np.random.default_rng(4)
    for dimensions, m in (((1, 3, 1), 1), ((2, 3, 1), 4), ((3, 5, 4, 2), 2), ((2, 1), 5)):
        inputs, labels = rng.normal(size=(dimensions[0], m)), rng.integers(0, 2, (dimensions[-1], m))
        cases.append(_whole(Case, dimensions, inputs, labels, rng))
    return cases


def _from_first(Z1: Array, W: Layers, b: Layers) -> tuple[Layers, Layers]:
    """Return A and Z of a two-layer network from its first pre-activation on."""
    a1 = relu(Z1)
    z2 = np.dot(W["2"], a1) + b["2"]
    return {"1": a1, "2": sigmoid(z2)}, {"1": Z1, "2": z2}


def _whole(case: type[Case], dimensions: tuple[int, ...], X: Array, Y: Array, rng: np.random.Generator) -> Case:
    """Return the case of all parameters' gradients at a random point."""
    widths = {str(i): (outputs, inputs) for i, (inputs, outputs) in enumerate(pairwise(dimensions), start=1)}
    point = {
        "W": {i: rng.normal(size=shape) for i, shape in widths.items()},
        "b": {i: rng.normal(size=(outputs, 1)) for i, (outputs, _) in widths.items()},
    }

    def gradients(parameters: dict[str, Layers]) -> dict[str, Layers]:
        W, b = parameters["W"], parameters["b"]
        _, Z, A = forward(X, W, b)
        _, _, dW, dB = update_parameters(backward(Y, A, Z, W), A, W, b, learning_rate=1.0)
        return {"W": dW, "b": dB}

    return case.grad(
        f"dW, dB of {'-'.join(map(str, dimensions))} on {X.shape[1]} examples",
        lambda parameters: cost(Y, forward(X, parameters["W"], parameters["b"])[0]),
        gradients,
        point,
    )
