"""When is an explanation told, at what cost, and how does it say which entries it is about?"""

import numpy as np
import pytest

from gradcheck import Verdict, check_grad, check_jvp, check_layer, check_vjp
from gradcheck.evaluate import Evaluator
from gradcheck.explain.evidence import Evidence, Guess
from gradcheck.explain.factors import named
from gradcheck.explain.measure import Measure
from gradcheck.explain.places import region, subject
from gradcheck.layer import Layer

Z = np.random.default_rng(3).normal(size=(4, 3))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def told(report):
    assert report.verdict in (Verdict.MISMATCH, Verdict.CONTRACT), str(report)
    return [found.text for found in report.explanations]


def evidence(analytic, numerical, x=None, **constants):
    """What is known of y = numerical * x, with a backward that returns something else."""
    analytic, numerical = np.asarray(analytic, float), np.asarray(numerical, float)
    x = np.ones(analytic.shape) if x is None else x
    layer = Layer("layer", lambda primals: ({"output": primals["x"] * numerical}, dict), {"x": x, **constants}, ("x",))
    evaluator = Evaluator(layer, layer.primals)
    outputs, cotangents = {"output": x * numerical}, {"output": np.ones(analytic.shape)}
    evaluator.remember(outputs)
    return Evidence(
        "x",
        analytic,
        numerical,
        analytic != numerical,
        np.full(analytic.shape, 1e-10),
        dict(layer.primals),
        outputs,
        cotangents,
        Measure(evaluator, cotangents, None),
    )


# ---------------------------------------------------------------------- the rule


def test_each_wrong_entry_is_worth_the_digits_that_agree():
    e = evidence([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    guess = Guess("factor", "", 2 * e.numerical, odds=0)
    assert 3 * 7 < e.digits(guess) < 3 * 9
    assert e.digits(Guess("factor", "", 2 * e.numerical, fitted=2, odds=0)) < 9
    assert e.digits(Guess("factor", "", 2 * e.numerical, fitted=3, odds=0)) == 0
    assert e.digits(guess) - e.digits(Guess("factor", "", 2 * e.numerical, odds=4)) == pytest.approx(4)


def test_one_entry_that_does_not_fit_is_enough_to_say_nothing():
    e = evidence([2.0, 4.0, 6.001], [1.0, 2.0, 3.0])
    assert e.digits(Guess("factor", "", 2 * e.numerical)) == 0


def test_entries_that_are_right_must_fit_too_unless_the_guess_is_about_the_wrong_ones():
    e = evidence([2.0, 4.0, 3.0], [1.0, 2.0, 3.0])
    assert not e.holds(Guess("factor", "", 2 * e.numerical))
    assert e.holds(Guess("factor", "", 2 * e.numerical, everywhere=False))


def test_what_a_guess_leaves_out_must_be_less_than_half():
    e = evidence([2.0, 4.0, 6.0, 8.0], [1.0, 2.0, 3.0, 4.0])
    assert e.holds(Guess("some", "", np.array([2.0, 4.0, np.nan, np.nan])))
    assert not e.holds(Guess("few", "", np.array([2.0, np.nan, np.nan, np.nan])))


@pytest.mark.parametrize(("entries", "expected"), [(1, False), (2, True), (12, True)])
def test_a_number_that_means_nothing_is_a_factor_only_where_several_entries_have_it(entries, expected):
    x = np.random.default_rng(0).normal(size=entries)
    report = check_vjp(np.sin, lambda g, x: 1.7321 * g * np.cos(x), x)
    assert told(report) == ["every entry is 1.7321 times what it should be"] * expected


def test_a_sign_is_seen_in_one_entry():
    assert told(check_vjp(np.sin, lambda g, x: -g * np.cos(x), np.array(0.3))) == [
        "the sign of the gradient is flipped"
    ]


def test_a_mask_of_few_entries_is_not_named_for_what_may_be_another():
    x, t = np.random.default_rng(0).normal(size=(2, 12)) * 3

    def huber(x, t):
        r = np.abs(x - t)
        return float(np.sum(np.where(r < 1, 0.5 * r**2, r - 0.5)))

    # at the wrong entries sign(x) is sign(x - t), by chance
    assert told(check_vjp(huber, lambda x, t: x - t, x, t, wrt="x")) == []


def test_a_path_that_one_row_alone_lacks_is_none():
    def wrong(g, x):
        return g - g.mean(axis=1, keepdims=True) + 0.3 * (np.arange(4) == 1)[:, None]

    def centred(x):
        return x - x.mean(axis=1, keepdims=True)

    x = np.random.default_rng(0).normal(size=(4, 6))
    assert told(check_vjp(centred, wrong, x)) == ["off by a constant along axis 1"]
    (text,) = told(check_vjp(centred, lambda g, x: g - g.mean(), x))
    assert text.endswith("the path through the mean over axis 1 is missing or wrong")


# ---------------------------------------------------------------------- the words


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.ones((3, 4), bool), "every entry"),
        (np.arange(3)[:, None] == 1, "x[1, :]"),
        (np.arange(4) == 2, "x[:, 2]"),
        (np.eye(3, 4, dtype=bool) & (np.arange(4) == 0), "x[0, 0]"),
        (np.eye(3, 4, dtype=bool), "each of the 3 wrong entries"),
    ],
)
def test_subject_says_which_entries(wrong, words):
    right = 1 + np.arange(12.0).reshape(3, 4)
    assert subject(evidence(np.where(wrong, -right, right), right)) == words


def test_entries_that_are_zero_in_both_do_not_count():
    right = np.array([[1.0, 0.0], [2.0, 3.0]])
    assert subject(evidence(-right, right)) == "every entry"


def test_regions_are_found_by_sign_by_limit_and_by_label():
    x = np.linspace(-1.02, 1.0, 21)
    right = 1 + np.arange(21.0)
    labels = np.arange(21) % 3

    def of(wrong):
        return region(evidence(np.where(wrong, 0.5 * right, right), right, x, labels=labels))[0]

    assert of(x < 0) == "x < 0"
    assert of(np.abs(x) > 0.5) == "|x| > 0.5"
    assert of(labels == 2) == "labels = 2"
    assert region(evidence(np.where(np.arange(21) % 7 == 1, 0, right), right, x, labels=labels)) is None


@pytest.mark.parametrize(
    ("ratio", "words", "hint"),
    [
        (2.0, "2", ""),
        (5.0, "5", "X has 5 rows"),
        (1 / 7, "1/7", "X has 7 columns"),
        (35.0, "35", "X has 35 entries"),
        (np.sqrt(5), "sqrt(5)", "X has 5 rows"),
        (np.log(2), "ln 2", ""),
        (0.123, "0.123", ""),
    ],
)
def test_numbers_are_named_by_what_has_their_value(ratio, words, hint):
    e = evidence([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], X=np.zeros((5, 7)))
    assert named(e, ratio * (1 + 1e-7))[1:] == (words, hint)


def test_entries_that_agree_are_known_though_the_report_lists_few_of_them():
    x = np.random.default_rng(0).normal(size=(8, 5))
    gamma = np.array([2.0, 3.0, -1.0])

    def wrong(g, x):
        found = g * np.cos(x)
        found[:3] *= gamma[:, None]
        return found

    # 15 of 40 are wrong, with three factors between them: nothing is said but what holds for all that is known
    assert told(check_vjp(np.sin, wrong, x)) == []
    assert told(check_vjp(np.sin, lambda g, x: np.concatenate([-g[:3], g[3:]]) * np.cos(x), x)) == [
        "the sign of each of the 15 wrong entries is flipped"
    ]


# ---------------------------------------------------------------------- the cost


def test_a_right_gradient_costs_nothing_more():
    right = check_vjp(sigmoid, lambda g, z: g * sigmoid(z) * (1 - sigmoid(z)), Z)
    assert right.explanations == ()
    assert right.forward_calls < 40


@pytest.mark.parametrize("budget", [60, 100, 150, 200, 300, 1000])
def test_explaining_keeps_to_the_budget_and_is_counted(budget):
    calls = 0

    def counted(z):
        nonlocal calls
        calls += 1
        return sigmoid(z) * np.roll(z, 1)

    report = check_vjp(counted, lambda g, z: g * np.cos(7 * z), Z, budget=budget)
    assert report.forward_calls == calls <= budget


def test_same_seed_same_explanation():
    one, other = (check_vjp(sigmoid, lambda g, z: g * z, Z, seed=4) for _ in range(2))
    assert one.explanations == other.explanations != ()


# ---------------------------------------------------------------------- every way of checking


def test_primals_of_one_explanation_are_told_together():
    W, b = np.random.default_rng(0).normal(size=(3, 2)), np.array([0.3, -0.7])
    report = check_vjp(lambda x, W, b: x @ W + b, lambda g, x, W, b: (g @ W.T, -x.T @ g, -g.sum(0)), Z, W, b)
    assert told(report) == ["W and b: the sign of every entry is flipped"]
    assert report.explanations[0].fit == 1.0


def test_the_one_that_explains_most_comes_first():
    W, b = np.random.default_rng(0).normal(size=(3, 2)), np.array([0.3, -0.7])
    report = check_vjp(lambda x, W, b: x @ W + b, lambda g, x, W, b: (g @ W.T, 3 * x.T @ g, -g.sum(0)), Z, W, b)
    assert [text.split(":")[0] for text in told(report)] == ["W", "b"]
    assert [found.fit for found in report.explanations] == [6 / 8, 2 / 8]


def test_a_loss_a_jvp_and_a_complex_function_are_explained():
    assert told(check_grad(lambda z: float(np.sum(z**2)), lambda z: z, Z)) == [
        "every entry is 1/2 times what it should be"
    ]
    jvp = check_jvp(np.sin, lambda tangents, x: -np.cos(x) * tangents[0], Z)
    assert told(jvp) == ["the sign of every entry is flipped"]
    w = Z + 1j * Z[::-1]
    (text,) = told(check_vjp(lambda w: w**2, lambda g, w: 3 * 2 * np.conj(w) * g, w))
    assert text.startswith("every entry is 3 times what it should be")


def test_a_large_gradient_is_explained_by_a_sample():
    x = np.random.default_rng(0).normal(size=(20, 15))
    report = check_vjp(np.sin, lambda g, x: -g * np.cos(x), x, mode="fast")
    assert report.mode == "fast"
    assert report.explanations[0].name == "sign"
    assert "every" not in report.explanations[0].text, "not every entry was looked at"


def test_what_a_few_entries_are_is_not_said_of_all():
    x = np.random.default_rng(0).normal(size=(64, 50))
    report = check_vjp(lambda x: np.maximum(x, 0), lambda g, x: g, x, mode="fast")
    assert told(report) == ["each wrong entry looked at should be zero: f does not change there"]


def test_float32_backward_that_loses_its_digits_is_said_to():
    def lossy(g, x):
        big = x.dtype.type(1e6)
        return g * ((np.cos(x) + big) - big)

    report = check_vjp(np.sin, lossy, Z.astype(np.float32))
    assert told(report) == ["it is right in float64 and wrong in float32: digits are lost on the way, or it overflows"]


def test_a_scalar_input_of_the_wrong_shape_is_explained():
    report = check_vjp(lambda x, s: x * s, lambda g, x, s: (g * s, g * x), Z, np.array(0.7))
    assert told(report) == ["s: the sum over axes (0, 1) is missing: with it, all values are right"]


def test_explanations_of_an_object_are_about_its_parameters():
    class Scale:
        def __init__(self):
            self.w, self.dw = np.array([2.0, -1.0, 0.5]), None

        def forward(self, x):
            self.x = x
            return x * self.w

        def backward(self, dout):
            self.dw = (dout * self.x).mean(axis=0)
            return dout * self.w

    assert told(check_layer(Scale(), Z)) == ["w: every entry is 1/4 times what it should be (x has 4 rows)"]
