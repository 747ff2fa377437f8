"""How is a case checked? Once right, and once with a single wrong entry that the report promises to see."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradcheck
from gradcheck.report import Report
from tests.soak.draw import Case

CLEARLY = 1.5  # an error so many times the detection limit has to be seen
WEAKEST = 0.5  # the smallest weight that an output can have in a jvp's check


@dataclass(frozen=True)
class Corruption:
    """One wrong entry of a gradient.

    Attributes
    ----------
    place : int
        Which input's gradient.
    index : tuple of int
        Which entry of it.
    factor, offset : float
        ``g * factor + offset`` stands in its place.
    output : tuple of int
        For a jvp: which output moves wrongly with the entry.
    """

    place: int
    index: tuple[int, ...]
    factor: float
    offset: float
    output: tuple[int, ...] = ()

    def applied(self, value: Any) -> Any:
        """Return what stands in the entry's place."""
        return value * self.factor + self.offset


Pull = Callable[..., list[Any]]


def check(case: Case, corruption: Corruption | None = None) -> tuple[Report, list[Any]]:
    """Check a case.

    Returns
    -------
    Report
        Of the public check.
    list
        The gradients that the backward returned first at the point with the check's own cotangent. Empty for a jvp.
    """
    seen: list[list[Any]] = []

    def pull(cotangent: Any, *inputs: Any) -> list[Any]:
        gradients = case.network.vjp(cotangent, *inputs)
        seen.append([None if g is None else np.array(g) for g in gradients])
        if corruption is not None:
            wrong = np.array(gradients[corruption.place])
            wrong[corruption.index] = corruption.applied(wrong[corruption.index])
            gradients[corruption.place] = wrong
        return gradients

    options: dict[str, Any] = {"seed": case.seed, "mode": case.mode}
    with np.errstate(all="ignore"):
        report = _FORMS[case.form](case, pull, corruption, options)
    return report, seen[_TRIALS.get(case.form, 0)] if seen else []


def _vjp(case: Case, pull: Pull, corruption: Corruption | None, options: dict[str, Any]) -> Report:
    return gradcheck.check_vjp(
        case.network, lambda cotangent, *inputs: tuple(pull(cotangent, *inputs)), *case.inputs, **options
    )


def _jvp(case: Case, pull: Pull, corruption: Corruption | None, options: dict[str, Any]) -> Report:
    def jvp(tangents: Any, *inputs: Any) -> Any:
        out = np.array(case.network.jvp(tangents, *inputs))
        if corruption is not None:
            moved = float(tangents[corruption.place][corruption.index])
            # a matrix of slopes with one wrong entry
            slope = slope_of(case, corruption, inputs) if corruption.factor != 1 else 0.0
            out[corruption.output] += moved * (corruption.applied(slope) - slope)
        return out

    return gradcheck.check_jvp(case.network, jvp, *case.inputs, **options)


def slope_of(case: Case, corruption: Corruption, inputs: Any) -> float:
    """Return the derivative of the corruption's output by its entry, at some inputs."""
    unit = [np.zeros(array.shape, array.dtype if array.dtype.kind == "f" else float) for array in inputs]
    unit[corruption.place][corruption.index] = 1
    with np.errstate(all="ignore"):  # a layer may overflow inside, as written
        return float(np.asarray(case.network.jvp(unit, *inputs))[corruption.output])


def _grad(case: Case, pull: Pull, corruption: Corruption | None, options: dict[str, Any]) -> Report:
    named = {f"p{place}": case.inputs[place] for place in case.floats}

    def inputs(params: dict[str, Any]) -> list[Any]:
        return [params.get(f"p{place}", array) for place, array in enumerate(case.inputs)]

    def grad(params: dict[str, Any]) -> dict[str, Any]:
        given = inputs(params)
        one = np.ones((), np.asarray(case.network(*given)).dtype)
        gradients = pull(one, *given)
        return {f"p{place}": gradients[place] for place in case.floats}

    return gradcheck.check_grad(lambda params: case.network(*inputs(params)), grad, named, **options)


def _layer(case: Case, pull: Pull, corruption: Corruption | None, options: dict[str, Any]) -> Report:
    network = case.network
    constants = {place: array for place, array in enumerate(case.inputs) if array.dtype.kind != "f"}
    learnt = [place for place in case.floats if place]

    class Drawn:
        """A layer as people write them: W1 beside dW1, the input kept for the backward."""

        def __init__(self) -> None:
            for place in learnt:
                setattr(self, f"W{place}", case.inputs[place])

        def _inputs(self) -> list[Any]:
            places = range(1, len(case.inputs))
            return [self.x, *(constants.get(place, getattr(self, f"W{place}", None)) for place in places)]

        def forward(self, x: Any) -> Any:
            self.x = x
            return network(*self._inputs())

        def backward(self, dout: Any) -> Any:
            dx, *gradients = pull(dout, *self._inputs())
            for place in learnt:
                setattr(self, f"dW{place}", gradients[place - 1])
            return dx

    return gradcheck.check_layer(Drawn(), case.inputs[0], **options)


_TRIALS = {"layer": 1}  # calls of a backward with a cotangent of its own, to see what it takes and returns
_FORMS = {"vjp": _vjp, "jvp": _jvp, "grad": _grad, "layer": _layer}


def draw_corruption(case: Case, report: Report, gradients: list[Any]) -> Corruption | None:
    """Draw a single wrong entry that a report promises to see; None where what was drawn is not clearly above that.

    Parameters
    ----------
    case : Case
        Checked.
    report : Report
        Of the right gradient.
    gradients : list
        At the point, as `check` returns them.
    """
    rng = np.random.default_rng([case.seed, 1])
    limit = report.detection_limit
    if not report.ok or not math.isfinite(limit):
        return None
    place = case.floats[int(rng.integers(len(case.floats)))]
    index = tuple(int(rng.integers(n)) for n in case.inputs[place].shape)
    factor, offset = 1.0, 0.0
    if rng.random() < 0.6:
        factor = 1 + float(rng.choice([-1, 1]) * 10 ** rng.uniform(-2, math.log10(2)))
    else:
        offset = float(rng.choice([-1, 1]) * (limit or 1e-6) * 10 ** rng.uniform(math.log10(2 * CLEARLY / WEAKEST), 4))
    if case.form == "jvp":
        with np.errstate(all="ignore"):  # a layer may overflow inside, as written
            shape = np.shape(case.network(*case.inputs))
        corruption = Corruption(place, index, factor, offset, tuple(int(rng.integers(n)) for n in shape))
        right: Any = slope_of(case, corruption, case.inputs)
        error = WEAKEST * abs(corruption.applied(right) - right)
    else:
        corruption = Corruption(place, index, factor, offset)
        with np.errstate(all="ignore"):
            right = gradients[place][index]
            error = abs(float(right.dtype.type(corruption.applied(right))) - float(right))
    return corruption if CLEARLY * limit < error < math.inf else None
