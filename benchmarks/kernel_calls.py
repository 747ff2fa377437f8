"""How is each kernel called, by us and by the peers? Each call computes the same, on the same numbers."""

from __future__ import annotations

import numpy as np

from benchmarks.peers import load
from reference_impls import kernels

NUMBERS = (10**4, 10**6)
DTYPES = ("float64", "float32")


def one_line_sigmoid(z):
    return 1 / (1 + np.exp(-z))


def one_line_bce(z, y):
    return np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))


ONE_LINE = {
    "sigmoid": lambda z, y, g: one_line_sigmoid(z),
    "softplus": lambda z, y, g: np.logaddexp(0, z),
    "relu": lambda z, y, g: np.maximum(z, 0),
    "relu_backward": lambda z, y, g: g * (z > 0),
    "sigmoid_backward": lambda z, y, g: g * one_line_sigmoid(z) * (1 - one_line_sigmoid(z)),
    "bce_with_logits": lambda z, y, g: one_line_bce(z, y),
    "bce_with_logits_backward": lambda z, y, g: one_line_sigmoid(z) - y,
}
OURS = {
    "sigmoid": lambda z, y, g, out: kernels.sigmoid(z, out=out),
    "softplus": lambda z, y, g, out: kernels.softplus(z, out=out),
    "relu": lambda z, y, g, out: kernels.relu(z, out=out),
    "relu_backward": lambda z, y, g, out: kernels.relu_backward(g, z, out=out),
    "sigmoid_backward": lambda z, y, g, out: kernels.sigmoid_backward(g, z, out=out),
    "bce_with_logits": lambda z, y, g, out: kernels.bce_with_logits(z, y, out=out),
    "bce_with_logits_backward": lambda z, y, g, out: kernels.bce_with_logits_backward(z, y, out=out),
}


def torch_calls(torch):
    """With `out=` where torch has it."""
    functional, aten = torch.nn.functional, torch.ops.aten
    return {
        "sigmoid": lambda z, y, g, out: torch.sigmoid(z, out=out),
        "softplus": lambda z, y, g, out: functional.softplus(z),
        "relu": lambda z, y, g, out: torch.relu(z),
        "relu_backward": lambda z, y, g, out: aten.threshold_backward(g, z, 0),
        "sigmoid_backward": lambda z, y, g, out: aten.sigmoid_backward(g, torch.sigmoid(z)),
        "bce_with_logits": lambda z, y, g, out: functional.binary_cross_entropy_with_logits(z, y, reduction="none"),
        "bce_with_logits_backward": lambda z, y, g, out: torch.sub(torch.sigmoid(z, out=out), y, out=out),
    }


def jax_calls(jax):
    nn, jnp = jax.nn, jax.numpy
    calls = {
        "sigmoid": lambda z, y, g: nn.sigmoid(z),
        "softplus": lambda z, y, g: nn.softplus(z),
        "relu": lambda z, y, g: nn.relu(z),
        "relu_backward": lambda z, y, g: g * (z > 0),
        "sigmoid_backward": lambda z, y, g: g * nn.sigmoid(z) * nn.sigmoid(-z),
        "bce_with_logits": lambda z, y, g: jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))),
        "bce_with_logits_backward": lambda z, y, g: nn.sigmoid(z) - y,
    }
    return {name: jax.jit(call) for name, call in calls.items()}


def calls(kernel: str, n: int, dtype: str) -> dict:
    """Return a call without arguments by who is called, for as many numbers; they all return the result."""
    rng = np.random.default_rng(0)
    z, y, g = (3 * rng.normal(size=n), rng.integers(0, 2, n), rng.normal(size=n))
    z, y, g = (array.astype(dtype) for array in (z, y, g))
    out = np.empty_like(z)
    found = {
        "kernel": lambda: OURS[kernel](z, y, g, out),
        "kernel, new array": lambda: OURS[kernel](z, y, g, None),
        "one line": lambda: ONE_LINE[kernel](z, y, g),
    }
    if torch := load("torch"):
        of_torch, room = torch_calls(torch)[kernel], torch.empty(n, dtype=getattr(torch, dtype))
        tensors = [torch.from_numpy(array) for array in (z, y, g)]
        found["torch"] = lambda: of_torch(*tensors, room)
    if jax := load("jax"):
        of_jax, arrays = jax_calls(jax)[kernel], [jax.numpy.asarray(array) for array in (z, y, g)]
        found["jax.jit"] = lambda: of_jax(*arrays).block_until_ready()
    return found


def limits(n: int, dtype: str) -> dict:
    """Return what no kernel can be faster than: to read and write as many numbers, and to call a ufunc at all."""
    source, target, one = np.ones(n, dtype), np.empty(n, dtype), np.ones(1, dtype)
    return {"copy": lambda: np.copyto(target, source), "ufunc call": lambda: np.positive(one, one)}
