"""How is the user's code called? Counted, on read-only views, with exceptions that say where they come from."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from gradcheck.layer import Array, Derivative, Layer, Named
from gradcheck.parts import complex_where, is_inexact, parts, same, written

Result = TypeVar("Result")
Vectors = Named | Callable[[Named], Named]
Vector = np.ndarray[tuple[int], np.dtype[np.float64]]


class BudgetSpent(Exception):  # noqa: N818  # not an error: the signal to stop and report what was left out
    """The forward evaluations, or the time, that the user allowed are used up."""


@dataclass
class Pass:
    """One forward, and one backward where it was asked for.

    Attributes
    ----------
    outputs : dict of str to ndarray
        Copies of what the forward returned.
    result : mapping or None
        What the backward returned, by name, raw.
    changed : tuple of str
        Primals, cotangents or tangents whose contents the user's code changed, with which pass did it.
    aliases : tuple of str
        Names in `result` that are, or share memory with, what the backward was given.
    """

    outputs: Named
    result: Mapping[str, Any] | None = None
    changed: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class Evaluator:
    """Calls one layer at one point and its neighbourhood.

    Attributes
    ----------
    given : dict of str to ndarray
        Own, writable arrays. The user's code sees read-only views of them, or copies if it cannot live with those.
    point : dict of str to ndarray
        The real numbers that they are made of, in the same memory (`gradcheck.parts.parts`): move an entry, evaluate,
        move it back.
    forward_calls, backward_calls : int
        What has been spent.
    """

    def __init__(self, layer: Layer, primals: Named, budget: int | None = None, deadline: float = math.inf) -> None:
        self.layer = layer
        self.given: Named = {name: array.copy(order="K") for name, array in primals.items()}
        self.point: Named = {name: parts(array) for name, array in self.given.items()}
        self.budget = budget
        self.deadline = deadline
        self.forward_calls, self.backward_calls = layer.trial_calls
        self._copies = False
        self.names: tuple[str, ...] = ()
        self._like: Named = {}

    def run(self, vectors: Vectors | None = None, *, layer: Layer | None = None, moved: str = "") -> Pass:
        """Run the forward, and the backward if `vectors` (cotangents or tangents) are given.

        Parameters
        ----------
        vectors : dict of str to ndarray, or a function of the outputs that returns it, optional
            What the derivative is applied to.
        layer : Layer, optional
            Another instance to call in place of the evaluator's own.
        moved : str
            How the point differs from the one the user gave, for the note on an exception.

        Raises
        ------
        BudgetSpent
            Before calling, where no forward is left.
        Exception
            Whatever the user's code raises, with a note that says which call raised it.
        """
        return self._lending(lambda: self._run(layer or self.layer, vectors, moved))

    def _lending(self, work: Callable[[], Result]) -> Result:
        """Do something with the user's code, on copies of the arrays if it cannot live with read-only views."""
        try:
            return work()
        except ValueError as error:
            if self._copies or not _refuses_read_only(error):
                raise
        # It either writes to its inputs, which the comparison of contents will show, or merely insists on writable
        # arrays (Cython, torch.from_numpy): both can have copies.
        self._copies = True
        return work()

    def _forward(self, layer: Layer, moved: str) -> tuple[Named, Named, Derivative]:
        """Return the arrays that were lent, and what the forward made of them."""
        if self.ended:
            raise BudgetSpent
        given = {name: self.lend(array) for name, array in self.given.items()}
        self.forward_calls += 1
        try:
            return given, *layer(given)
        except Exception as error:
            _annotate(error, layer, "forward", moved)
            raise

    def _run(self, layer: Layer, vectors: Vectors | None, moved: str) -> Pass:
        given, outputs, derivative = self._forward(layer, moved)
        outputs = {name: np.array(array) for name, array in outputs.items()}
        changed = [f"{name} by the forward" for name in self._changed(given)]
        if vectors is None:
            return Pass(outputs, changed=tuple(changed))
        if callable(vectors):
            vectors = vectors(outputs)
        lent = {name: self.lend(array) for name, array in vectors.items()}
        self.backward_calls += 1
        try:
            result = derivative(lent)
        except Exception as error:
            _annotate(error, layer, "backward" if layer.mode == "vjp" else "jvp", moved)
            raise
        if not changed:
            changed += [f"{name} by the backward" for name in self._changed(given)]
        word = "cotangent" if layer.mode == "vjp" else "tangent"
        changed += [
            f"the {word} of {name} by the backward"
            for name, array in lent.items()
            if self._copies and not same(array, vectors[name])
        ]
        aliases = tuple(
            name
            for name, value in result.items()
            if isinstance(value, np.ndarray) and any(np.may_share_memory(value, array) for array in lent.values())
        )
        return Pass(outputs, result, tuple(changed), aliases)

    def lend(self, array: Array) -> Array:
        """Return what the user's code is given of an array: a read-only view, or a copy if it cannot live with that."""
        if self._copies:
            return array.copy(order="K")
        view = array.view()
        view.flags.writeable = False
        return view

    def _changed(self, given: Named) -> list[str]:
        """Name the lent arrays whose contents are no longer the point's; views cannot differ from what they show."""
        if not self._copies:
            return []
        return [name for name, array in given.items() if not same(array, self.given[name])]

    @contextmanager
    def away(self) -> Iterator[Named]:
        """Let the point be moved inside the context, and put it back at the end; yields a copy of it as it was."""
        saved = {name: array.copy() for name, array in self.point.items()}
        try:
            yield saved
        finally:
            for name, array in saved.items():
                self.point[name][...] = array

    @property
    def ended(self) -> str:
        """What the user's limits have come to; empty while there is something left."""
        if self.budget is not None and self.forward_calls >= self.budget:
            return "the budget ran out"
        return "the time was over" if time.perf_counter() >= self.deadline else ""

    def take_calls(self, other: Evaluator) -> None:
        """Take over the counts of an evaluator that went on from this one's."""
        self.forward_calls, self.backward_calls = other.forward_calls, other.backward_calls

    def remember(self, outputs: Named) -> None:
        """Fix which outputs are differentiable and their shapes, from the pass at the point itself."""
        self.names = tuple(name for name, array in outputs.items() if is_inexact(array))
        self._like = {name: np.empty_like(outputs[name]) for name in self.names}

    def flatten(self, outputs: Named, *, copy: bool = False) -> Vector:
        """Concatenate the real numbers of the differentiable outputs; NaN where their shape is not as remembered.

        One output may be returned as it is, unless it is to be copied.

        A real output in place of a complex one is complex with no imaginary part; the other way round it has left its
        domain (the root of a negative number).
        """
        vectors = []
        for name in self.names:
            array, like = outputs.get(name), self._like[name]
            if array is None or array.shape != like.shape or (array.dtype.kind == "c" != like.dtype.kind):
                vectors.append(np.full(parts(like).size, np.nan))
            else:
                real = parts(complex_where(like, array)) if like.dtype.kind == "c" else array
                vectors.append(real.astype(np.float64, order="C", copy=copy).reshape(-1))
        return vectors[0] if len(vectors) == 1 else np.concatenate(vectors)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the remembered outputs, as real numbers, in the order of `flatten`."""
        return [parts(self._like[name]).shape for name in self.names]

    def written(self, place: int) -> str:
        """Return a number of `flatten` as one would write it: ``"output[2, 3]"``."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        which = int(np.searchsorted(ends, place, side="right"))
        name, shape = self.names[which], self.shapes[which]
        index = np.unravel_index(place - (ends[which] - math.prod(shape)), shape)
        return written(name, self._like[name], tuple(int(i) for i in index))

    def cotangents(self, weights: Vector) -> Named:
        """Return the cotangents that `flatten` makes these weights of, shape (m,)."""
        cotangents: Named = {}
        start = 0
        for name in self.names:
            cotangents[name] = np.zeros_like(self._like[name])
            real = parts(cotangents[name])
            real[...] = weights[start : start + real.size].reshape(real.shape)
            start += real.size
        return cotangents

    @property
    def real_outputs(self) -> bool:
        """True where no remembered output is complex."""
        return all(like.dtype.kind == "f" for like in self._like.values())

    def imaginary(self, name: str, index: tuple[int, ...], step: float) -> Vector | None:
        """Evaluate the forward with one entry moved along the imaginary axis; return what that does, over the step.

        Parameters
        ----------
        name, index
            The entry of a real primal.
        step : float
            How far.

        Returns
        -------
        ndarray, shape (m,), or None
            Imaginary parts of the outputs by the step; None where an output is not complex.
        """
        if self.ended:
            raise BudgetSpent
        given = {key: self.lend(array) for key, array in self.given.items()}
        given[name] = given[name].astype(np.complex128)
        given[name][index] += 1j * step
        self.forward_calls += 1
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an imaginary part is dropped: the comparison shows it
            outputs, _ = self.layer(given)
        arrays = [np.asarray(outputs[key]) for key in self.names]
        if any(array.dtype.kind != "c" for array in arrays):
            return None
        return np.concatenate([array.imag.ravel() / step for array in arrays])

    def outputs(self, moved: str, *, far: bool = False) -> Vector:
        """Evaluate the forward at the moved point: one float64 vector, NaN where it left the function's domain.

        It has left it where it raises what stands for that (division by zero, an indefinite matrix), and where it
        raises anything `far` from the point, where nobody asked it to be.
        """
        with np.errstate(all="ignore"):
            try:
                outputs = self._lending(lambda: self._forward(self.layer, moved))[1]
                return self.flatten(outputs, copy=True)  # the user may use the array again
            except (BudgetSpent, KeyboardInterrupt):
                raise
            except Exception as error:
                if not far and not left_domain(error):
                    raise
        return np.full(sum(map(math.prod, self.shapes)), np.nan)


def left_domain(error: Exception) -> bool:
    """Tell whether an exception stands for a point outside f's domain: 1 / 0, log(-1), an indefinite matrix."""
    if isinstance(error, ValueError) and str(error).startswith(("math domain", "math range")):
        return True
    return isinstance(error, (ArithmeticError, np.linalg.LinAlgError))


def _refuses_read_only(error: ValueError) -> bool:
    text = str(error)
    return "read-only" in text or "not writable" in text or "not writeable" in text or "WRITEABLE" in text


def _annotate(error: Exception, layer: Layer, what: str, moved: str) -> None:
    error.add_note(f"gradcheck: raised by the {what} of {layer.name}, with {moved or 'the given inputs'}")
    if what == "jvp" and isinstance(error, TypeError):
        error.add_note("gradcheck: it is called as jvp(tangents, *inputs), tangents a tuple with one for each input")
