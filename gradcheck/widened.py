"""What does a layer of low precision compute in float64? Differences are exact enough there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck.analytic import Analytic
from gradcheck.evaluate import Evaluator
from gradcheck.layer import Named
from gradcheck.parts import as_double, eps_of, is_double, is_inexact

_DOUBLE = eps_of(np.float64)


@dataclass(frozen=True)
class Widened:
    """The same layer at the same point, in its own precision and in float64.

    Attributes
    ----------
    own, wide : Analytic
        In the layer's own precision, and in float64.
    gradient : dict of str to ndarray
        That of `wide`, at the point.
    """

    own: Analytic
    wide: Analytic
    gradient: Named

    @classmethod
    def of(cls, own: Analytic) -> Widened | None:
        """Return it for a layer of lower precision that also computes in float64, forward and backward; else None."""
        layer, evaluator = own.layer, own.evaluator
        if all(eps_of(array.dtype) <= _DOUBLE for array in layer.primals.values() if is_inexact(array)):
            return None
        primals = {name: as_double(array) for name, array in layer.primals.items()}
        double = Evaluator(layer, primals, evaluator.budget, evaluator.deadline)
        double.take_calls(evaluator)
        cotangents = {name: as_double(array) for name, array in own.cotangents.items()}
        try:
            wide = Analytic(layer, double, double.run().outputs, cotangents)
            double.remember(wide.outputs)
            gradient = wide.gradient()
        except Exception:  # whatever it raises on float64, the user did not ask it for float64
            return None
        finally:
            evaluator.take_calls(double)
        outputs = [wide.outputs[name] for name in evaluator.names]
        if all(is_double(a) and np.isfinite(a).all() for a in outputs) and all(map(is_double, gradient.values())):
            return cls(own, wide, gradient)
        return None

    def residuals(self) -> tuple[Named, Named]:
        """Return the low-precision gradient less the float64 one, and the latter, where the own point has moved to."""
        coarse = self.own.beside()
        here, there = self.own.evaluator, self.wide.evaluator
        there.take_calls(here)
        try:
            with there.away():
                for name in self.own.layer.wrt:
                    there.point[name][...] = here.point[name]
                fine = self.wide.beside()
        finally:
            here.take_calls(there)
        return {name: array - fine[name] for name, array in coarse.items()}, fine
