"""How do layers make a network? One after the other, and their pullbacks in reverse."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from tests.soak.layers.layer import Array, Layer


class Network:
    """A chain of layers as one function of x and all parameters.

    Parameters
    ----------
    layers : list of Layer
        In the order of the forward.
    counts : list of int
        How many parameters each takes.
    end : {"", "sum", "weighted sum"}
        How the outputs are made a scalar, if they are.
    """

    def __init__(self, layers: list[Layer], counts: list[int], end: str) -> None:
        self.layers = layers
        self.counts = counts
        self.end = end

    @property
    def has_jvp(self) -> bool:
        """Whether every layer has a jvp of its own."""
        return all(layer.jvp is not None for layer in self.layers)

    def _shares(self, parameters: Any) -> list[Any]:
        ends = np.cumsum([0, *self.counts])
        return [parameters[start:end] for start, end in pairwise(ends)]

    def _points(self, x: Array, shares: list[Any]) -> list[Any]:
        """Return what goes into each layer, and the output."""
        points = [x]
        for layer, share in zip(self.layers, shares, strict=True):
            out = layer.f(points[-1], *share)
            points.append(tuple(map(np.asarray, out)) if isinstance(out, tuple) else np.asarray(out))
        return points

    def _weights(self, part: Array) -> Array:
        # of both signs and all different: ones are blind to softmax and to norms, whose sum never changes
        weights = np.cos(1.0 + np.arange(part.size)) if self.end == "weighted sum" else np.ones(part.size)
        return weights.reshape(part.shape).astype(part.dtype)

    def __call__(self, x: Array, *parameters: Array) -> Any:
        """Run the forward."""
        out = self._points(x, self._shares(parameters))[-1]
        if not self.end:
            return out
        parts = out if isinstance(out, tuple) else (out,)
        return sum(((part * self._weights(part)).sum() for part in parts), x.dtype.type(0))

    def intermediate(self, x: Array, *parameters: Array) -> list[Array]:
        """Return all arrays of the forward: inputs of layers, and outputs."""
        *inner, out = self._points(x, self._shares(parameters))
        return [*inner, *(out if isinstance(out, tuple) else (out,))]

    def stages(self, x: Array, *parameters: Array) -> list[tuple[Layer, tuple[Array, ...]]]:
        """Return each layer with its own inputs, in the order of the forward."""
        shares = self._shares(parameters)
        points = self._points(x, shares)
        return [(layer, (point, *share)) for layer, point, share in zip(self.layers, points, shares, strict=False)]

    def vjp(self, cotangent: Any, x: Array, *parameters: Array) -> list[Any]:
        """Run the pullback: one gradient for x and for each parameter, None for integers."""
        shares = self._shares(parameters)
        *points, out = self._points(x, shares)
        g = cotangent
        if self.end:
            spread = [cotangent * self._weights(part) for part in (out if isinstance(out, tuple) else (out,))]
            g = tuple(spread) if isinstance(out, tuple) else spread[0]
        gradients: list[Any] = []
        for layer, point, share in zip(self.layers[::-1], points[::-1], shares[::-1], strict=True):
            g, *rest = layer.vjp(g, point, *share)
            gradients = rest + gradients
        return [g, *gradients]

    def jvp(self, tangents: Any, x: Array, *parameters: Array) -> Any:
        """Run the pushforward; tangents of integers are not looked at."""
        shares, moves = self._shares(parameters), self._shares(tangents[1:])
        points = self._points(x, shares)
        t = tangents[0]
        for layer, point, share, move in zip(self.layers, points, shares, moves, strict=False):
            t = np.asarray(layer.jvp((t, *move), point, *share))  # type: ignore[misc]
        return (t * self._weights(t)).sum() if self.end else t
