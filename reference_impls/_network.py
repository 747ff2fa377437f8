"""What do the five networks have in common? Their interface, and the order in which its parts are called.

Each port fills in, in its own style and layout, how the parameters start, how a forward pass goes, what the
loss is and how its gradients flow back.

What is returned is always new. A step has arrays of its own instead (`Buffers`), which it writes over every time: after
the first, training allocates nothing.
"""
# ruff: noqa: N803  # X and Y are matrices, as in the notebooks

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Self, SupportsFloat, SupportsIndex, TypeVar

import numpy as np
import numpy.typing as npt

from reference_impls import _arguments
from reference_impls._arguments import Array

Cache = TypeVar("Cache")
"""What a forward pass leaves behind for its backward pass: each style's own."""

__all__ = ["BaseNetwork", "Buffers"]


@dataclass
class Buffers:
    """Where the results of a pass go, layer by layer; a new array wherever there is None."""

    outputs: list[Array | None]
    activations: list[Array | None]
    """For those who need a layer's output and what becomes of it; the others activate in place."""
    cotangents: list[Array | None]
    """Gradients with respect to the outputs."""
    gradients: dict[str, Array | None]
    losses: Array | None
    """One an element of the last output."""

    @classmethod
    def new(cls, parameters: Mapping[str, Array], shapes: list[tuple[int, ...]], dtype: np.dtype[Any]) -> Self:
        """Return arrays for outputs of these shapes."""

        def arrays() -> list[Array | None]:
            return [np.empty(shape, dtype) for shape in shapes]

        gradients: dict[str, Array | None] = {name: np.empty(p.shape, dtype) for name, p in parameters.items()}
        return cls(arrays(), arrays(), arrays(), gradients, np.empty(shapes[-1], dtype))

    @classmethod
    def none(cls, names: Iterable[str], layers: int) -> Self:
        """Return no arrays, for parameters of these names and as many layers."""
        nothing: list[Array | None] = [None] * layers
        return cls(nothing, nothing, nothing, dict.fromkeys(names), None)


class BaseNetwork(ABC, Generic[Cache]):
    """A network with a hand-written gradient.

    Parameters
    ----------
    layer_sizes : iterable of int
        Widths from the inputs to the outputs, two or more.
    seed : int or numpy.random.Generator, optional
        Where the initial parameters come from. Keyword-only.
    dtype : dtype, optional
        Of the parameters and of everything computed with them. Keyword-only.

    Attributes
    ----------
    parameters : dict of str to ndarray
        The live parameters: what is written into these arrays, or put in their place, is what the network
        uses.
    layer_sizes : tuple of int
        As given.
    dtype : dtype
        As given.

    Raises
    ------
    ValueError
        By the constructor and by every method: an argument is unusable; the message names it and what was
        expected.
    """

    def __init__(
        self, layer_sizes: Iterable[SupportsIndex], *, seed: Any = 0, dtype: npt.DTypeLike = np.float64
    ) -> None:
        self.layer_sizes = _arguments.as_layer_sizes(layer_sizes)
        self.dtype = _arguments.as_dtype(dtype)
        initial = self._initial_parameters(_arguments.as_generator(seed))
        self.parameters: dict[str, Array] = {
            name: value.astype(self.dtype, copy=False) for name, value in initial.items()
        }
        self._buffers: tuple[tuple[int, ...], Buffers] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the buffers out of copies and pickles: those make their own."""
        return {**self.__dict__, "_buffers": None}

    def forward(self, X: npt.ArrayLike) -> Array:
        """Return the network's outputs for the inputs `X`, both in the style's own layout."""
        inputs = self._inputs(X)
        return self._outputs(self._forward(inputs, self._no_buffers()))

    def loss(self, X: npt.ArrayLike, Y: npt.ArrayLike) -> np.floating[Any]:
        """Return the loss of the outputs for `X` against the targets `Y`, a scalar of the network's dtype."""
        inputs, targets = self._examples(X, Y)
        nothing = self._no_buffers()
        return self._loss(self._forward(inputs, nothing), targets, nothing)

    def gradients(self, X: npt.ArrayLike, Y: npt.ArrayLike) -> dict[str, Array]:
        """Return the exact gradient of `loss` under the names and in the shapes of `parameters`."""
        inputs, targets = self._examples(X, Y)
        nothing = self._no_buffers()
        gradients = self._backward(self._forward(inputs, nothing), targets, nothing, 1.0)
        return {name: gradients[name] for name in self.parameters}

    def step(self, X: npt.ArrayLike, Y: npt.ArrayLike, learning_rate: SupportsFloat) -> None:
        """Go through the examples once, changing the live parameters in place."""
        inputs, targets = self._examples(X, Y)
        self._step(inputs, targets, _arguments.as_learning_rate(learning_rate), self._own_buffers(inputs))

    def fit(
        self, X: npt.ArrayLike, Y: npt.ArrayLike, *, epochs: SupportsIndex, learning_rate: SupportsFloat
    ) -> list[np.floating[Any]]:
        """Take `epochs` steps and return the loss over all examples before each of them."""
        inputs, targets = self._examples(X, Y)
        rate, buffers = _arguments.as_learning_rate(learning_rate), self._own_buffers(inputs)
        losses = []
        for _ in range(_arguments.as_epochs(epochs)):
            cache = self._forward(inputs, buffers)
            losses.append(self._loss(cache, targets, buffers))
            self._descend(cache, targets, rate, buffers)
        return losses

    def at(self, parameters: Mapping[str, Array]) -> Self:
        """Return a copy of the network that uses these parameters; the network itself stays as it is.

        Parameters
        ----------
        parameters : mapping of str to ndarray
            Used as they are, not copied; parameters left out are copied from the network.

        Raises
        ------
        ValueError
            If a name or a shape is not the network's.
        """
        for name, value in parameters.items():
            if name not in self.parameters:
                raise ValueError(f"parameters has {name!r}, expected among {', '.join(self.parameters)}")
            if value.shape != self.parameters[name].shape:
                raise ValueError(
                    f"parameters[{name!r}] has shape {value.shape}, expected {self.parameters[name].shape}"
                )
        other = copy.deepcopy(self)
        other.parameters.update(parameters)
        return other

    def _inputs(self, X: npt.ArrayLike) -> Array:
        """Return `X` as the style's forward pass wants it: (num_examples, features) unless overridden."""
        return _arguments.as_examples("X", X, ("num_examples", self.layer_sizes[0]), self.dtype)

    def _examples(self, X: npt.ArrayLike, Y: npt.ArrayLike) -> tuple[Array, Array]:
        """Return `X` and `Y` as the style's passes want them."""
        inputs = self._inputs(X)
        return inputs, _arguments.as_examples("Y", Y, (len(inputs), self.layer_sizes[-1]), self.dtype)

    def _shapes(self, X: Array) -> list[tuple[int, ...]]:
        """Return the shapes of the layers' outputs: (num_examples, features) unless overridden."""
        return [(len(X), features) for features in self.layer_sizes[1:]]

    def _no_buffers(self) -> Buffers:
        return Buffers.none(self.parameters, len(self.layer_sizes) - 1)

    def _own_buffers(self, X: Array) -> Buffers:
        """Return the buffers for inputs of this shape; those of the last shape are kept."""
        if any(parameter.dtype != self.dtype for parameter in self.parameters.values()):
            return self._no_buffers()  # whoever put them there has the dtype that follows from them
        if self._buffers is None or self._buffers[0] != X.shape:
            self._buffers = X.shape, Buffers.new(self.parameters, self._shapes(X), self.dtype)
        return self._buffers[1]

    def _step(self, X: Array, Y: Array, learning_rate: float, buffers: Buffers) -> None:
        """Take one step in place."""
        self._descend(self._forward(X, buffers), Y, learning_rate, buffers)

    def _descend(self, cache: Cache, Y: Array, learning_rate: float, buffers: Buffers) -> None:
        """Take the step that follows from a forward pass: one of the full batch unless overridden."""
        # the few cotangents at the top are scaled, and not the many gradients that follow from them
        for name, step in self._backward(cache, Y, buffers, learning_rate).items():
            np.subtract(self.parameters[name], step, self.parameters[name])

    @abstractmethod
    def _initial_parameters(self, rng: np.random.Generator) -> dict[str, Array]:
        """Draw the parameters as the notebook did."""

    @abstractmethod
    def _forward(self, X: Array, buffers: Buffers) -> Cache:
        """Run the network up to its last pre-activation."""

    @abstractmethod
    def _outputs(self, cache: Cache) -> Array:
        """Return what the network answers."""

    @abstractmethod
    def _loss(self, cache: Cache, Y: Array, buffers: Buffers) -> np.floating[Any]:
        """Return the loss from the last pre-activation."""

    @abstractmethod
    def _backward(self, cache: Cache, Y: Array, buffers: Buffers, dloss: float) -> dict[str, Array]:
        """Return the gradient of `_loss` for every parameter, in any order, times its cotangent `dloss`."""
