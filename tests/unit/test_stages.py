"""Is the first wrong stage of a model found, and a model of right stages told from it?"""

import numpy as np
import pytest

from gradcheck import Verdict, check_layer
from gradcheck.stages import visible_stages

X = np.random.default_rng(0).normal(size=(4, 3))


class Scale:
    def __init__(self, n, seed, wrong=False):
        self.w, self.wrong = np.random.default_rng(seed).normal(size=n), wrong

    def forward(self, x):
        self.x = x
        return x * self.w

    def backward(self, g):
        self.dw = (g * self.x).sum(axis=0)
        return g * self.w * (2 if self.wrong else 1)


class Tanh:
    def __init__(self, wrong=False):
        self.wrong = wrong

    def forward(self, z):
        self.z, self.a = z, np.tanh(z)
        return self.a

    def backward(self, g):
        return g * (1 - (self.z if self.wrong else self.a) ** 2)


class Chain:
    def __init__(self, *layers, wrong=False):
        self.layers, self.wrong = list(layers), wrong

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, g):
        for layer in reversed(self.layers):
            g = layer.backward(g)
        return 3 * g if self.wrong else g


class WithLoss(Chain):
    def loss(self, X, Y):
        return float(np.sum((self.forward(X) - Y) ** 2))

    def gradients(self, X, Y):
        self.dX = super().backward(2 * (self.forward(X) - Y))
        return {f"layers.{i}.w": layer.dw for i, layer in enumerate(self.layers) if hasattr(layer, "dw")}


class Pair:
    """Two stages in attributes, one of them a chain."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def forward(self, x):
        return self.second.forward(self.first.forward(x))

    def backward(self, g):
        return self.first.backward(self.second.backward(g))


def first_told(model, *inputs, **options):
    report = check_layer(model, *(inputs or (X,)), **options)
    assert report.verdict is Verdict.MISMATCH, str(report)
    return report.explanations[0] if report.explanations else None


def test_catches_the_wrong_activation_between_right_layers():
    told = first_told(Chain(Scale(3, 1), Tanh(wrong=True), Scale(3, 2)))
    assert told.name == "stage"
    assert "layers[1] (Tanh)" in told.text
    assert "1 - z**2 in place of 1 - a**2" in told.text


def test_the_first_from_the_loss_backwards_is_named_where_two_are_wrong():
    told = first_told(Chain(Scale(3, 1, wrong=True), Tanh(wrong=True), Scale(3, 2)))
    assert "layers[1] (Tanh)" in told.text


def test_catches_a_wrong_stage_inside_a_stage():
    told = first_told(Pair(Scale(3, 1), Chain(Scale(3, 2), Tanh(wrong=True))))
    assert "second (Chain)" in told.text
    assert "layers[1] (Tanh)" in told.text


def test_says_so_where_every_stage_is_right_and_the_model_is_not():
    told = first_told(Chain(Scale(3, 1), Tanh(), wrong=True))
    assert told.name == "stage"
    assert "each of its 2 stages is right by itself" in told.text
    assert "backward of Chain" in told.text


def test_a_right_model_has_no_explanation():
    report = check_layer(Chain(Scale(3, 1), Tanh(), Scale(3, 2)), X)
    assert report.ok
    assert report.explanations == ()


def test_the_parts_see_what_they_are_given_and_the_model_is_left_as_it_was():
    model = Chain(Scale(3, 1), Tanh())
    stages = visible_stages(model, [X])
    assert [stage.name for stage in stages] == ["layers[0]", "layers[1]"]
    assert np.array_equal(stages[1].inputs[0], X * model.layers[0].w)
    assert not hasattr(model.layers[0], "x")
    assert "forward" not in vars(stages[0].part)


@pytest.mark.parametrize("model", [Scale(3, 1, wrong=True), Chain(Scale(3, 1, wrong=True))])
def test_one_stage_is_no_chain(model):
    told = first_told(model)
    assert told.name == "factor"
    assert told.text.startswith("x: every entry is 2 times")


def test_a_forward_that_needs_more_than_it_is_given_has_no_visible_stages():
    assert visible_stages(Chain(Scale(2, 1)), [X]) == []


def test_stages_count_and_keep_to_the_budget():
    model = Chain(Scale(3, 1), Tanh(wrong=True), Scale(3, 2))
    report = check_layer(model, X)
    for budget in (100, 400, report.forward_calls):
        assert check_layer(model, X, budget=budget).forward_calls <= budget


def test_a_stage_that_does_not_show_its_parameters_by_itself_is_not_called_right():
    class Plain:
        """Its parameter's gradient is the model's work."""

        def __init__(self):
            self.w, self.dw = np.array([2.0, -1.0, 0.5]), None

        def forward(self, x):
            self.x = x
            return x * self.w

        def backward(self, g):
            return g * self.w

    class Model(Chain):
        def backward(self, g):
            g = self.layers[1].backward(g)
            self.layers[0].dw = 2 * (g * self.layers[0].x).sum(axis=0)
            return self.layers[0].backward(g)

    told = first_told(Model(Plain(), Tanh()))
    assert (told.name, told.text) == ("factor", "layers[0].w: every entry is 2 times what it should be")


def test_the_global_generator_is_as_it_was():
    class Noisy(Tanh):
        def forward(self, z):
            return super().forward(z * np.random.random())  # noqa: NPY002  # as users write it

    np.random.seed(3)  # noqa: NPY002  # as above
    before = np.random.get_state()[1].copy()  # noqa: NPY002  # as above
    check_layer(Chain(Noisy(wrong=True), Scale(3, 1)), X)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002  # as above


def test_a_stage_that_raises_by_itself_costs_the_report_nothing():
    class Strict(Tanh):
        """Wants what only the stage before it gives."""

        def forward(self, z):
            if not np.any(z == 0.0):
                raise RuntimeError("not centred")
            return super().forward(z)

    class Centre(Tanh):
        def forward(self, z):
            self.z = self.a = np.where(np.arange(z.shape[1]) == 0, 0.0, z)
            return self.a

        def backward(self, g):
            return g * (np.arange(g.shape[1]) != 0)

    report = check_layer(Chain(Centre(), Strict(wrong=True)), X)
    assert report.verdict is Verdict.MISMATCH
