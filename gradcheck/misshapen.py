"""Are the values of a gradient right whose shape is not? The shape may be the least of it."""

from __future__ import annotations

import numpy as np

from gradcheck.analytic import Analytic
from gradcheck.choose import FULL_UP_TO
from gradcheck.contract import Findings
from gradcheck.judge import Judge
from gradcheck.layer import Array
from gradcheck.parts import complex_where, real_parts
from gradcheck.report import Verdict, Violation
from gradcheck.tolerance import default_rtol

_LOOKED_INTO = 16  # entries of each that are compared


def look_into(own: Analytic, found: Findings, rng: np.random.Generator) -> None:
    """Add to the violations what is known of the values of gradients that only need a reshape.

    Parameters
    ----------
    own : Analytic
        The layer's own, a vjp, at the point.
    found : Findings
        With misshapen gradients; changed.
    rng : numpy.random.Generator
        For directions.
    """
    primals = own.layer.primals
    fitting = {
        name: array.reshape(primals[name].shape)
        for name, array in found.misshapen.items()
        if array.size == primals[name].size
        and 0 < array.size <= FULL_UP_TO
        and not (array.ndim > 1 and array.shape == primals[name].shape[::-1])
    }
    for name, array in fitting.items():
        text = _values(own, name, array, rng)
        found.violations = [
            Violation(v + text, v.kind, v.name) if (v.kind, v.name) == ("shape", name) else v for v in found.violations
        ]


def _values(own: Analytic, name: str, array: Array, rng: np.random.Generator) -> str:
    """Say what the first entries of a reshaped gradient are; empty where they are undecided."""
    primal = own.layer.primals[name]
    gradient = real_parts({name: complex_where(primal, array)})
    point = own.point(gradient, rng, lambda **_: gradient)
    entries = [(name, index) for index in np.ndindex(gradient[name].shape)][:_LOOKED_INTO]
    judge = Judge(point, default_rtol([array.dtype, primal.dtype]), allow_kinks=True)
    verdicts = {comparison.verdict for comparison in judge.entries(entries).comparisons}
    if Verdict.MISMATCH in verdicts:
        return "; even reshaped its values are wrong: is the sum over the wrong axis?"
    return "; reshaped, its values are right" if verdicts and Verdict.worst(verdicts).ok else ""
