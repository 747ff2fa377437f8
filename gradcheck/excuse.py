"""What else than a wrong backward may explain a disagreement? Noise, rounding, treads and waves, asked one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradcheck.claims import holds_over, is_residue, mean_holds_over, quantum, rests
from gradcheck.difference import CONFIDENCE, Differences
from gradcheck.evaluate import Vector
from gradcheck.flat import FlatPart
from gradcheck.ladder import Estimate
from gradcheck.noise import SPACINGS
from gradcheck.ordinary import OrdinaryValues
from gradcheck.point import Entry, Point
from gradcheck.report import Comparison
from gradcheck.rounded import Grain
from gradcheck.treads import STAIRCASE, TREADS, is_staircase, jump_off

_BEYOND = 10.0  # steps so many times longer than the entries themselves see f from afar
_WITHIN = 1e-2  # steps so much smaller than the entries see no structure on their scale
_UNDERFLOWS = 1e-200
_SOME = 16.0  # last bits of the largest input or output
_WIDTHS = 8.0  # of a step over which f stands still: so far its slope may belong to another point
_FAR, _ODD = 2.0, 0.37  # times the scale of an entry; the second is no multiple of anything
_FARTHEST, _ANYWHERE = 64.0, 2.0**20  # times the scale of an entry, on both sides
_NEARLY_ALL = 0.05
_THEIRS = 1e-3  # of an error: so near it is what others are claimed to do
_SHOWN = 0.02  # of the noise
_FINEST = 64.0  # last bits of an entry
_SHORTEST = 8.0  # last bits of an entry
_HALF = 0.5  # of an error
_WAVE_LENGTH = 0.1  # of the length of a wave: steps so short show its slope
_SAME = 0.2  # of an error: so near what is claimed
_TOO_WIDE = "noise hides the difference over steps as small as the entry itself; longer ones see f from too far away"
_HIDDEN = (
    "outputs too large to show so small a change may hide the difference: give them on their own, or at smaller values"
)
_TOO_SMALL = "so small that products of two such numbers underflow"
_STILL = "f stands still here, and the change that the analytic value predicts is below what rounding inside f may hide"
_PARTLY_STILL = "some outputs of f stand still here, and the error is below what rounding inside f may hide of them"
_ON_TREADS = "f stands still here, or part of it, on treads that are seen along other entries and would hide the error"
_BENDS_ON_A_TREAD = "f stands still over steps so long that its slope changes as much: its inputs are rounded inside"
_RESIDUE = "f stands still here, and the claim is no multiple of the cotangent, or another nearby: a rest of rounding"
_COARSE = (
    "the analytic value is a multiple of {0:.2g}, here and nearby: what a backward that subtracts large numbers leaves"
)
_CANCELS = "smaller than the last bit of the slopes farther away: a backward that subtracts such numbers loses it"
_WAVE = "f may be a wave that goes up and down within the steps that noise allows, or noise"
_ENOUGH = 2  # entries
_PARTLY_FLAT = (
    "over longer steps f does what the backward claims on the way, by jumps as float32 and float16 make them: part of"
    " it lies on a tread here"
)
_LOST_INSIDE = "below the last bit of f at ordinary values, where the entry is right: rounding inside may have lost it"


@dataclass(frozen=True)
class _Disagreement:
    """An entry whose error is more than what is allowed, beside what it was compared with."""

    entry: Entry
    result: Comparison
    estimate: Estimate
    may_wave: bool

    @property
    def error(self) -> float:
        return self.result.error

    @property
    def kinked(self) -> bool:
        return self.estimate.kinked

    @property
    def is_flat(self) -> bool:
        """Whether f stands still along the entry, as far as its slope is known."""
        return abs(self.result.numerical) <= self.estimate.error_bar


class Excuses:
    """Looks for what else than a wrong backward may explain a disagreement.

    Parameters
    ----------
    point : Point
        Where, with the analytic gradient.
    """

    def __init__(self, point: Point) -> None:
        self.point = point
        self._ordinary = OrdinaryValues(point)
        self._not_flat: Counter[str] = Counter()

    def excuse(self, entry: Entry, result: Comparison, estimate: Estimate, *, may_wave: bool = True) -> str:
        """Return what may explain it; empty if nothing does.

        Parameters
        ----------
        entry : Entry
            The entry.
        result : Comparison
            Whose error is more than what is allowed.
        estimate : Estimate
            What it was compared with.
        may_wave : bool
            Whether to ask how long claims of a wave stay the same where f stands still, at some backwards each.
        """
        found = _Disagreement(entry, result, estimate, may_wave)
        return next((why for ask in self._ASKED if (why := ask(self, found))), "")

    def _seen_from_afar(self, found: _Disagreement) -> str:
        """Ask whether steps were far longer than the entry, and those as short as it may show nothing."""
        name, index = found.entry
        sizes = self.point.natural(name)
        # small by chance among entries of one size, or one of many sizes, each with a scale of its own?
        natural = max(float(sizes[index]), float(np.quantile(sizes, 0.25)))
        if found.estimate.step <= _BEYOND * natural:
            return ""
        differences = self.point.along_entry(found.entry)
        differences.explore()
        within = _WITHIN * natural
        drowns = found.error <= differences.noise_at(within) + differences.hidden_at(within)
        return _TOO_WIDE if drowns or self._adds_up_to_nothing(found, natural, may_wave=found.may_wave) else ""

    def _underflows(self, found: _Disagreement) -> str:
        """Ask whether both values are tiny."""
        return _TOO_SMALL if max(abs(found.result.analytic), abs(found.result.numerical)) < _UNDERFLOWS else ""

    def _stands_still(self, found: _Disagreement) -> str:
        """Ask whether all of f is flat, and what is claimed below the last bits of its own inputs."""
        may_wave = found.may_wave and not found.kinked
        nothing = found.is_flat and self._adds_up_to_nothing(found, self._longest(found), may_wave=may_wave)
        return _STILL if nothing else ""

    def _bends_on_a_tread(self, found: _Disagreement) -> str:
        """Ask whether f stands still over steps so long that its slope changes by the error: rounded inputs do that."""
        if found.is_flat or found.kinked:
            return ""
        differences, step = self._along(found), found.estimate.step
        level = differences.level(step)
        while found.error <= _WIDTHS * abs(level.jump) / level.step * step:
            if not differences.moves(step).any():
                return _BENDS_ON_A_TREAD
            step /= 2
        return ""

    def _is_a_staircase(self, found: _Disagreement) -> str:
        """Ask whether nothing is claimed, and f stands still but for jumps: it may mean to."""
        if found.result.analytic != 0 or not is_staircase(self._along(found), self.point.last_bit):
            return ""
        return STAIRCASE.format(found.result.numerical)

    def _stands_partly_still(self, found: _Disagreement) -> str:
        """Ask whether outputs stand still, and the error is below their last bits, or on the treads they lie on.

        Of 1e14 one last bit is worth more than most changes.
        """
        differences, step, longest = self._along(found), found.estimate.step, self._longest(found)
        lengths = np.where(differences.moves(step) == 0, step, 0.0)
        if not lengths.any():
            return ""
        if not found.is_flat:
            differences.explore()
            # less than last bits of outputs of size 1, which may be made of ones, is hidden by any of them
            made_of_ones = _SOME * self.point.last_bit * float(np.abs(differences.cotangent).sum())
            tiny = found.error * self.point.reach(found.entry) <= made_of_ones
            reacts = differences.reached | (differences.moves(_FARTHEST * differences.ray.scale) > 0)
            ever = reacts | tiny | (differences.moves(_ANYWHERE * differences.ray.scale) > 0)
            if self._hides_what_it_claims(found, differences, (lengths > 0) & ~ever):
                return _HIDDEN
            lengths[~ever] = 0.0  # what never reacts hides nothing beside what does
        _stretch(differences, lengths, longest)
        if found.error <= differences.lost(lengths):
            return _HIDDEN
        if not found.is_flat:
            lengths[~reacts] = 0.0
        if not lengths.any():
            return ""
        if found.error <= TREADS * differences.lost_on(self.point.treads, lengths):
            return _ON_TREADS
        if not self._grain.hides(found.error, differences.everywhere(lengths)):
            return ""
        return _STILL if found.is_flat else _PARTLY_STILL

    def _moves_between_treads(self, found: _Disagreement) -> str:
        """Ask whether the error is less than treads that were met of outputs which move here: parts of them may not."""
        if not self.point.treads.any():
            return ""
        differences, step = self._along(found), found.estimate.step
        lengths = np.where(differences.moves(step) > 0, step, 0.0)
        return _ON_TREADS if found.error <= TREADS * differences.lost_on(self.point.treads, lengths) else ""

    def _hides_what_it_claims(
        self, found: _Disagreement, differences: Differences, never: npt.NDArray[np.bool_]
    ) -> bool:
        """Tell whether outputs that never react are claimed to do so by just the error, and too large to show that."""
        lengths = np.where(never, self._longest(found), 0.0)
        if not (never.any() and found.error <= differences.lost(lengths)):
            return False
        theirs = self.point.cotangent * differences.everywhere(never.astype(float))
        off = found.result.analytic - found.result.numerical
        for point in self.point.weighed([theirs]):
            return abs(point.analytic(found.entry) - off) <= found.result.allowed + _THEIRS * found.error
        return False

    def _is_residue(self, found: _Disagreement) -> str:
        """Ask whether what is claimed is what rounding leaves of larger numbers."""
        if not found.is_flat:
            return ""
        name, index = found.entry
        return _RESIDUE if self._rests[name][index] or is_residue(self.point, found.entry) else ""

    def _is_coarse(self, found: _Disagreement) -> str:
        """Ask whether what is claimed is a multiple of the last bits of larger numbers."""
        unit = 0.0 if found.kinked else quantum(self.point, found.entry, found.error)
        return _COARSE.format(unit) if unit else ""

    def _cancels(self, found: _Disagreement) -> str:
        """Ask whether nothing is claimed, where a slope is less than the last bits of those that f has farther away."""
        if found.result.analytic != 0:
            return ""
        differences = self.point.along_entry(found.entry)
        farther = _FAR * differences.ray.scale
        steepest = float(np.abs(differences.cotangent) @ differences.moves(farther)) / farther
        slope = abs(found.result.numerical) + found.estimate.error_bar
        # far away an exponential is steeper than anything that was subtracted here
        hides = slope <= _SOME * self.point.last_bit * steepest and self._ordinary.hides(found.entry, slope)
        return _CANCELS if hides else ""

    def _is_a_wave(self, found: _Disagreement) -> str:
        """Ask whether f may be a wave that is too short for the step which the entry was compared at.

        A wave of the height of what f was seen to change by, with a slope that is off by the error, is as long as the
        one over the other; and what was measured as noise may be one, if it is nearly all of f.
        """
        differences = self.point.along_entry(found.entry)
        differences.explore()
        if self._climbs_as_claimed(found, differences):
            return _WAVE
        ray = differences.ray
        noise = differences.noise_at(1.0)
        bits = _SOME * self.point.last_bit * differences.size  # what changes by no more is rounded, and no wave
        span = 0.0
        for part in (_FAR, _ODD):  # a wave may be at zero wherever steps are even
            span = max(span, float(np.abs(differences.cotangent) @ differences.moves(part * ray.scale)))
            if noise <= max(_NEARLY_ALL * span, bits):
                break
        else:
            return _WAVE
        if found.kinked:
            return ""
        if noise > bits and found.may_wave and self._claims_a_wave(found, differences):
            return _WAVE
        rounded = max(bits, _SOME * self.point.last_bit * span)
        taken_for_noise = self._changes_with_noise(found, noise, rounded) and self.point.noise_along(found.entry) > bits
        is_wave = taken_for_noise or (span > bits and self._is_another(found, differences, span))
        return _WAVE if is_wave else ""

    def _is_lost_inside(self, found: _Disagreement) -> str:
        """Ask whether the error is below the last bits of f at ordinary values, where the backward is right."""
        if found.kinked or not self._ordinary.hides(found.entry, found.error):
            return ""
        return _LOST_INSIDE if self._ordinary.is_right(found.entry, found.error) else ""

    def _is_partly_flat(self, found: _Disagreement) -> str:
        """Ask whether part of f lies on a tread of float32, or float16, so long that only longer steps show its slope.

        Of an array some of whose entries are wrong for sure, the others are not asked.
        """
        if found.kinked or self._not_flat[found.entry[0]] >= _ENOUGH:
            return ""
        flat = FlatPart(self.point, found.entry, self._along(found), found.result.numerical)
        if flat.explains(found.estimate.step):
            return _PARTLY_FLAT
        self._not_flat[found.entry[0]] += 1
        return ""

    # functions, not methods of this one: those would keep it, and the user's arrays, until the collector runs
    _ASKED: ClassVar[tuple[Callable[[Excuses, _Disagreement], str], ...]] = (
        _seen_from_afar,
        _underflows,
        _stands_still,
        _bends_on_a_tread,
        _is_a_staircase,
        _stands_partly_still,
        _moves_between_treads,
        _is_residue,
        _is_coarse,
        _cancels,
        _is_a_wave,
        _is_lost_inside,
        _is_partly_flat,
    )

    # ------------------------------------------------------------------ what they ask

    @cached_property
    def _grain(self) -> Grain:
        return Grain(self.point)

    @cached_property
    def _rests(self) -> dict[str, npt.NDArray[np.bool_]]:
        return rests(self.point)

    def _longest(self, found: _Disagreement) -> float:
        return max(found.estimate.step, self.point.reach(found.entry))

    def _along(self, found: _Disagreement) -> Differences:
        """Return differences along the entry: what is known not to react may do so below its last bit, and count."""
        alone = found.is_flat or found.error * found.estimate.step <= self.point.unseen
        return self.point.along_entry(found.entry, alone=alone)

    def _adds_up_to_nothing(self, found: _Disagreement, longest: float, *, may_wave: bool) -> bool:
        """Tell whether the error changes f by less than last bits of its inputs and outputs over a step of the entry.

        Or over a shorter one, from where on the analytic value is another, if changes may be as those of a wave.
        """
        point = self.point
        inputs = [point.evaluator.point[name] for name in point.gradient]
        largest = max(float(np.max(np.abs(array), initial=0.0)) for array in (point.base, *inputs))
        lost = max(_SOME * point.last_bit * largest, point.unseen) / found.error
        if longest < lost or not may_wave:
            return longest < lost
        holds = holds_over(point, found.entry, longest)
        ones = _SOME * point.last_bit / found.error  # what f is made of may be of size 1, where nothing else is
        return holds < lost or holds < min(longest, ones)

    def _climbs_as_claimed(self, found: _Disagreement, differences: Differences) -> bool:
        """Tell whether f does what is claimed over the shortest steps that its noise, or its last bit, allows.

        The wave itself may have been taken for noise. What leaves the claim by a jump is no wave: some of f lies on a
        tread, and only the rest does what is claimed.
        """
        if found.kinked:
            return False
        noise, bits = differences.noise_at(1.0), CONFIDENCE * self.point.last_bit * differences.size
        for least in dict.fromkeys((noise, min(noise, bits))):
            finest = max(least / (_WAVE_LENGTH * found.error), _FINEST * differences.ray.spacing)
            levels = (differences.level(times * finest) for times in (1, 2))
            if 2 * finest < _WITHIN * found.estimate.step and all(
                level.central != 0 and abs(level.central - found.result.analytic) <= _SAME * found.error
                for level in levels  # 0 is no slope, but what a tread shows
            ):
                bits = self.point.last_bit * differences.size
                return not jump_off(found.result.analytic, differences, finest, found.estimate.step, bits)
        return False

    def _claims_a_wave(self, found: _Disagreement, differences: Differences) -> bool:
        """Tell whether the claim goes up and down within the step, and noise hides what f does over shorter ones."""
        step = found.estimate.step
        holds = mean_holds_over(self.point, found.entry, step, _SAME * found.error)
        if holds >= step:
            return False
        level = differences.level(max(holds, _SHORTEST * differences.ray.spacing))
        return not abs(level.central - found.result.numerical) + level.noise <= _HALF * found.error

    def _changes_with_noise(self, found: _Disagreement, noise: float, rounded: float) -> bool:
        """Tell whether the error, over the finest spacing at which noise was measured, is a good part of that noise."""
        name, index = found.entry
        shortest = SPACINGS[0] * float(self.point.natural(name)[index])
        return found.is_flat and found.error * shortest > _SHOWN * noise > _SHOWN * rounded

    def _is_another(self, found: _Disagreement, differences: Differences, span: float) -> bool:
        """Tell whether the slope is another over a step that is short beside a wave of this height."""
        longest = _WAVE_LENGTH * span / found.error
        if found.estimate.step <= longest:
            return False
        level = differences.level(max(longest, 8 * differences.ray.spacing))
        return not abs(level.central - found.result.numerical) + level.noise <= 0.5 * found.error


def _stretch(differences: Differences, lengths: Vector, longest: float) -> None:
    """Lengthen the steps over which outputs are seen to stand still, as far as they do; those of 0 stay so."""
    step = float(lengths.max(initial=0.0))
    still = (lengths == step) & (lengths > 0)
    while step < longest and still.any():
        step = min(4 * step, longest)
        still &= differences.moves(step) == 0
        lengths[still] = step
