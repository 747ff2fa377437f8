"""Do the lent strategies draw what their docstrings say, repeatably, and shrink to what can be checked by hand?"""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import gradcheck
from gradcheck.errors import ArgumentError
from gradcheck.strategies import KINDS, ORDINARY, PROBABILITIES, arrays, labels, layer_shapes, sample, seeds

EVERY = (*KINDS, *PROBABILITIES)
DTYPES = (np.float16, np.float32, np.float64)
quiet = settings(database=None, derandomize=True, deadline=None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", EVERY)
def test_sample_is_finite_of_its_shape_and_dtype_and_repeatable(kind, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(20):
            array = sample((5, 4), kind, seed, dtype)
            assert array.shape == (5, 4)
            assert array.dtype == dtype
            assert np.isfinite(array).all()
            np.testing.assert_array_equal(array, sample((5, 4), kind, seed, dtype))


@pytest.mark.parametrize("kind", sorted({*EVERY} - {"ones", "zeros", "half"}))
def test_sample_differs_by_seed_and_by_kind(kind):
    assert (sample((4, 4), kind, 1) != sample((4, 4), kind, 2)).any()
    assert (sample((4, 4), kind, 1) != sample((4, 4), "normal" if kind != "normal" else "tiny", 1)).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", PROBABILITIES)
def test_probabilities_lie_strictly_between_0_and_1(kind, dtype):
    values = sample((1000,), kind, 3, dtype)
    assert values.min() > 0
    assert values.max() < 1


def test_kinds_hold_what_they_promise():
    at = {kind: sample((4000,), kind, 5) for kind in EVERY}
    assert (at["ones"] == 1).all()
    assert set(at["integers"]) == {-3, -2, -1, 0, 1, 2, 3}
    assert (at["zeros"] == 0).all()
    assert 0.4 < (at["some zeros"] == 0).mean() < 0.6
    assert np.abs(at["saturated"]).min() >= 15
    assert set(np.sign(at["saturated"])) == {-1, 1}
    assert 0.9e-8 < at["tiny"].std() < 1.1e-8
    assert 0.9e8 < at["huge"].std() < 1.1e8
    magnitudes = np.log10(np.abs(at["mixed"]))
    assert magnitudes.min() < -7.9
    assert magnitudes.max() > 7.9
    assert at["near 0 and 1"].min() < 1e-7
    assert (1 - at["near 0 and 1"]).min() < 1e-7


def test_float16_gets_its_own_tiny_and_huge():
    assert 0 < np.abs(sample((100,), "tiny", 0, np.float16)).max() < 2e-3
    assert 100 < np.abs(sample((100,), "huge", 0, np.float16)).max() < 65504


def test_scalars_and_empty_arrays_can_be_drawn():
    assert sample((), "normal").shape == ()
    assert sample(3, "normal").shape == (3,)
    assert sample((0, 2), "mixed").shape == (0, 2)


def test_every_kind_comes_up():
    seen = set()

    @settings(quiet, max_examples=200)
    @given(arrays((2, 2)))
    def draw(array):
        seen.update(kind for kind in KINDS for seed in (0,) if (array == sample((2, 2), kind, seed)).all())

    draw()
    assert {"ones", "zeros"} <= seen
    for kind in EVERY:
        found = find(arrays((2, 2), kinds=[kind]), lambda array: True, settings=quiet)
        np.testing.assert_array_equal(found, sample((2, 2), kind, 0))


@settings(quiet, max_examples=50)
@given(layer_shapes(min_widths=1, max_widths=3, max_batch=4, max_width=5))
def test_layer_shapes_stay_in_their_bounds(shape):
    batch, *widths = shape
    assert 1 <= batch <= 4
    assert 1 <= len(widths) <= 3
    assert all(1 <= width <= 5 for width in widths)


@settings(quiet, max_examples=50)
@given(labels(st.shared(layer_shapes(), key="shape")), st.shared(layer_shapes(), key="shape"))
def test_labels_are_integers_0_and_1(y, shape):
    assert y.shape == shape
    assert y.dtype.kind == "i"
    assert set(y.flat) <= {0, 1}


def test_labels_shrink_to_zeros_and_seeds_to_0():
    assert find(labels((2, 2)), lambda y: True, settings=quiet).tolist() == [[0, 0], [0, 0]]
    assert find(seeds(), lambda seed: True, settings=quiet) == 0


def wrong_square(g, x):
    return 2.002 * g * x


def test_wrong_gradient_shrinks_to_a_single_one():
    def fails(x):
        return not gradcheck.check_vjp(np.square, wrong_square, x).ok

    found = find(arrays(layer_shapes(min_widths=1, max_widths=1, max_width=3)), fails, settings=quiet)
    assert found.tolist() == [[1.0]]


def test_failing_example_says_how_to_make_it_again():
    @settings(quiet, print_blob=False)
    @given(arrays(layer_shapes(min_widths=1, max_widths=1, max_width=3)))
    def property_of_square(x):
        gradcheck.check_vjp(np.square, wrong_square, x).raise_on_failure()

    with pytest.raises(gradcheck.GradientMismatchError) as caught:
        property_of_square()
    message = "\n".join([str(caught.value), *caught.value.__notes__])
    assert "MISMATCH" in message
    assert "drawn: gradcheck.strategies.sample((1, 1), 'ones', seed=0)" in message


BAD = {
    "kind was 'gaussian'": lambda: sample((2,), "gaussian"),
    "kinds was 'gaussian'": lambda: arrays((2,), kinds=["gaussian"]),
    "kinds was empty": lambda: arrays((2,), kinds=[]),
    "shape was (2, -1)": lambda: sample((2, -1)),
    "shape was 'ab'": lambda: arrays("ab"),
    "shape was 1.5": lambda: labels(1.5),
    "seed was -1": lambda: sample((2,), seed=-1),
    "seed was True": lambda: sample((2,), seed=True),
    "dtype was int64": lambda: sample((2,), dtype=np.int64),
    "dtype was 'float33'": lambda: arrays((2,), dtype="float33"),
    "max_batch was 0": lambda: layer_shapes(max_batch=0),
    "max_width was 2.5": lambda: layer_shapes(max_width=2.5),
    "min_widths was 3; expected at most max_widths": lambda: layer_shapes(min_widths=3),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_argument_is_named_with_what_was_expected(message):
    with pytest.raises(ArgumentError) as caught:
        BAD[message]()
    assert str(caught.value).startswith(message)
    assert "expected" in str(caught.value)


def test_one_kind_may_be_given_as_a_string():
    assert find(arrays(1, kinds="half"), lambda x: True, settings=quiet).tolist() == [0.5]


def test_ordinary_kinds_come_first_so_that_examples_shrink_to_them():
    assert KINDS[: len(ORDINARY)] == ORDINARY


def test_only_who_asks_for_strategies_loads_hypothesis():
    code = "import sys, gradcheck.check; assert 'hypothesis' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
