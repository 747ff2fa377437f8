"""Which case belongs to a seed? Layers, shapes, values, dtype and the way of checking, all from one integer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.soak.layers import ZOO, Layer
from tests.soak.layers.layer import Array
from tests.soak.network import Network
from tests.soak.values import ORDINARY, Source, draw_kind, draw_values, laid_out

LARGEST = 60  # entries of all inputs together: what makes a check slow
MODERATE = 1e2  # ordinary numbers stay ordinary on their way through the network
SHOWN, STEP = 1e-12, 2.0**-10  # of the largest entry; of an entry
LOST = 1e-3  # of its largest entry: a gradient that rounding changes by more has lost its digits, and is not right
BESIDE = 16  # points around one: enough to show a kink
NEARBY = 64  # enough to show its sides
DECADES = 3.0  # over which their entries' distances are spread
ASIDE = 1e-9  # how far beside a kink its sides are looked at
ATTEMPTS = 200


@dataclass(frozen=True, eq=False)
class Case:
    """A right network at a point, and how it is to be checked.

    Attributes
    ----------
    seed : int
        What it was drawn from; the check's own seed as well.
    title : str
        For the reader.
    network : Network
        Right.
    inputs : tuple of ndarray
        x, then the parameters.
    form : str
        ``"vjp"``, ``"jvp"``, ``"grad"`` or ``"layer"``: the public check that is used.
    mode : str
        ``"full"`` or ``"fast"``.
    ordinary : bool
        Whether nearly every right gradient can be decided at such values.
    """

    seed: int
    title: str
    network: Network
    inputs: tuple[Array, ...]
    form: str
    mode: str
    ordinary: bool

    @property
    def floats(self) -> list[int]:
        """The places of the inputs that have gradients, in order."""
        return [place for place, array in enumerate(self.inputs) if array.dtype.kind == "f"]


def draw(seed: int, zoo: Mapping[str, Layer] = ZOO) -> Case:
    """Return the case of a seed: always the same one.

    Parameters
    ----------
    seed : int
        0 or more.
    zoo : dict of str to Layer
        The layers to draw from.
    """
    with np.errstate(all="ignore"):
        for attempt in range(ATTEMPTS):
            try:
                case = _attempt(np.random.default_rng([seed, attempt]), seed, zoo)
                if case is not None and _fit(case) and _is_right(case):
                    return case
            except np.linalg.LinAlgError:
                continue  # no inverse, or no longer positive definite, at what was drawn
    raise RuntimeError(f"seed {seed}: no case in {ATTEMPTS} attempts: do the layers suit any values?")


def _attempt(rng: np.random.Generator, seed: int, zoo: Mapping[str, Layer]) -> Case | None:
    dtype = np.dtype(str(rng.choice(["float64", "float32", "float16"], p=[0.8, 0.14, 0.06])))
    kind = draw_kind(rng, dtype)
    source = Source(rng, kind, dtype)
    depth = 1 if rng.random() < 0.6 else int(rng.integers(2, 5))
    everyone = [layer for layer in zoo.values() if np.dtype(layer.lowest).itemsize <= dtype.itemsize]
    first = everyone[int(rng.integers(len(everyone)))]
    drawn = draw_values(rng, kind, first.shape(rng), first.kinks)
    x = first.into(np.asarray(drawn, dtype=dtype)).astype(dtype)
    layers, parameters, counts = [], [], []
    out, layer = x, first
    while True:
        own = layer.parameters(source, out)
        layers.append(layer)
        counts.append(len(own))
        parameters += own
        out = layer.f(out, *own)
        if len(layers) == depth or isinstance(out, tuple):
            break
        out = np.asarray(out)
        following = [other for other in everyone if other.accepts(out) and out.size <= LARGEST]
        if not following or not np.all(np.isfinite(out)):
            return None
        layer = following[int(rng.integers(len(following)))]
    network = Network(layers, counts, end=str(rng.choice(["", "weighted sum", "sum"], p=[0.7, 0.25, 0.05])))
    inputs = tuple(laid_out(rng, np.asarray(array)) for array in (x, *parameters))
    form = _form(rng, network, inputs, several=isinstance(out, tuple))
    if form == "grad" and not network.end:
        network.end = "weighted sum"
    mode = "fast" if rng.random() < 0.15 else "full"
    title = " > ".join([*(layer.name for layer in layers), *([network.end] if network.end else [])])
    floats = [array for array in inputs if array.dtype.kind == "f"]
    passed = network.intermediate(*inputs)
    ordinary = (
        kind in ORDINARY
        and network.end != "sum"  # the sum of a softmax has no slope but that of rounding
        and all(layer.plain for layer in layers)
        and all(np.abs(array).max(initial=0) <= MODERATE for array in (*floats, *passed))
    )
    title = f"{title}, {x.shape}, {kind}, {dtype.name}, check_{form}, {mode}"
    return Case(seed, title, network, inputs, form, mode, ordinary)


def _form(rng: np.random.Generator, network: Network, inputs: tuple[Array, ...], *, several: bool) -> str:
    forms = ["vjp", "vjp", "grad"]
    if network.has_jvp:
        forms += ["jvp"]
    if len(inputs) > 1 and not several:
        forms += ["layer"]
    return str(rng.choice(forms))


def _fit(case: Case) -> bool:
    """Tell whether the network can be called right here: its own forward and backward are finite, in its own dtype."""
    sizes = [case.inputs[place].size for place in case.floats]
    if not 0 < sum(sizes) <= LARGEST:
        return False
    parts = _parts(case.network(*case.inputs))
    gradients = _gradients(case, [np.full_like(part, 2) for part in parts], list(case.inputs))
    return all(np.all(np.isfinite(array)) for array in (*parts, *gradients))


def _is_right(case: Case) -> bool:
    """Tell whether the network's gradient is right, though each of its layers is.

    Rounding may leave nothing of it: sin of 1e20 is noise, and so is its slope. And of kinks, each layer takes a side
    of its own.
    """
    low = case.inputs[0].dtype != np.float64
    return (_rounds_well if low else _keeps_its_digits)(case) and _takes_legal_sides(case) and not _loses_an_entry(case)


def _rounds_well(case: Case) -> bool:
    """Tell whether the gradient lies among the exact ones of points a few last bits away.

    At a tie that only low precision makes, either side's value does.
    """
    eps = float(np.finfo(case.inputs[0].dtype).eps)
    at, around = _around(case, lambda rng, array: array * (1 + eps * rng.choice([-1, 1], array.shape)))
    weights = _cotangents(case.network(*case.inputs))
    given = _gradients(case, weights, list(case.inputs))
    return not any(np.any(off) for off in _outside(given, [at, *around], slack=0.5 * eps**0.5))


def _takes_legal_sides(case: Case) -> bool:
    """Tell whether the sides that layers take of their kinks make up a gradient of the whole network.

    Where two layers in a row are on a kink, the product may be of neither side: relu, by its right slope, of an abs.
    And a layer before one on a kink may move as one what is tied there: the median of multiples of one number has a
    derivative at 0, and two pairs of which one rises as the other falls are not both in order. Each entry has to lie
    among those of points nearby.
    """
    if not _is_on_kinks(case):
        return True
    at, around = _around(case, _moved_aside)
    return not any(np.any(off) for off in _outside(at, around, slack=1e-3))


def _moved_aside(rng: np.random.Generator, array: Array) -> Array:
    size = np.where(array == 0, np.abs(array).max(initial=0.0) or 1.0, np.abs(array))
    distance = ASIDE * 10.0 ** -rng.uniform(0, DECADES, array.shape)  # so that now this entry decides and now that
    return array + distance * size * rng.choice([-1, 1], array.shape)


def _is_on_kinks(case: Case) -> bool:
    """Tell whether some layer has different pullbacks on different sides of what goes into it."""
    for layer, inputs in case.network.stages(*_in(np.float64, case.inputs)):
        rng = np.random.default_rng(0)
        out = layer.f(*inputs)
        weights = tuple(_cotangents(out))
        cotangent = weights if isinstance(out, tuple) else weights[0]
        at, *around = (
            layer.vjp(
                cotangent,
                *(_moved_aside(rng, array) if moved and array.dtype.kind == "f" else array for array in inputs),
            )
            for moved in [False] + [True] * BESIDE
        )
        largest = max(np.abs(g).max(initial=0) for g in at if g is not None)
        if any(
            np.abs(g - there).max(initial=0) > 1e-3 * largest
            for each in around
            for g, there in zip(at, each, strict=True)
            if g is not None
        ):
            return True
    return False


def _keeps_its_digits(case: Case) -> bool:
    """Tell whether the gradient is what long double makes of it; where that cannot be told, it is believed."""
    if case.ordinary:
        return True
    weights = _cotangents(case.network(*case.inputs))
    try:
        exact = _gradients(case, _in(np.longdouble, weights), _in(np.longdouble, case.inputs))
    except TypeError:
        return True  # linear algebra knows no long double
    rounded = _gradients(case, weights, list(case.inputs))
    largest = max(np.abs(array).max(initial=0) for array in exact)
    return all(np.abs(a - b).max(initial=0) <= LOST * largest for a, b in zip(exact, rounded, strict=True))


def _loses_an_entry(case: Case) -> bool:
    """Tell whether an entry of the gradient is 0 though f has a slope: small numbers were lost in the sum of large ones.

    What is lost below the last bits of the largest entry of its array is no fault of the formula.
    """
    if case.ordinary:
        return False
    weights = [part.astype(np.longdouble) for part in _cotangents(case.network(*case.inputs))]
    gradients = _gradients(case, [part.astype(case.inputs[0].dtype) for part in weights], list(case.inputs))
    at = _in(np.longdouble, case.inputs)

    def slope(array: Array, index: tuple[int, ...], step: float) -> float:
        before = array[index]
        try:
            values = []
            for side in (0, 1):
                array[index] = before + side * step
                values.append(_parts(case.network(*at)))
            return float(sum((w * (b - a)).sum() for w, a, b in zip(weights, *values, strict=True)) / step)
        finally:
            array[index] = before

    try:
        for place, gradient in zip(case.floats, gradients, strict=True):
            least = SHOWN * np.abs(gradient).max(initial=0)  # each array is judged by itself
            for index in map(tuple, np.argwhere(gradient == 0)):
                step = STEP * (abs(float(at[place][index])) or 1.0)
                one, other = slope(at[place], index, step), slope(at[place], index, -step)
                if min(abs(one), abs(other)) > least and abs(one - other) < 0.1 * abs(one):
                    return True
    except TypeError:
        pass  # linear algebra knows no long double
    return False


def _around(case: Case, move: Callable[[np.random.Generator, Array], Array]) -> tuple[list[Array], list[list[Array]]]:
    """Return the gradients in float64, at the point and at others nearby."""
    rng = np.random.default_rng(0)
    weights = _in(np.float64, _cotangents(case.network(*case.inputs)))
    points = [_in(np.float64, case.inputs)]
    for _ in range(NEARBY):
        points.append([move(rng, array) if array.dtype.kind == "f" else array for array in points[0]])
    at, *others = (_gradients(case, weights, point) for point in points)
    return at, others


def _outside(given: list[Array], others: list[list[Array]], slack: float) -> Iterator[Array]:
    """Yield, for each array, which entries lie outside those of others, but for a part of the largest of all."""
    slack *= max(np.abs(array).max(initial=0) for array in others[0])
    for g, each in zip(given, zip(*others, strict=True), strict=True):
        low, high = np.min(each, axis=0), np.max(each, axis=0)
        yield (g < low - slack) | (g > high + slack)


def _in(dtype: Any, arrays: Iterable[Array]) -> list[Array]:
    return [array.astype(dtype) if array.dtype.kind == "f" else array for array in arrays]


def _parts(out: Any) -> list[Array]:
    return [np.asarray(part) for part in (out if isinstance(out, tuple) else (out,))]


def _cotangents(out: Any) -> list[Array]:
    """Return weights of all outputs, no two alike: a sort that changes is none to equal ones."""
    return [(2 + np.cos(np.arange(part.size))).reshape(part.shape).astype(part.dtype) for part in _parts(out)]


def _gradients(case: Case, cotangents: list[Array], inputs: list[Array]) -> list[Array]:
    several = isinstance(case.network(*inputs), tuple)
    gradients = case.network.vjp(tuple(cotangents) if several else cotangents[0], *inputs)
    return [np.asarray(g) for g in gradients if g is not None]
