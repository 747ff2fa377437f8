"""Are the notebooks' wrong gradients caught, and their right ones confirmed, at any point of ordinary scale?

And is every case that a port declares (``gradcheck_cases()``) right elsewhere than at its own point? Both are taken
from the modules, so that a new port or notebook is covered without a line here.
"""

import importlib
import pkgutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, event, find, given, settings
from hypothesis import strategies as st

import gradcheck
import reference_impls
from gradcheck import Case, Verdict
from gradcheck.strategies import KINDS, ORDINARY, PROBABILITIES, arrays, labels, layer_shapes, sample, seeds
from reference_impls import kernels, notebooks
from reference_impls.notebooks import class_based, per_sample_sgd, row_major

ACCUSED = (Verdict.MISMATCH, Verdict.CONTRACT)
PORT_CASES, NOTEBOOK_CASES, ERRORS = (
    settings(max_examples=int(part * settings().max_examples)) for part in (0.7, 0.05, 0.25)
)

# ---------------------------------------------------------------------- declared cases at other points


def modules(package):
    return [
        f"{package.__name__}.{info.name}"
        for info in pkgutil.iter_modules(package.__path__)
        if not info.name.startswith("_") and not info.ispkg
    ]


def declared(package):
    """Return every declared case by the name of its module and its own."""
    return {
        f"{module.removeprefix('reference_impls.')}: {case.name}": case
        for module in modules(package)
        for case in getattr(importlib.import_module(module), "gradcheck_cases", list)()
    }


WRONG = {
    "notebooks.row_major: da_2 (loss factor)",
    "notebooks.row_major: db2 (not summed over the batch)",
    "notebooks.row_major: db1 (sum over the wrong axis), 4 examples",
    "notebooks.row_major: db1 (sum over the wrong axis), 5 examples",
    "notebooks.per_sample_sgd: dl_dz2 (gradient of ln, loss in log2), y=0",
    "notebooks.per_sample_sgd: dl_dz2 (gradient of ln, loss in log2), y=1",
    "notebooks.class_based: bce_loss_backward (two output columns)",
    "notebooks.class_based: bce_loss_backward (beyond the clip)",
}
OF_PORTS, OF_NOTEBOOKS = {**declared(reference_impls), **declared(kernels)}, declared(notebooks)


def redrawn(case, kind, seed, scale=1.0):
    """Return a case at another point: its floating-point arrays drawn anew, of the same shapes and dtypes.

    Numbers that all lie strictly between 0 and 1 are taken for probabilities and stay so.
    """
    position = iter(range(10_000))

    def draw(value):
        if isinstance(value, dict):
            return {name: draw(part) for name, part in value.items()}
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            return value
        probability = ((value > 0) & (value < 1)).all()
        position_seed = seed + 2**16 * next(position)
        if probability:
            chosen = "probabilities" if kind in ORDINARY else PROBABILITIES[seed % len(PROBABILITIES)]
            return sample(value.shape, chosen, position_seed, value.dtype)
        return (scale * sample(value.shape, kind, position_seed)).astype(value.dtype)

    return replace(case, args=tuple(draw(value) for value in case.args))


def only_ordinary(case):
    """Tell which cases do not go to extremes: float32, and losses that are clipped where their model is not."""
    parts = [part for value in case.args for part in (value.values() if isinstance(value, dict) else [value])]
    return "loss" in case.options or any(getattr(part, "dtype", None) == np.float32 for part in parts)


def confirm(report):
    assert report.verdict not in ACCUSED, str(report)


@PORT_CASES
@given(name=st.sampled_from(sorted(OF_PORTS)), data=st.data())
def test_port_is_right_at_other_points(name, data):
    case = OF_PORTS[name]
    kind = data.draw(st.sampled_from(("ones", "normal") if only_ordinary(case) else KINDS))
    seed = data.draw(seeds())
    report = redrawn(case, kind, seed).run(seed=seed)
    event(str(report.verdict))
    confirm(report)


@pytest.mark.parametrize("name", sorted(set(OF_NOTEBOOKS) - WRONG))
@NOTEBOOK_CASES
@given(seed=seeds())
def test_right_gradient_of_a_notebook_is_right_at_other_points(name, seed):
    # half the usual size: the notebooks' own losses are infinite where their sigmoids saturate
    confirm(redrawn(OF_NOTEBOOKS[name], "normal", seed, scale=0.5).run(seed=seed))


def test_every_wrong_gradient_is_a_declared_case():
    assert set(OF_NOTEBOOKS) >= WRONG


def test_redrawing_moves_every_point():
    for name, case in OF_PORTS.items():
        again, other = redrawn(case, "normal", 1), redrawn(case, "normal", 2)
        assert str(again.args) != str(other.args), name


# ---------------------------------------------------------------------- the notebooks' errors, at any shape and point
# Each test names the one circumstance in which the error does not show.

usual = {"kinds": ORDINARY}
batches = st.shared(st.integers(1, 8), key="batch")
shape_of_outputs = st.shared(layer_shapes(min_widths=1, max_widths=1), key="outputs")


def caught(report, verdict):
    assert report.verdict is verdict, str(report)


@ERRORS
@given(arrays(shape_of_outputs, kinds=PROBABILITIES[:2]), labels(shape_of_outputs))
def test_loss_as_a_factor(a_2, y):
    loss = row_major.loss(a_2, y)
    assume(not y.all() and abs(loss - 1) > 1e-3)  # only the terms of label 0 carry it, and a loss of 1 hides it
    report = gradcheck.check_vjp(row_major.loss, lambda a_2, y: row_major.loss_backward(a_2, y, loss), a_2, y)
    caught(report, Verdict.MISMATCH)


@ERRORS
@given(arrays(st.tuples(st.integers(2, 8), st.just(4)), **usual), arrays((4, 1), **usual), arrays((1, 1), **usual))
def test_output_bias_not_summed_over_the_batch(a_1, W2, b2):  # a batch of 1 has nothing to sum
    report = gradcheck.check_vjp(lambda b2: np.dot(a_1, W2) + b2, lambda dz_2, b2: row_major.b2_backward(dz_2), b2)
    caught(report, Verdict.CONTRACT)
    assert "sum over the batch axis is missing" in str(report)


@ERRORS
@given(arrays(st.tuples(batches, st.just(3)), **usual), arrays((3, 4), **usual), arrays((1, 4), **usual))
def test_hidden_bias_summed_over_the_wrong_axis(X, W1, b1):
    report = gradcheck.check_vjp(lambda b1: np.dot(X, W1) + b1, lambda dz_1, b1: row_major.b1_backward(dz_1), b1)
    caught(report, Verdict.CONTRACT)


@ERRORS
@given(arrays(st.tuples(batches, st.just(1)), **usual))
def test_pre_activation_in_place_of_the_activation(z_2):  # the bug that the closing comment of 000 tells of
    report = gradcheck.check_vjp(row_major.sigmoid_v, row_major.sigmoid_backward, z_2)
    caught(report, Verdict.MISMATCH)


@ERRORS
@given(arrays((1, 1), **usual), st.integers(0, 1))
def test_gradient_in_nats_of_a_loss_in_bits(z2, y):
    report = gradcheck.check_vjp(
        lambda z2: per_sample_sgd.BinaryCrossEntropy(per_sample_sgd.sigmoid(z2), y),
        lambda g, z2: g * per_sample_sgd.output_backward(per_sample_sgd.sigmoid(z2), y),
        z2,
    )
    caught(report, Verdict.MISMATCH)


several_columns = st.shared(layer_shapes(min_widths=1, max_widths=1).filter(lambda shape: shape[1] > 1), key="columns")


@ERRORS
@given(arrays(several_columns, kinds=PROBABILITIES[:2]), labels(several_columns))
def test_mean_over_rows_of_a_loss_over_elements(A, Y):  # one column is right
    report = gradcheck.check_vjp(class_based.bce_loss, class_based.bce_loss_backward, A, Y)
    caught(report, Verdict.MISMATCH)


one_column = st.shared(batches.map(lambda batch: (batch, 1)), key="one column")


@ERRORS
@given(arrays(one_column, kinds=["probabilities"]), labels(one_column))
def test_gradient_of_a_clipped_loss_beyond_the_clip(distance, Y):
    A = np.where(Y == 0, 1 + distance, -distance)  # on the side where the label makes the gradient huge
    report = gradcheck.check_vjp(class_based.bce_loss, class_based.bce_loss_backward, A, Y)
    caught(report, Verdict.MISMATCH)


# ---------------------------------------------------------------------- these properties can fail


def test_redrawn_property_fails_on_a_wrong_twin():
    case = OF_PORTS["row_major: relu_backward, 1 examples"]
    forward, _, *inputs = case.args
    wrong = Case.vjp("leaky", forward, lambda da, z: da * np.where(z > 0, 1, 0.01), *inputs)

    def fails(drawn):
        kind, seed = drawn
        try:
            confirm(redrawn(wrong, kind, seed).run(seed=seed))
        except AssertionError:
            return True
        return False

    drawn = st.tuples(st.sampled_from(KINDS), seeds())
    kind, _ = find(drawn, fails, settings=settings(database=None, derandomize=True))
    assert kind == "integers"  # the first of the kinds that has a negative number in it


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_gradient_would_not_pass_for_a_right_one(name):
    with pytest.raises(AssertionError):
        confirm(OF_NOTEBOOKS[name].run(seed=0))


def test_corrected_twin_of_each_error_is_confirmed():
    from reference_impls import class_based as corrected  # the namesake of the notebook's module

    A, Y = sample((4, 3), "probabilities", 1), np.arange(12).reshape(4, 3) % 2
    confirm(gradcheck.check_vjp(corrected.bce_loss, corrected.bce_loss_backward, A, Y))
    beyond = np.where(Y == 0, 1 + A, -A)
    assert gradcheck.check_vjp(corrected.bce_loss, corrected.bce_loss_backward, beyond, Y).verdict is Verdict.MATCH
