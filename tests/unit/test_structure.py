"""gradcheck.structure and gradcheck.detect: are the entries that share an evaluation those that reach no output in common, whatever f is?"""

import numpy as np
import pytest

from gradcheck import detect as detecting
from gradcheck.detect import CODED, detect
from gradcheck.evaluate import Evaluator
from gradcheck.layer import Layer
from gradcheck.point import Point
from gradcheck.shared import Movable, SharedRay, in_turns
from gradcheck.structure import NONE, Colour, Share, Structure, code_words, elementwise

RNG = np.random.default_rng(0)
MIXED = RNG.permutation(12)
PICKED = RNG.integers(0, 7, 10)


def at(*shape):
    return RNG.normal(size=shape)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def normalised(x, axes):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


def windows(x, size, stride=1, dilation=1):
    reach = tuple((n - 1) * dilation + 1 for n in size)
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3))
    return view[:, :, ::stride, ::stride, ::dilation, ::dilation]


def conv(x, w, **how):
    return np.einsum("nchwij,ocij->nohw", windows(x, w.shape[2:], **how), w)


def dense(x, w):
    return x @ w


def attention(q, k, v):
    return softmax(q @ k.T) @ v


X, W = at(12, 10), at(10, 7)
IMAGE, KERNEL = at(2, 3, 8, 8), at(4, 3, 3, 3)
QKV = (at(8, 4), at(9, 4), at(9, 5))

# f, its inputs, which of them, how many groups, and at most how many evaluations to find them
FOUND = {
    "elementwise": (np.tanh, [at(4, 5)], 0, 1, 8),
    "transposed": (lambda x: np.tanh(x).T, [at(4, 5)], 0, 1, 8),
    "permutation": (lambda x: x[MIXED], [at(12, 3)], 0, 1, 10),
    "gather": (lambda x: x[PICKED], [at(7, 3)], 0, 1, 9),
    "dead relu": (lambda x: np.maximum(x, 0), [-np.abs(at(4, 5))], 0, 1, 8),
    "bias": (np.add, [at(5, 9), at(9)], 1, 1, 7),
    "two outputs": (lambda x: (np.tanh(x), x.T**2), [at(6, 5)], 0, 1, 9),
    "dense, x": (dense, [X, W], 0, 10, 12),
    "dense, w": (dense, [X, W], 1, 10, 12),
    "dense, Fortran-ordered": (dense, [np.asfortranarray(X), W], 0, 10, 12),
    "dense, a strided view": (dense, [at(24, 20)[::2, ::2], W], 0, 10, 12),
    "dense, float32": (dense, [X.astype(np.float32), W.astype(np.float32)], 0, 10, 12),
    "dense, complex": (dense, [at(6, 8) + 1j * at(6, 8), at(8, 5) + 1j * at(8, 5)], 0, 16, 11),
    "square, complex": (np.square, [at(4, 3) + 1j * at(4, 3)], 0, 2, 18),
    "fft": (np.fft.fft, [at(6, 8)], 0, 8, 18),
    "softmax of rows": (softmax, [at(6, 5)], 0, 5, 15),
    "softmax of columns": (lambda x: softmax(x, 0), [at(6, 5)], 0, 6, 15),
    "layer norm": (lambda x: normalised(x, -1), [at(6, 5)], 0, 5, 15),
    "batch norm": (lambda x: normalised(x, 0), [at(6, 5)], 0, 6, 15),
    "batch norm of images": (lambda x: normalised(x, (0, 2, 3)), [at(3, 4, 2, 2)], 0, 12, 10),
    "cumsum": (lambda x: np.cumsum(x, 0), [at(9, 4)], 0, 9, 20),
    "conv, x": (conv, [IMAGE, KERNEL], 0, 27, 40),
    "conv, w": (conv, [IMAGE, KERNEL], 1, 27, 10),
    "conv, strided": (lambda x, w: conv(x, w, stride=2), [at(2, 3, 9, 9), KERNEL], 0, 27, 44),
    "conv, dilated": (lambda x, w: conv(x, w, dilation=2), [at(2, 3, 10, 10), KERNEL], 0, 27, 46),
    "conv, flattened": (lambda x, w: conv(x, w).reshape(len(x), -1), [IMAGE, KERNEL], 0, 27, 40),
    "max pool": (lambda x: windows(x, (2, 2), stride=2).max((-1, -2)), [IMAGE], 0, 4, 44),
    "mean pool": (lambda x: windows(x, (2, 2), stride=2).mean((-1, -2)), [IMAGE], 0, 4, 44),
    "attention, q": (attention, QKV, 0, 4, 16),
    "attention, v": (attention, QKV, 2, 9, 12),
    "neighbours": (lambda x: x[1:] * x[:-1], [at(40)], 0, 2, 50),
    "many, elementwise": (np.tanh, [at(CODED + 50)], 0, 1, 2),
    "many, in reverse": (lambda x: np.tanh(x[::-1]), [at(CODED + 50)], 0, 1, 20),
    "many rows": (softmax, [at(CODED + 50, 3)], 0, 3, 6),
}
NOT_FOUND = {
    "attention, k": (attention, QKV, 1),
    "sum": (np.sum, [at(4, 5)], 0),
    "inverse": (np.linalg.inv, [at(4, 4)], 0),
    "rows and columns": (lambda x: (np.tanh(x), x.sum(0), x.sum(1)), [at(6, 5)], 0),
    "cumprod": (np.cumprod, [at(12)], 0),
    "softmax of all": (lambda x: softmax(x.ravel()), [at(6, 5)], 0),
    "0-d": (np.sin, [np.array(0.3)], 0),
    "empty": (np.sin, [np.zeros((0, 4))], 0),
    "few": (np.sin, [at(7)], 0),
}


def evaluator_of(f, inputs):
    primals = {f"x{k}": array for k, array in enumerate(inputs)}

    def run(given):
        outputs = f(*given.values())
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return {f"y{k}": np.asarray(output) for k, output in enumerate(outputs)}, dict

    evaluator = Evaluator(Layer("f", run, primals, tuple(primals)), primals)
    outputs = evaluator.run().outputs
    evaluator.remember(outputs)
    return evaluator, evaluator.flatten(outputs)


def looked_at(f, inputs, which=0, seed=0):
    """Return the evaluator, the outputs, the structure, and how many evaluations that took."""
    evaluator, base = evaluator_of(f, inputs)
    before = evaluator.forward_calls
    found = detect(evaluator, f"x{which}", base, np.random.default_rng(seed))
    return evaluator, base, found, evaluator.forward_calls - before


NEAR = (-1e-7, 1e-7)
FAR = (-3.0, -1e-4, 1e-4, 3.0)


def reached(evaluator, base, which, place, moves):
    """The outputs that one entry changes, moved alone."""
    array = evaluator.point[f"x{which}"]
    index = np.unravel_index(place, array.shape)
    kept, changed = array[index], np.zeros(base.shape, bool)
    for move in moves:
        array[index] = kept + move
        changed |= evaluator.outputs("alone") != base
    array[index] = kept
    return changed


@pytest.mark.parametrize("name", FOUND)
def test_groups_are_as_few_and_found_as_fast_as_they_should(name):
    f, inputs, which, groups, evaluations = FOUND[name]
    for seed in range(5):
        evaluator, _, found, spent = looked_at(f, inputs, which, seed)
        assert found is not None, name
        assert len(found) == groups
        assert spent <= evaluations
        assert all(np.array_equal(evaluator.given[f"x{k}"], array) for k, array in enumerate(inputs))


@pytest.mark.parametrize("name", FOUND)
def test_entries_of_a_group_reach_no_output_in_common(name):
    f, inputs, which, *_ = FOUND[name]
    evaluator, base, found, _ = looked_at(f, inputs, which)
    entries = []
    moves = NEAR if name == "max pool" else FAR  # farther away another entry is the largest
    for group in found.groups():
        entries += group.entries.tolist()
        for place, entry in list(enumerate(group.entries))[:: max(1, len(group.entries) // 40)]:
            changed = reached(evaluator, base, which, entry, moves)
            assert np.all(group.share.owner[changed] == place), (name, entry)
            assert not group.share.idle[place] or not changed.any()
    assert sorted(entries) == list(range(evaluator.point[f"x{which}"].size))


@pytest.mark.parametrize("name", NOT_FOUND)
def test_nothing_is_shared_where_entries_reach_the_same_outputs(name):
    f, inputs, which = NOT_FOUND[name]
    for seed in range(5):
        _, _, found, spent = looked_at(f, inputs, which, seed)
        assert found is None
        assert spent <= 2 * inputs[which].size + 10


@pytest.mark.parametrize(
    ("name", "f"),
    [
        ("nanmax", lambda x: np.r_[x[:-1] ** 2, np.nanmax(x)]),
        ("sort", np.sort),
        ("nan_to_num", lambda x: x + np.nan_to_num(np.roll(x, 1))),
        ("where", lambda x: np.where(np.isnan(x), 0.0, x) + np.where(x[3] > -10, x[3], 0.0)),
    ],
)
def test_catches_a_coupling_that_nan_would_not_show(name, f):
    x = at(12)
    for seed in range(20):
        evaluator, base, found, _ = looked_at(f, [x], seed=seed)
        for group in found.groups() if found else ():
            for place, entry in enumerate(group.entries):
                assert np.all(group.share.owner[reached(evaluator, base, 0, entry, NEAR)] == place), name


def near_the_point(x, at_point, width=1e-2):
    """Tanh, and what each entry does to its neighbour, but only near the point."""
    d = np.roll(x - at_point, 1)
    return np.tanh(x) + d * np.exp(-((d / width) ** 2))


def test_catches_a_coupling_that_only_small_steps_show(monkeypatch):
    x = at(20)
    for seed in range(10):
        found = looked_at(lambda each: near_the_point(each, x), [x], seed=seed)[2]
        assert found is None or len(found) > 1
    monkeypatch.setattr(detecting._Look, "_holds", lambda *given: True)
    assert len(looked_at(lambda each: near_the_point(each, x), [x])[2]) == 1, "the wide moves alone do not show it"


def test_code_words_are_different_and_of_one_weight():
    for length in (2, 3, 7, 100, CODED, 40_000):
        words, weight = code_words(length, np.random.default_rng(0))
        assert np.all(words.sum(axis=1) == weight)
        assert len(np.unique(words, axis=0)) == length
        assert words.shape[1] <= np.log2(length) + 3


def test_what_f_raises_far_away_is_no_error_and_the_point_is_put_back():
    x = at(20)

    def f(each):
        if np.abs(each - x).max() > 1.0:
            raise IndexError("beyond the table")
        return np.tanh(each)

    evaluator, _, found, _ = looked_at(f, [x])
    assert found is None
    assert np.array_equal(evaluator.point["x0"], x)


def test_what_f_raises_near_the_point_is_passed_on_and_the_point_is_put_back():
    x = at(20)
    evaluator, base = evaluator_of(lambda each: np.tanh(each) + refuse(each, x), [x])
    with pytest.raises(IndexError, match="mine"):
        detect(evaluator, "x0", base, np.random.default_rng(0))
    assert np.array_equal(evaluator.point["x0"], x)


def refuse(each, x):
    """Zero, but for an exception where x is moved a little."""
    if 0 < np.abs(each - x).max() < 1e-3:
        raise IndexError("mine")
    return 0.0


@pytest.mark.parametrize("regular", [True, False])
def test_sums_are_those_of_the_outputs_that_an_entry_reaches(regular):
    owner = np.tile(np.repeat(np.arange(4), 3), 2)
    if not regular:
        owner = np.random.default_rng(0).permutation(np.r_[owner[:-5], [NONE] * 5])
    share = Share(owner, 4)
    assert share._regular is regular
    weights, values = at(owner.size), at(owner.size)
    expected = [np.sum((weights * values)[owner == k]) for k in range(4)]
    np.testing.assert_allclose(share.sums(weights, values), expected, rtol=1e-13)
    assert share.nobody.tolist() == np.flatnonzero(owner == NONE).tolist()


def test_idle_entries_reach_no_output():
    assert Share(np.array([0, 2, NONE]), 4).idle.tolist() == [False, True, False, True]


def test_groups_of_two_coloured_axes():
    """A 2 x 3 primal of rows that are apart, and columns of which two share an evaluation: in any order."""
    rows = (Colour(np.arange(2), np.array([0, 0, 0, 1, 1, 1])),)
    columns = (Colour(np.array([0, 2]), np.array([0, NONE, 1, 0, NONE, 1])), Colour(np.array([1]), None))
    both = Structure((2, 3), (rows, columns), 6)
    first, second = both.groups()
    assert first.entries.tolist() == [0, 2, 3, 5]
    assert first.share.owner.tolist() == [0, NONE, 1, 2, NONE, 3]
    assert second.entries.tolist() == [1, 4]
    assert [group.entries.tolist() for group in both.groups(np.array([1, 0]))] == [[1, 4], [0, 2, 3, 5]]


def test_elementwise_takes_outputs_of_the_same_size_and_no_others():
    assert elementwise(6, [(3,), (2,)]) is None
    group = elementwise(6, [(2, 3), (1,), (6,)])
    assert group.share.owner.tolist() == [*range(6), NONE, *range(6)]


# ------------------------------------------------------------------ entries up, down and at rest in turns


def movable(f, x, gradient=None, seed=0):
    evaluator, base = evaluator_of(f, [x])
    slopes = {"x0": np.ones(x.shape) if gradient is None else gradient}
    eps = np.full(base.shape, 2.0**-52)
    point = Point(
        evaluator, base, eps, np.ones(base.shape), slopes, lambda jitter=False: slopes, np.random.default_rng(seed)
    )
    point.measure()
    return Movable(point, "x0")


def test_turns_see_what_two_evaluations_of_all_would():
    x, step = at(5, 6), 2.0**-17
    moved = movable(np.tanh, x)
    before = moved.point.evaluator.forward_calls
    ray = in_turns(moved, step)
    assert moved.point.evaluator.forward_calls == before + 3
    plain = SharedRay(moved, elementwise(x.size, [x.shape]))
    for side in (step, -step):
        for seen, expected in zip(ray.at(side), plain.at(side), strict=True):
            assert np.array_equal(seen, expected)
    np.testing.assert_allclose(ray.look(step).central, (1 - np.tanh(x) ** 2).ravel(), rtol=1e-9)
    assert np.array_equal(moved.point.evaluator.point["x0"], x)


def test_entries_move_by_powers_of_two_of_both_signs():
    unit = movable(np.tanh, at(1000) * 100).unit
    assert np.all(np.frexp(np.abs(unit))[0] == 0.5)
    assert 0.4 < np.mean(unit > 0) < 0.6


def test_catches_in_turns_what_reaches_others():
    x = at(20)
    assert in_turns(movable(lambda each: np.cumsum(each), x), 2.0**-17) is None
    assert in_turns(movable(lambda each: (np.tanh(each), each.sum()), x), 2.0**-17) is None
    pair = [
        in_turns(movable(lambda each: np.tanh(each) + each[5] * np.eye(20)[0], x, seed=s), 2.0**-17) for s in range(60)
    ]
    assert 30 <= sum(ray is None for ray in pair) <= 50, "two of three: those whose turns are not the same"


@pytest.mark.parametrize(
    ("x", "offset", "even", "blind"),
    [(at(20), 0.0, True, False), (np.logspace(-8, 8, 20), 0.0, False, False), (at(20), 1e13, True, True)],
)
def test_turns_are_for_entries_that_move_as_far_and_outputs_that_show_it(x, offset, even, blind):
    moved = movable(lambda each: np.tanh(each) + offset, x)
    assert (moved.is_even, moved.is_blind(2.0**-17)) == (even, blind)
