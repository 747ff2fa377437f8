"""How far are ``<J u, v>`` and ``<u, J^T v>`` apart, and how far may they be? Products of a vjp and a jvp."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gradcheck import noise
from gradcheck.contract import Findings, examine
from gradcheck.evaluate import BudgetSpent, Evaluator, Vector
from gradcheck.layer import Array, Layer, Named
from gradcheck.options import Options
from gradcheck.parts import as_double, eps_of, from_parts, is_inexact, parts, real_parts
from gradcheck.probe import natural, signed
from gradcheck.report import Comparison, Verdict

_PAIRS = 3
_LAST_BITS = 8.0  # of all terms together
_SPREADS = 4.0  # times what rounding was seen to do
_ASIDE = 1e-3  # of an entry's natural size: off the kinks
_DEVIATIONS = 8.0  # a last bit in standard deviations of its rounding: 3.5 to 7, and not every output shows it
_ASLOPE = 2.0**-7  # of an entry's size: far beyond rounding
_COARSEST = 2.0**-10  # float16's last bit: nothing that computes is coarser
_DOUBLE = 1e-15  # coarser than float64's last bit, finer than float32's
NAME = "the Jacobian"
"""What is compared, in the report."""


@dataclass(frozen=True)
class _Products:
    """Both products for one pair of vectors, as the real numbers they are made of."""

    forward: Named
    backward: Named

    @property
    def finite(self) -> bool:
        return all(np.isfinite(array).all() for array in (*self.forward.values(), *self.backward.values()))


class Pair:
    """A vjp and a jvp of one function at one point, called in turn and counted together."""

    def __init__(self, pullback: Layer, pushforward: Layer, options: Options, calls: tuple[int, int]) -> None:
        self.up = Evaluator(pullback, pullback.primals, options.budget, options.deadline)
        self.down = Evaluator(pushforward, pushforward.primals, options.budget, options.deadline)
        self.up.forward_calls, self.up.backward_calls = calls
        self.down.take_calls(self.up)
        self.rng = np.random.default_rng([options.seed, 3])
        self.options = options
        self.rtol = options.rtol or 0.0
        self.like: Named = {}
        self.outputs: Named = {}
        self.judged = False
        self._eps: float | None = None
        self.eps = max(eps_of(pullback.primals[name].dtype) for name in pullback.wrt)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the Jacobian: outputs by inputs."""
        primals = self.up.layer.primals
        return sum(array.size for array in self.like.values()), sum(primals[name].size for name in self.up.layer.wrt)

    def examine(self, layer: Layer, *, thorough: bool) -> Findings:
        """Check the contract of the derivative that was not compared with differences."""
        self._remember(self.up.run().outputs)
        self.down.take_calls(self.up)
        tangents, cotangents = self._vectors()
        evaluator = self.up if layer.mode == "vjp" else self.down
        given = cotangents if layer.mode == "vjp" else tangents
        expected = {name: layer.primals[name] for name in layer.wrt} if layer.mode == "vjp" else self.like
        done = evaluator.run(given)
        found = examine(evaluator, given, done, expected, thorough=thorough)
        self.up.take_calls(evaluator)
        self.down.take_calls(evaluator)
        self.eps = max([self.eps, *(eps_of(array.dtype) for array in found.result.values())])
        return found

    def worst(self) -> Comparison | None:
        """Compare the two sides for a few random pairs; return the worst that fails, None if all agree."""
        failed = []
        for number in range(_PAIRS):
            tangents, cotangents = self._vectors()
            failed += [c for c in [self._compare(tangents, cotangents)] if c is not None]
            if number == 0 and not failed:
                failed += [c for c in [self._linear(tangents, cotangents)] if c is not None]
        return max(failed, key=lambda c: c.excess, default=None)

    def worst_in_double(self) -> Comparison | None:
        """Compare them in float64 too, which sees more, where the point is of lower precision and all allow it."""
        up, down = self.up.layer, self.down.layer
        if self.eps < _DOUBLE:
            return None
        wide = {name: as_double(array) for name, array in up.primals.items()}
        calls = (self.up.forward_calls, self.up.backward_calls)
        pair = Pair(replace(up, primals=wide), replace(down, primals=wide), self.options, calls)
        try:
            pair.examine(down, thorough=False)
            pair.examine(up, thorough=False)
            if pair.eps >= _DOUBLE:
                return None
            worst = pair.worst()
            self.judged |= pair.judged
            return worst
        except Exception:  # whatever it raises on float64, the user did not ask it for float64
            return None
        finally:
            self.up.take_calls(pair.up)
            self.down.take_calls(pair.up)

    def agree_aside(self) -> bool:
        """Move the point, to where its kinks are not, and compare them there; True where that cannot be told."""
        for name in self.up.layer.wrt:
            numbers = parts(self.up.point[name])
            numbers[...] = numbers + _ASIDE * natural(numbers) * signed(self.rng, numbers.shape)
            self.down.point[name][...] = self.up.point[name]
        try:
            with np.errstate(all="ignore"):
                return self.worst() is None
        except BudgetSpent:
            raise
        except Exception:  # it left the domain of f: the user did not ask for this point
            return True

    def _remember(self, outputs: Named) -> None:
        self.up.remember(outputs)
        self.down.remember(outputs)
        self.like = {name: outputs[name] for name in self.up.names}
        self.outputs = real_parts(self.like)
        self.eps = max([self.eps, *(eps_of(array.dtype) for array in self.like.values())])

    def _vectors(self) -> tuple[Named, Named]:
        """Draw a tangent and a cotangent."""
        primals = {name: self.up.layer.primals[name] for name in self.up.layer.wrt}
        tangents = {name: from_parts(array, signed(self.rng, parts(array).shape)) for name, array in primals.items()}
        if not self.up.layer.cotangent:
            return tangents, {name: np.ones(array.shape, array.dtype) for name, array in self.like.items()}
        return tangents, {
            name: from_parts(array, signed(self.rng, parts(array).shape)) for name, array in self.like.items()
        }

    def _push(self, tangents: Named) -> Named:
        """Return J u."""
        self.down.take_calls(self.up)
        result = self.down.run(tangents).result or {}
        self.up.take_calls(self.down)
        return real_parts({name: np.asarray(result[name]) for name in self.like})

    def _pull(self, cotangents: Named) -> Named:
        """Return J^T v."""
        result = self.up.run(cotangents).result or {}
        self.down.take_calls(self.up)
        return real_parts({name: np.asarray(result[name]) for name in self.up.layer.wrt})

    def _compare(self, tangents: Named, cotangents: Named) -> Comparison | None:
        u, v = real_parts(tangents), real_parts(cotangents)
        done = _Products(self._push(tangents), self._pull(cotangents))
        left, right = _inner(done.forward, v), _inner(u, done.backward)
        terms = _inner(_sizes(done.forward), _sizes(v)) + _inner(_sizes(u), _sizes(done.backward))
        # terms as large as an output may have cancelled within, as in 1 - tanh(x) ** 2
        largest = max(float(np.max(array, initial=0.0)) for array in _products(_sizes(v), _sizes(self.outputs)))
        largest *= max(float(np.max(array, initial=0.0)) for array in _sizes(u).values())
        if not done.finite and not math.isfinite(left) and not math.isfinite(right):
            return None  # both say that there is no derivative
        off, measured = abs(left - right), 0.0
        same = off <= _LAST_BITS * self.eps * terms  # however small; zeros too
        if not same and terms <= _LAST_BITS * self.eps * largest:
            return None
        self.judged = True
        allowed = _LAST_BITS * self.eps * (terms + largest)
        if off <= allowed:
            return None
        if done.finite:
            eps = self._last_bit()
            measured = self._rounding(tangents, cotangents, done, eps)
            allowed = _LAST_BITS * eps * (terms + largest) + min(
                _SPREADS * measured, math.sqrt(eps) * (terms + largest)
            )
            allowed = max(allowed, self.rtol * terms)
            if off <= allowed:
                return None
        reason = (
            f"<J u, v> is {left:.12g} by the jvp, <u, J^T v> is {right:.12g} by the vjp,"
            f" {off:.2g} apart where {allowed:.2g} is allowed: they are not transposes of each other"
        )
        if not done.finite:
            sides = {"jvp": done.forward, "vjp": done.backward}
            bad = [word for word, side in sides.items() if not all(np.isfinite(array).all() for array in side.values())]
            reason += f"; the {' and the '.join(bad)} {'is' if len(bad) == 1 else 'are'} not finite"
        return Comparison(NAME, None, left, right, measured, allowed, 0.0, Verdict.MISMATCH, reason)

    def _linear(self, tangents: Named, cotangents: Named) -> Comparison | None:
        """Compare ``J (-2 u)`` with ``-2 J u``: the same to the last bit in all arithmetic that is linear."""
        v = _sizes(real_parts(cotangents))
        once = self._push(tangents)
        twice = self._push({name: np.asarray(-2 * array) for name, array in tangents.items()})
        off = _inner({name: np.abs(twice[name] + 2 * once[name]) for name in once}, v)
        terms = _inner(_sizes(twice), v)
        allowed, measured = _LAST_BITS * self.eps * terms, 0.0
        if off <= allowed or not all(np.isfinite(array).all() for array in (*once.values(), *twice.values())):
            return None

        def change() -> float:
            moved = self._push(tangents)
            return _inner({name: np.abs(moved[name] - once[name]) for name in once}, v)

        eps = self._last_bit()
        measured = self._under_last_bits(change, eps)
        allowed = _LAST_BITS * eps * terms + min(_SPREADS * measured, math.sqrt(eps) * terms)
        allowed = max(allowed, self.rtol * terms)
        if off <= allowed:
            return None
        left, right = _inner(twice, real_parts(cotangents)), -2 * _inner(once, real_parts(cotangents))
        reason = (
            f"the jvp is not linear: for -2 u it gives {left:.12g}, not -2 times what it gives for u, {right:.12g}:"
            f" {off:.2g} apart where {allowed:.2g} is allowed"
        )
        return Comparison(NAME, None, left, right, measured, allowed, 0.0, Verdict.MISMATCH, reason)

    def _rounding(self, tangents: Named, cotangents: Named, done: _Products, eps: float) -> float:
        """Measure what rounding does to the two sides."""
        u, v = _sizes(real_parts(tangents)), _sizes(real_parts(cotangents))

        def off(forward: Named, backward: Named) -> float:
            return _inner({name: np.abs(forward[name] - done.forward[name]) for name in forward}, v) + _inner(
                u, {name: np.abs(backward[name] - done.backward[name]) for name in backward}
            )

        worst = self._under_last_bits(lambda: off(self._push(tangents), self._pull(cotangents)), eps)
        # Halves that add up exactly: where their products do not, it is rounding, even if coarser than the dtypes show.
        half = {name: _upper(array) for name, array in tangents.items()}
        rest = {name: np.asarray(tangents[name] - half[name]) for name in tangents}
        forward = _sum(self._push(half), self._push(rest))
        backward = done.backward
        if self.up.layer.cotangent:
            half = {name: _upper(array) for name, array in cotangents.items()}
            rest = {name: np.asarray(cotangents[name] - half[name]) for name in cotangents}
            backward = _sum(self._pull(half), self._pull(rest))
        return max(worst, off(forward, backward))

    def _last_bit(self) -> float:
        """Return the relative size of the last bit of the numbers inside f, measured once: no less than its dtypes'."""
        if self._eps is None:
            names = self.up.layer.wrt
            saved = {name: parts(self.up.point[name]).copy() for name in names}
            signs = {name: self.rng.choice([-1.0, 1.0], array.shape) for name, array in saved.items()}

            def along(t: float) -> Vector:
                for name, array in saved.items():
                    parts(self.up.point[name])[...] = array + t * signs[name] * np.where(array == 0, 1.0, np.abs(array))
                return self.up.outputs("the inputs moved a little", far=True)

            try:
                base = along(0.0)
                spacings = tuple(step for step in noise.SPACINGS if step > 4 * self.eps or self.eps < _DOUBLE)
                spread = noise.measure(along, base, np.full(base.shape, self.eps), spacings=spacings)
                # Outputs may have cancelled, to a size that says nothing of the numbers inside f; its slopes do not.
                slope = np.fmax(*(np.abs(along(t) - base) / _ASLOPE for t in (_ASLOPE, -_ASLOPE)))
            finally:
                for name, array in saved.items():
                    parts(self.up.point[name])[...] = array
                self.down.take_calls(self.up)
            size = float(np.sum(np.fmax(np.abs(base), slope)))
            measured = _DEVIATIONS * float(np.sum(spread)) / size if size > 0.0 else 0.0
            self._eps = max(self.eps, min(measured, _COARSEST))
        return self._eps

    def _under_last_bits(self, change: Callable[[], float], eps: float) -> float:
        """Return the largest of what `change` returns while the point is moved by last bits, a few times."""
        saved = {name: self.up.point[name].copy(order="K") for name in self.up.layer.wrt}
        worst = 0.0
        try:
            for _ in range(_PAIRS):
                for name, array in saved.items():
                    sign = self.rng.choice([-1, 1], parts(array).shape)
                    for evaluator in (self.up, self.down):
                        parts(evaluator.point[name])[...] = parts(array) * (1 + eps * sign)
                try:
                    with np.errstate(all="ignore"):
                        worst = max(worst, change())
                except BudgetSpent:
                    raise
                except Exception:  # it left the domain of f: the user did not ask for this point
                    continue
        finally:
            for name, array in saved.items():
                for evaluator in (self.up, self.down):
                    evaluator.point[name][...] = array
        return worst


def _upper(array: Array) -> Array:
    """Return about half of each number, so that the rest is exact."""
    rounded = np.round(parts(array) * 32.0) / 64.0  # few enough bits for float16
    return from_parts(array, rounded) if is_inexact(array) else array


def _sizes(named: Named) -> Named:
    return {name: np.abs(array) for name, array in named.items()}


def _sum(one: Named, other: Named) -> Named:
    return {name: one[name] + other[name] for name in one}


def _products(one: Named, other: Named) -> list[Array]:
    return [one[name] * other[name] for name in one]


def _inner(one: Named, other: Named) -> float:
    return float(sum(np.sum(array) for array in _products(one, other)))
