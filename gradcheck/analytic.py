"""What is the analytic gradient, at the point and beside it? One backward gives it, or a jvp for each entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.evaluate import BudgetSpent, Evaluator, Vector, left_domain
from gradcheck.layer import Array, Layer, Named
from gradcheck.parts import as_double, complex_where, eps_of, from_parts, parts, real_parts
from gradcheck.point import Point

_OTHERS = "other cotangents"


@dataclass(frozen=True)
class Analytic:
    """A layer's own derivative, as the gradient of its weighted outputs.

    Attributes
    ----------
    layer : Layer
        What is checked.
    evaluator : Evaluator
        At the point; its `remember` was called.
    outputs : dict of str to ndarray
        At the point.
    cotangents : dict of str to ndarray
        Weights of the outputs.
    """

    layer: Layer
    evaluator: Evaluator
    outputs: Named
    cotangents: Named

    def gradient(self, cotangents: Named | None = None, *, moved: str = "") -> Named:
        """Return the gradient where the evaluator's point is now.

        Parameters
        ----------
        cotangents : dict of str to ndarray, optional
            Others than its own.
        moved : str
            How the point was moved, to be added to what the user's code raises.
        """
        layer, evaluator = self.layer, self.evaluator
        cotangents = self.cotangents if cotangents is None else cotangents
        if layer.mode == "vjp":
            result = evaluator.run(cotangents, moved=moved).result or {}
            # copies: the user's code may use its arrays again
            return {name: np.array(complex_where(layer.primals[name], np.asarray(result[name]))) for name in layer.wrt}
        columns = self._by_columns(evaluator.flatten(cotangents)[None], moved)[0]
        return {name: from_parts(as_double(evaluator.given[name]), array) for name, array in columns.items()}

    def _by_columns(self, weights: Array, moved: str = "") -> list[Named]:
        """Push every entry forward; return the gradients for some weights of the outputs, shape (k, m)."""
        evaluator = self.evaluator
        gradients: list[Named] = [{} for _ in weights]
        for name in self.layer.wrt:
            shape = evaluator.point[name].shape
            columns = np.zeros((len(weights), *shape))
            for index in np.ndindex(shape):
                tangents = {key: np.zeros_like(evaluator.given[key]) for key in self.layer.wrt}
                parts(tangents[name])[index] = 1
                pushed = evaluator.run(tangents, moved=moved).result or {}
                flat = evaluator.flatten({key: np.asarray(pushed[key]) for key in evaluator.names})
                # what is infinite in one output says nothing of the others
                columns[(slice(None), *index)] = [each[each != 0] @ flat[each != 0] for each in weights]
            for gradient, column in zip(gradients, columns, strict=True):
                gradient[name] = column
        return gradients

    def beside(self, cotangents: Named | None = None) -> Named:
        """Return the gradient at the evaluator's moved point, as real numbers; NaN where it left its domain."""
        try:
            return real_parts(self.gradient(cotangents, moved="the inputs moved a little"))
        except Exception as error:
            if not left_domain(error):
                raise
            return {name: np.full(self.evaluator.point[name].shape, np.nan) for name in self.layer.wrt}

    def weighed(self, weights: Sequence[Vector]) -> Iterator[Named]:
        """Yield the gradients for other weights of the outputs, each of shape (m,), as real numbers.

        None for a loss, which takes no cotangent, and no more once the derivative fails on such cotangents: zeros for
        all but one output are legal, but nobody has to have thought of them. A jvp gives all of them by one call for
        each entry.
        """
        try:
            if self.layer.mode != "vjp":
                yield from self._by_columns(np.array(weights), _OTHERS)
            elif self.layer.cotangent:
                for each in weights:
                    # outputs that are not differentiable keep the cotangents that they always have
                    cotangents = {**self.cotangents, **self.evaluator.cotangents(each)}
                    with np.errstate(all="ignore"):
                        gradient = real_parts(self.gradient(cotangents, moved=_OTHERS))
                    if any(gradient[name].shape != self.evaluator.point[name].shape for name in gradient):
                        return
                    yield gradient
        except (BudgetSpent, KeyboardInterrupt):
            raise
        except Exception:  # whatever it raises, the user did not ask it for these cotangents
            return

    def point(self, gradient: Named, rng: np.random.Generator, again: Callable[..., Named] | None = None) -> Point:
        """Return what is known at the point.

        Parameters
        ----------
        gradient : dict of str to ndarray
            That of all primals, or of those to be judged.
        rng : numpy.random.Generator
            For directions.
        again : callable, optional
            As `Point` takes it; else the layer's own derivative.
        """

        def own(jitter: bool = False, times: int = 1) -> Named:
            if not ((jitter or times != 1) and self.layer.mode == "vjp" and self.layer.cotangent):
                return self.beside()
            vectors = {name: np.asarray(array * array.dtype.type(times)) for name, array in self.cotangents.items()}
            if jitter:
                vectors = {name: np.asarray(array * _last_bits(rng, array)) for name, array in vectors.items()}
            return self.beside(vectors)

        return Point(
            self.evaluator,
            self.evaluator.flatten(self.outputs),
            self._eps(),
            self.evaluator.flatten(self.cotangents),
            real_parts(gradient, copy=False),
            again or own,
            rng,
            None if again else self.weighed,
        )

    def _eps(self) -> Vector:
        """Return the machine epsilon of each output's dtype."""
        names, outputs = self.evaluator.names, self.outputs
        each = [np.broadcast_to(eps_of(outputs[name].dtype), parts(outputs[name]).size) for name in names]
        return each[0] if len(each) == 1 else np.concatenate(each)


def _last_bits(rng: np.random.Generator, array: Array) -> Array:
    """Return factors that change an array's numbers in their last bits."""
    real = parts(array).dtype
    return np.asarray(1 + eps_of(array.dtype) * rng.choice([-1.0, 1.0], array.shape)).astype(real)
