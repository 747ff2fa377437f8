"""What is a layer? The one shape that every adapter produces and everything below it works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Named = dict[str, Array]
"""Arrays by name, in a fixed order."""
Derivative = Callable[[Named], Mapping[str, object]]
"""A pullback (cotangents to gradients) or a pushforward (tangents to output tangents).

Its result is what the user's code returned, put under names and otherwise untouched: `gradcheck.contract` judges it.
It raises `BrokenContract` where not even that can be done."""


class BrokenContract(Exception):  # noqa: N818  # not an error of the program: a finding, turned into a Violation
    """The user's derivative cannot be put under names at all (wrong number of arrays, missing keys).

    Parameters
    ----------
    kind : str
        As `gradcheck.report.Violation.kind`.
    text : str
        The sentence for the reader.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind = kind
        self.text = text


@dataclass(frozen=True, eq=False)
class Layer:
    """A forward with a hand-written derivative, and the point at which it is to be checked.

    Calling it, ``layer(primals) -> (outputs, derivative)``, runs the forward; calling the derivative runs the
    backward. Both may keep state (caches, gradient attributes), so a derivative is called before the next forward
    unless `reentrant` promises that it need not be.

    Attributes
    ----------
    name : str
        For the report.
    call : callable
        ``call(primals) -> (outputs, derivative)``. It gets every primal, constants included, and must neither keep
        references to them past the next call nor copy them: the arrays it is given are what the user's code sees.
    primals : dict of str to ndarray
        The point, own copies in the dtype the user gave.
    wrt : tuple of str
        The primals to differentiate; the rest are constants.
    mode : {"vjp", "jvp"}
        Whether the derivative is a pullback or a pushforward.
    cotangent : bool
        False for a loss whose gradient takes no cotangent: the cotangent is then 1.
    reentrant : bool
        The layer promises that a derivative stays right after later forwards (a function that gets its inputs
        again does; an object that caches them does not).
    fresh : callable or None
        Makes the same layer anew, with no state from earlier calls; None where there is none to begin with.
    remake : callable or None
        Makes the same layer anew from what the user gave, in another process too if that can be pickled.
    shares_state : bool
        Layers that `remake` makes in one process share state that a forward changes (a generator, what a function
        keeps for its backward): they must not be called from several threads at once.
    notes : tuple of str
        What the adapter has to tell the reader.
    reproduce : str
        How the user called the check.
    trial_calls : tuple of int
        Forward and backward calls that the adapter itself has already made.
    weights : dict of str to ndarray, optional
        The cotangents to check with; random ones if None.
    parts : callable, optional
        ``parts(cotangents, gradient)`` returns what the layer is composed of (see `Part`), as far as can be seen.
    """

    name: str
    call: Callable[[Named], tuple[Named, Derivative]]
    primals: Named
    wrt: tuple[str, ...]
    mode: Literal["vjp", "jvp"] = "vjp"
    cotangent: bool = True
    reentrant: bool = True
    fresh: Callable[[], Layer] | None = None
    remake: Callable[[], Layer] | None = None
    shares_state: bool = False
    notes: tuple[str, ...] = ()
    reproduce: str = ""
    trial_calls: tuple[int, int] = (0, 0)
    weights: Named | None = None
    parts: Callable[[Named, Named], list[Part]] | None = None

    def __call__(self, primals: Named) -> tuple[Named, Derivative]:
        """Run the forward; see the class."""
        return self.call(primals)

    def moved_to(self, primals: Named) -> Callable[[], Layer] | None:
        """Return the `remake` of the same layer at another point."""
        return partial(_moved, self.remake, primals) if self.remake else None


def _moved(remake: Callable[[], Layer], primals: Named) -> Layer:
    return replace(remake(), primals=primals)


@dataclass(frozen=True, eq=False)
class Part:
    """A layer that a model is composed of, at the point and with the cotangent that it has in the model.

    Attributes
    ----------
    layer : Layer
        The part.
    names : dict of str to str
        Which of its primals are the model's, and what they are called there.
    """

    layer: Layer
    names: Mapping[str, str]


def is_differentiable(array: Array) -> bool:
    """Tell whether an array's dtype has a derivative (real or complex; integers, booleans, objects are constants)."""
    return bool(np.issubdtype(array.dtype, np.inexact))


def name_outputs(result: object) -> Named:
    """Put what a forward returned under names.

    Parameters
    ----------
    result : array_like or tuple or list or dict
        One output, several, or several by name.

    Returns
    -------
    dict of str to ndarray
        ``"output"`` for one; ``"output[0]"``, ``"output[1]"``, ... for a tuple or list; the keys of a dict.
    """
    if isinstance(result, Mapping):
        return {str(key): np.asarray(value) for key, value in result.items()}
    several = isinstance(result, tuple) or (
        isinstance(result, list) and any(isinstance(value, np.ndarray) for value in result)
    )
    if several:
        return {f"output[{i}]": np.asarray(value) for i, value in enumerate(result)}  # type: ignore[arg-type, var-annotated]  # narrowed above
    return {"output": np.asarray(result)}
