"""How does each take a training step? The ports, the notebooks as written, the peers as their documentation says.

All of one network, ReLU and sigmoid under the cross-entropy, from the same start on the same examples. A step is
forward, backward and update, without the loss; a rate so small that the network stays where it is.
"""
# ruff: noqa: N803, N806  # matrices are capitals, as in the notebooks

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from gradcheck.bench.measure import Problem
from gradcheck.bench.peers import load
from reference_impls import class_based, column_major, kernels, per_sample_sgd, row_major
from reference_impls.notebooks import class_based as class_based_notebook
from reference_impls.notebooks import column_major as column_major_notebook
from reference_impls.notebooks import per_sample_sgd as per_sample_notebook
from reference_impls.notebooks import row_major as row_major_notebook

SIZES = {
    "4-3-1": (4, 3, 1),
    "32-64-64": (32, 64, 64),
    "256-784-128": (256, 784, 128),
    "1024-1024-1024": (1024, 1024, 1024),
}
"""Batch, inputs and hidden units; there is one output."""
DTYPES = ("float64", "float32")
RATE = 1e-6
LONG = 2**18
"""Weights, from which on the notebooks' loops over examples take seconds."""


@dataclass(frozen=True)
class Start:
    """Examples and parameters: X (num_examples, features) and so on, row-major."""

    X: Any
    Y: Any
    W1: Any
    b1: Any
    W2: Any
    b2: Any

    @classmethod
    def of(cls, size: str, dtype: str) -> Start:
        """Draw them, the same each time."""
        n, inputs, hidden = SIZES[size]
        rng = np.random.default_rng(0)
        X, Y = rng.normal(size=(n, inputs)), rng.integers(0, 2, (n, 1))
        W1, W2 = rng.normal(size=(inputs, hidden)) / inputs**0.5, rng.normal(size=(hidden, 1)) / hidden**0.5
        return cls(*(part.astype(dtype) for part in (X, Y, W1, np.zeros((1, hidden)), W2, np.zeros((1, 1)))))

    @property
    def parameters(self) -> list[Any]:
        """Copies of the four."""
        return [part.copy() for part in (self.W1, self.b1, self.W2, self.b2)]


@dataclass(frozen=True)
class Step:
    """A call that takes a step, and what the first weights are now (None where they need not be the batch's)."""

    call: Callable[[], object]
    weights: Callable[[], Any] | None = None


def products(p: Start) -> Step:
    """Return the limit: the matrix products that a step consists of, and nothing else."""
    W1, _, W2, _ = p.parameters
    z1, z2, dW1, dW2 = p.X @ W1, p.X @ W1 @ W2, np.empty_like(W1), np.empty_like(W2)

    def call() -> None:
        p.X.dot(W1, z1)
        z1.dot(W2, z2)
        z1.T.dot(z2, dW2)
        z2.dot(W2.T, z1)
        p.X.T.dot(z1, dW1)

    return Step(call)


def _port(module: Any, X: Any, Y: Any, parameters: list[Any], rate: float) -> Step:
    network = module.Network([len(parameters[0]), parameters[0].shape[1], 1], dtype=parameters[0].dtype)
    for values, start in zip(network.parameters.values(), parameters, strict=True):
        values[...] = start.T if module is column_major else start.reshape(values.shape)
    first = next(iter(network.parameters.values()))
    return Step(lambda: network.step(X, Y, rate), lambda: first.T if module is column_major else first)


def in_row_major(p: Start) -> Step:
    """Take the port's step."""
    return _port(row_major, p.X, p.Y, p.parameters, RATE)


def in_column_major(p: Start) -> Step:
    """Take the port's step; its loss is the mean."""
    return _port(column_major, p.X.T.copy(), p.Y.T.copy(), p.parameters, RATE * len(p.X))


def in_classes(p: Start) -> Step:
    """Take the port's step; its loss is the mean."""
    return _port(class_based, p.X, p.Y, p.parameters, RATE * len(p.X))


def by_sample(p: Start) -> Step:
    """Take the port's steps, one an example: its weights are not those of a batch."""
    step = _port(per_sample_sgd, p.X, p.Y, p.parameters, RATE)
    return Step(step.call)


def by_sample_compiled(p: Start) -> Step | None:
    """Take the port's steps with its pass in numba; None without numba."""
    if load("numba") is None:
        return None
    W1, b1, W2, b2 = p.parameters
    one_pass = kernels.compiled_pass()
    return Step(lambda: kernels.descend_one_by_one(p.X, p.Y, [W1, W2], [b1, b2], RATE, one_pass=one_pass))


def row_major_as_written(p: Start) -> Step | None:
    """Only where there are as many examples as hidden units: elsewhere its bias gradient does not fit."""
    if len(p.X) != p.W1.shape[1] or p.W1.size >= LONG:
        return None
    state = p.parameters

    def call() -> None:
        W1, b1, W2, b2 = state
        z_1, a_1, _, a_2 = row_major_notebook.forward(p.X, W1, b1, W2, b2)
        gradients = row_major_notebook.backward(p.X, p.Y, z_1, a_1, a_2, W2, 1.0)
        state[:] = [old - RATE * gradients[name] for name, old in zip(("dW1", "db1", "dW2", "db2"), state, strict=True)]

    return Step(call)


def column_major_as_written(p: Start) -> Step:
    """Take the notebook's step."""
    W1, b1, W2, b2 = (part.T.copy() for part in p.parameters)
    state: Any = [{"1": W1, "2": W2}, {"1": b1, "2": b2}]
    X, Y = p.X.T.copy(), p.Y.T.copy()

    def call() -> None:
        W, b = state
        _, Z, A = column_major_notebook.forward(X, W, b)
        dZ = column_major_notebook.backward(Y, A, Z, W)
        state[:] = column_major_notebook.update_parameters(dZ, A, W, b, RATE * X.shape[1])[:2]

    return Step(call, lambda: state[0]["1"].T)


def class_based_as_written(p: Start) -> Step:
    """Take the notebook's step."""
    model = class_based_notebook.MLP(p.W1.shape[0], p.W1.shape[1], 1)
    model.layer1.W, b1, model.layer2.W, b2 = p.parameters
    model.layer1.b, model.layer2.b = b1[0], b2[0]

    def call() -> None:
        model.forward(p.X)
        model.backward(p.Y)
        model.update(RATE * len(p.X))

    return Step(call, lambda: model.layer1.W)


def per_sample_as_written(p: Start) -> Step | None:
    """Take the notebook's steps; None where its loops would take seconds."""
    if p.W1.size >= LONG:
        return None
    first, bias, second, last = p.parameters
    state = [first, second, bias, last]

    def call() -> None:
        for x, y in zip(p.X, p.Y, strict=True):
            W1, W2, b1, b2 = state
            yhat = per_sample_notebook.forward(x[np.newaxis], W1, W2, b1, b2)
            state[:] = per_sample_notebook.backprop(x[np.newaxis], W1, W2, b1, b2, y, yhat, alpha=RATE)

    return Step(call)


def torch_by_hand(p: Start) -> Step | None:
    """As in "Learning PyTorch with examples", tensors and gradients by hand; None without torch."""
    torch = load("torch")
    if torch is None:
        return None
    X, Y = torch.from_numpy(p.X), torch.from_numpy(p.Y)
    W1, b1, W2, b2 = map(torch.from_numpy, p.parameters)

    def call() -> None:
        z1 = torch.addmm(b1, X, W1)
        a1 = torch.relu(z1)
        dz2 = torch.sigmoid(torch.addmm(b2, a1, W2)) - Y
        dz1 = (dz2 @ W2.T) * (z1 > 0)
        for parameter, gradient in ((W2, a1.T @ dz2), (b2, dz2.sum(0)), (W1, X.T @ dz1), (b1, dz1.sum(0))):
            parameter.sub_(gradient, alpha=RATE)

    return Step(torch.no_grad()(call), W1.numpy)


def torch_autograd(p: Start) -> Step | None:
    """As in its tutorials; None without torch."""
    torch = load("torch")
    if torch is None:
        return None
    X, Y = torch.from_numpy(p.X), torch.from_numpy(p.Y)
    parameters = W1, b1, W2, b2 = [torch.from_numpy(part).requires_grad_() for part in p.parameters]
    optimizer = torch.optim.SGD(parameters, lr=RATE)

    def call() -> None:
        optimizer.zero_grad()
        logits = torch.relu(X @ W1 + b1) @ W2 + b2
        torch.nn.functional.binary_cross_entropy_with_logits(logits, Y, reduction="sum").backward()
        optimizer.step()

    return Step(call, lambda: W1.detach().numpy())


@cache
def _jitted_step() -> Any:
    """Compiled once for each size."""
    jax = load("jax")

    def loss(parameters: Any, X: Any, Y: Any) -> Any:
        W1, b1, W2, b2 = parameters
        z = jax.nn.relu(X @ W1 + b1) @ W2 + b2
        return jax.numpy.sum(jax.nn.softplus(z) - Y * z)

    def step(parameters: Any, X: Any, Y: Any) -> Any:
        return [old - RATE * slope for old, slope in zip(parameters, jax.grad(loss)(parameters, X, Y), strict=True)]

    return jax.jit(step, donate_argnums=0)


def jax_jit(p: Start) -> Step | None:
    """Take a jitted step of `jax.grad` whose parameters are donated; None without jax."""
    jax = load("jax")
    if jax is None:
        return None
    jnp = jax.numpy
    X, Y = jnp.asarray(p.X), jnp.asarray(p.Y)
    state = [[jnp.asarray(part) for part in p.parameters]]

    jitted = _jitted_step()

    def call() -> None:
        state[0] = jitted(state[0], X, Y)
        jax.block_until_ready(state[0])

    return Step(call, lambda: np.asarray(state[0][0]))


def scikit_learn(p: Start) -> Step | None:
    """Take a `partial_fit` with one hidden layer, plain SGD, one batch; None without scikit-learn."""
    module = load("sklearn.neural_network")
    if module is None or len(np.unique(p.Y)) < 2:
        return None
    plain = {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False, "alpha": 0.0, "shuffle": False}
    model = module.MLPClassifier([p.W1.shape[1]], batch_size=len(p.X), learning_rate_init=RATE * len(p.X), **plain)
    y = p.Y.ravel().astype(int)
    model.partial_fit(p.X, y, classes=[0, 1])
    for now, start in zip((*model.coefs_, *model.intercepts_), (p.W1, p.W2, p.b1[0], p.b2[0]), strict=True):
        now[...] = start
    return Step(lambda: model.partial_fit(p.X, y), lambda: model.coefs_[0])


MAKERS: dict[str, Callable[[Start], Step | None]] = {
    "products": products,
    "row-major": in_row_major,
    "column-major": in_column_major,
    "class-based": in_classes,
    "per-sample": by_sample,
    "per-sample, numba": by_sample_compiled,
    "row-major as written": row_major_as_written,
    "column-major as written": column_major_as_written,
    "class-based as written": class_based_as_written,
    "per-sample as written": per_sample_as_written,
    "torch by hand": torch_by_hand,
    "torch autograd": torch_autograd,
    "jax.jit": jax_jit,
    "scikit-learn": scikit_learn,
}
OURS = ("row-major", "column-major", "class-based", "per-sample", "per-sample, numba")
PEERS = ("torch by hand", "torch autograd", "jax.jit", "scikit-learn")


def steps(size: str, dtype: str) -> dict[str, Step]:
    """Return a step of everyone who can take one here."""
    start = Start.of(size, dtype)
    made = {who: make(start) for who, make in MAKERS.items()}
    return {who: step for who, step in made.items() if step is not None}


def problems() -> list[Problem]:
    """Return a step at every size."""

    def make(size: str, dtype: str) -> dict[str, Callable[[], object]]:
        return {who: step.call for who, step in steps(size, dtype).items()}

    found = []
    for size, (n, inputs, hidden) in SIZES.items():
        work = {"size": size, "operations": 2 * n * hidden * (2 * inputs + 3)}
        for dtype in DTYPES:
            made = partial(make, size, dtype)
            found.append(Problem("steps", f"{size}, {dtype}", made, "products", OURS, PEERS, {**work, "dtype": dtype}))
    return found
