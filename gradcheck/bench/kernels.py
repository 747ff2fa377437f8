"""How is each kernel called, by us and by the peers? Each call computes the same, on the same numbers."""
# ruff: noqa: N803, N806  # matrices are capitals

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from gradcheck.bench.measure import Problem
from gradcheck.bench.peers import load
from reference_impls import kernels

__all__ = ["DTYPES", "NUMBERS", "OURS", "PRODUCTS", "calls", "limits", "problems", "product_calls"]

Array = np.ndarray[Any, np.dtype[Any]]
Call = Callable[..., Any]

NUMBERS = (10**4, 10**6)
DTYPES = ("float64", "float32")
PEERS = ("torch", "jax.jit")


def one_line_sigmoid(z: Array) -> Any:
    """Return what textbooks have."""
    return 1 / (1 + np.exp(-z))


def one_line_bce(z: Array, y: Array) -> Any:
    """Return what textbooks have."""
    return np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))


ONE_LINE: Mapping[str, Call] = {
    "sigmoid": lambda z, y, g: one_line_sigmoid(z),
    "softplus": lambda z, y, g: np.logaddexp(0, z),
    "relu": lambda z, y, g: np.maximum(z, 0),
    "relu_backward": lambda z, y, g: g * (z > 0),
    "sigmoid_backward": lambda z, y, g: g * one_line_sigmoid(z) * (1 - one_line_sigmoid(z)),
    "bce_with_logits": lambda z, y, g: one_line_bce(z, y),
    "bce_with_logits_backward": lambda z, y, g: one_line_sigmoid(z) - y,
}
OURS: Mapping[str, Call] = {
    "sigmoid": lambda z, y, g, out: kernels.sigmoid(z, out=out),
    "softplus": lambda z, y, g, out: kernels.softplus(z, out=out),
    "relu": lambda z, y, g, out: kernels.relu(z, out=out),
    "relu_backward": lambda z, y, g, out: kernels.relu_backward(g, z, out=out),
    "sigmoid_backward": lambda z, y, g, out: kernels.sigmoid_backward(g, z, out=out),
    "bce_with_logits": lambda z, y, g, out: kernels.bce_with_logits(z, y, out=out),
    "bce_with_logits_backward": lambda z, y, g, out: kernels.bce_with_logits_backward(z, y, out=out),
}
WORK = {
    "sigmoid": (4, 2),
    "softplus": (5, 2),
    "relu": (1, 2),
    "relu_backward": (2, 3),
    "sigmoid_backward": (7, 3),
    "bce_with_logits": (8, 3),
    "bce_with_logits_backward": (5, 3),
}
"""For each number the operations (an exp or a logarithm is one of them) and the arrays read and written."""
PRODUCTS = {"linear": (256, 784, 128), "linear_parameter_gradients": (256, 784, 128)}
"""Kernels that are matrix products above all, and their examples, features in and out."""


@cache
def torch_calls() -> Mapping[str, Call] | None:
    """Return the calls, with `out=` where torch has it; None without torch."""
    torch = load("torch")
    if torch is None:
        return None
    functional, aten = torch.nn.functional, torch.ops.aten
    return {
        "sigmoid": lambda z, y, g, out: torch.sigmoid(z, out=out),
        "softplus": lambda z, y, g, out: functional.softplus(z),
        "relu": lambda z, y, g, out: torch.relu(z),
        "relu_backward": lambda z, y, g, out: aten.threshold_backward(g, z, 0),
        "sigmoid_backward": lambda z, y, g, out: aten.sigmoid_backward(g, torch.sigmoid(z)),
        "bce_with_logits": lambda z, y, g, out: functional.binary_cross_entropy_with_logits(z, y, reduction="none"),
        "bce_with_logits_backward": lambda z, y, g, out: torch.sub(torch.sigmoid(z, out=out), y, out=out),
        "linear": lambda a, W, b, dz: torch.addmm(b, a, W),
        "linear_parameter_gradients": lambda a, W, b, dz: (a.T @ dz, dz.sum(0, keepdim=True)),
    }


@cache
def jax_calls() -> Mapping[str, Call] | None:
    """Return the calls, each compiled once; None without jax."""
    jax = load("jax")
    if jax is None:
        return None
    nn, jnp = jax.nn, jax.numpy
    found = {
        "sigmoid": lambda z, y, g: nn.sigmoid(z),
        "softplus": lambda z, y, g: nn.softplus(z),
        "relu": lambda z, y, g: nn.relu(z),
        "relu_backward": lambda z, y, g: g * (z > 0),
        "sigmoid_backward": lambda z, y, g: g * nn.sigmoid(z) * nn.sigmoid(-z),
        "bce_with_logits": lambda z, y, g: jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))),
        "bce_with_logits_backward": lambda z, y, g: nn.sigmoid(z) - y,
        "linear": lambda a, W, b, dz: a @ W + b,
        "linear_parameter_gradients": lambda a, W, b, dz: (a.T @ dz, dz.sum(0, keepdims=True)),
    }
    return {name: jax.jit(call) for name, call in found.items()}


def calls(kernel: str, n: int, dtype: str) -> dict[str, Callable[[], Any]]:
    """Return a call without arguments by who is called, for as many numbers; they all return the result."""
    rng = np.random.default_rng(0)
    z, y, g = (3 * rng.normal(size=n), rng.integers(0, 2, n), rng.normal(size=n))
    z, y, g = (array.astype(dtype) for array in (z, y, g))
    out = np.empty_like(z)
    found: dict[str, Callable[[], Any]] = {
        "kernel": lambda: OURS[kernel](z, y, g, out),
        "kernel, new array": lambda: OURS[kernel](z, y, g, None),
        "one line": lambda: ONE_LINE[kernel](z, y, g),
    }
    if of_torch := torch_calls():
        torch = load("torch")
        tensors = [torch.from_numpy(array) for array in (z, y, g, np.empty_like(z))]
        found["torch"] = lambda: of_torch[kernel](*tensors)
    if of_jax := jax_calls():
        arrays = [load("jax").numpy.asarray(array) for array in (z, y, g)]
        found["jax.jit"] = lambda: of_jax[kernel](*arrays).block_until_ready()
    return found


def product_calls(kernel: str, dtype: str) -> dict[str, Callable[[], Any]]:
    """Return the same for a kernel of `PRODUCTS`, and the product alone: the limit."""
    n, inputs, outputs = PRODUCTS[kernel]
    rng = np.random.default_rng(0)
    a, W, b, dz = (
        rng.normal(size=shape).astype(dtype) for shape in ((n, inputs), (inputs, outputs), (1, outputs), (n, outputs))
    )
    z, product, dW, db = np.empty_like(dz), np.empty_like(dz), np.empty_like(W), np.empty_like(b)
    forward: dict[str, Callable[[], Any]] = {
        "product": lambda: a.dot(W, product),
        "kernel": lambda: kernels.linear(a, W, b, out=z),
        "one line": lambda: a @ W + b,
    }
    backward: dict[str, Callable[[], Any]] = {
        "product": lambda: a.T.dot(dz, dW),
        "kernel": lambda: kernels.linear_parameter_gradients(dz, a, out=(dW, db)),
        "one line": lambda: (a.T @ dz, dz.sum(0, keepdims=True)),
    }
    found = forward if kernel == "linear" else backward
    if of_torch := torch_calls():
        torch = load("torch")
        tensors = [torch.from_numpy(array) for array in (a, W, b, dz)]
        found["torch"] = lambda: of_torch[kernel](*tensors)
    if of_jax := jax_calls():
        jax = load("jax")
        arrays = [jax.numpy.asarray(array) for array in (a, W, b, dz)]
        found["jax.jit"] = lambda: jax.block_until_ready(of_jax[kernel](*arrays))
    return found


def limits(n: int, dtype: str) -> dict[str, Callable[[], Any]]:
    """Return what no kernel can be faster than: to read and write as many numbers, and to call a ufunc at all."""
    source, target, one = np.ones(n, dtype), np.empty(n, dtype), np.ones(1, dtype)
    return {"copy": lambda: np.copyto(target, source), "ufunc call": lambda: np.positive(one, one)}


def problems() -> list[Problem]:
    """Return every kernel at every size."""

    def make(kernel: str, n: int, dtype: str) -> dict[str, Callable[[], Any]]:
        return {"copy": limits(n, dtype)["copy"], **calls(kernel, n, dtype)}

    found = []
    for kernel, (operations, arrays) in WORK.items():
        for n in NUMBERS:
            for dtype in DTYPES:
                work = {"kernel": kernel, "size": f"{n:,} numbers", "dtype": dtype, "operations": operations * n}
                work["bytes"] = arrays * n * np.dtype(dtype).itemsize
                title = f"{kernel}, {n:,} numbers, {dtype}"
                found.append(
                    Problem("kernels", title, partial(make, kernel, n, dtype), "copy", ("kernel",), PEERS, work)
                )
    for kernel, (n, inputs, outputs) in PRODUCTS.items():
        for dtype in DTYPES:
            numbers = n * inputs + inputs * outputs + n * outputs + outputs
            work = {"kernel": kernel, "size": f"{n}-{inputs}-{outputs}", "dtype": dtype}
            work |= {"operations": 2 * n * inputs * outputs, "bytes": numbers * np.dtype(dtype).itemsize}
            title = f"{kernel}, {n}-{inputs}-{outputs}, {dtype}"
            found.append(
                Problem("kernels", title, partial(product_calls, kernel, dtype), "product", ("kernel",), PEERS, work)
            )
    return found
