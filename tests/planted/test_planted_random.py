"""Are layers that draw random numbers checked under one mask, and those that use it wrongly caught?"""

import copy
import functools
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from gradcheck import Case, ContractError, Verdict, check_grad, check_jvp, check_layer, check_vjp

X = np.random.default_rng(2).normal(size=(4, 5))
KEEP = 0.7


class Dropout:
    """The correct twin, with a generator of its own; the faults override what they need."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)

    def draw(self, shape):
        return (self.rng.random(shape) < KEEP) / KEEP

    def forward(self, x):
        self.mask = self.draw(x.shape)
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class WithRandomState(Dropout):
    def __init__(self):
        self.random_state = np.random.RandomState(3)

    def draw(self, shape):
        return (self.random_state.uniform(size=shape) < KEEP) / KEEP


class WithPythonsGenerator(Dropout):
    def __init__(self):
        self.generator = random.Random(3)

    def draw(self, shape):
        return np.array([self.generator.random() < KEEP for _ in range(int(np.prod(shape)))]).reshape(shape) / KEEP


class WithTheGlobalGenerator(Dropout):
    def __init__(self):
        pass

    def draw(self, shape):
        return (np.random.rand(*shape) < KEEP) / KEEP  # noqa: NPY002  # as many layers do


class WithPythonsGlobalGenerator(WithTheGlobalGenerator):
    def draw(self, shape):
        return np.array([random.random() < KEEP for _ in range(int(np.prod(shape)))]).reshape(shape) / KEEP


GENERATOR = np.random.default_rng(4)


class WithTheModulesGenerator(Dropout):
    def __init__(self):
        pass

    def draw(self, shape):
        return (GENERATOR.random(shape) < KEEP) / KEEP


class WithTheClassesGenerator(Dropout):
    rng = np.random.default_rng(5)

    def __init__(self):
        pass


class WithSeedThatItAdvances(Dropout):
    def __init__(self):
        self.seed = 7

    def draw(self, shape):
        self.seed += 1
        return (np.random.default_rng(self.seed).random(shape) < KEEP) / KEEP


class WithSeedOfNumpysThatItAdvances(WithSeedThatItAdvances):
    def __init__(self):
        self.seed = np.int64(7)


class Network:
    """Two dropouts in a list, a weight between them."""

    def __init__(self):
        self.layers = [Dropout(1), Dropout(2)]
        self.W = np.random.default_rng(3).normal(size=(5, 3))

    def forward(self, x):
        self.hidden = self.layers[0].forward(x)
        return self.layers[1].forward(self.hidden @ self.W)

    def backward(self, dout):
        dout = self.layers[1].backward(dout)
        self.dW = self.hidden.T @ dout
        return self.layers[0].backward(dout @ self.W.T)


FIXED = [
    (Dropout, "rng"),
    (WithRandomState, "random_state"),
    (WithPythonsGenerator, "generator"),
    (WithTheGlobalGenerator, "numpy.random"),
    (WithPythonsGlobalGenerator, "random"),
    (WithTheModulesGenerator, "GENERATOR"),
    (WithTheClassesGenerator, "rng"),
    (WithSeedThatItAdvances, "seed"),
    (WithSeedOfNumpysThatItAdvances, "seed"),
    (Network, "layers[0].rng and layers[1].rng"),
]
each = pytest.mark.parametrize(("layer", "name"), FIXED, ids=[row[0].__name__ for row in FIXED])


def note(name):
    return f"the random state of {name} was put back before each forward: a fixed mask is checked"


@each
def test_dropout_is_checked_under_a_fixed_mask(layer, name):
    report = check_layer(layer(), X)
    assert report.verdict is Verdict.MATCH, str(report)
    assert note(name) in report.notes
    assert report.summaries[0].judged == X.size


@each
def test_catches_a_mask_redrawn_in_the_backward(layer, name):
    def redraw(self):
        for part in getattr(self, "layers", [self]):
            part.mask = part.draw(part.mask.shape)

    class Redraws(layer):
        def backward(self, dout):
            redraw(self)
            return super().backward(dout)

    report = check_layer(Redraws(), X)
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert f"the backward draws from {name} too: those are other numbers than the forward drew" in str(report)


@each
def test_catches_a_scale_forgotten_in_the_backward(layer, name):
    class Forgets(layer):
        def backward(self, dout):
            return super().backward(dout) * KEEP

    assert check_layer(Forgets(), X).verdict is Verdict.MISMATCH


def global_states():
    return [
        repr(np.random.get_state()),  # noqa: NPY002  # is what is checked
        random.getstate(),
        GENERATOR.bit_generator.state,
        WithTheClassesGenerator.rng.bit_generator.state,
    ]


@each
def test_users_layer_and_generators_are_left_as_they_were(layer, name):
    mine = layer()
    twin = copy.deepcopy(mine)
    states = global_states()
    check_layer(mine, X)
    assert global_states() == states
    if vars(mine):
        assert np.array_equal(mine.forward(X), twin.forward(X))


def test_generators_of_functions_are_left_as_they_were():
    rng, twin = np.random.default_rng(6), np.random.default_rng(6)
    kept = {}

    def dropout(x):
        kept["mask"] = (rng.random(x.shape) < KEEP) / KEEP
        return x * kept["mask"]

    report = check_vjp(dropout, lambda dout: dout * kept["mask"], X)
    assert report.verdict is Verdict.MATCH, str(report)
    assert note("rng") in report.notes
    assert rng.random() == twin.random()


def dropout_with_cache(x, rng):
    mask = (rng.random(x.shape) < KEEP) / KEEP
    return x * mask, mask


def dropout_backward(dout, cache):
    return dout * cache


@pytest.mark.parametrize(
    "f",
    [
        functools.partial(dropout_with_cache, rng=np.random.default_rng(8)),
        lambda x, rng=np.random.default_rng(8): dropout_with_cache(x, rng),  # noqa: B008  # shared on purpose
        lambda x: dropout_with_cache(x, GENERATOR),
        lambda x: dropout_with_cache(x, np.random),
        lambda x: dropout_with_cache(x, np.random.mtrand),
    ],
    ids=["partial", "default", "global", "numpy", "module"],
)
def test_functions_are_checked_under_a_fixed_mask(f):
    report = check_vjp(f, dropout_backward, X)
    assert report.verdict is Verdict.MATCH, str(report)
    assert any("a fixed mask is checked" in line for line in report.notes)
    assert check_vjp(f, lambda dout, cache: dout * cache * KEEP, X).verdict is Verdict.MISMATCH


def test_generator_as_an_input_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"input 'rng' became an array of Python objects.*close over it"):
        check_vjp(dropout_with_cache, dropout_backward, X, np.random.default_rng(0))


def test_catches_a_mask_redrawn_by_the_backward_of_a_function():
    rng = np.random.default_rng(9)

    def f(x):
        return x * (rng.random(x.shape) < KEEP)

    report = check_vjp(f, lambda g, x: g * (rng.random(x.shape) < KEEP), X)
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert "the backward draws from rng too" in str(report)
    report = check_vjp(f, lambda x: 1.0 * (rng.random(x.shape) < KEEP), X)
    assert report.verdict is Verdict.MISMATCH, str(report)
    report = check_jvp(f, lambda t, x: t[0] * (rng.random(x.shape) < KEEP), X)
    assert report.verdict is Verdict.MISMATCH, str(report)


def test_loss_and_gradient_that_each_run_a_forward_have_one_mask():
    rng = np.random.default_rng(10)

    def mask(x):
        return (rng.random(x.shape) < KEEP) / KEEP

    def loss(x):
        return np.sum((x * mask(x)) ** 2)

    def grad(x):
        return 2 * x * mask(x) ** 2

    def redraws(x):
        hidden = x * mask(x)
        return 2 * hidden * mask(x)

    for check in (check_grad, check_vjp):
        report = check(loss, grad, X)
        assert report.verdict is Verdict.MATCH, str(report)
        assert note("rng") in report.notes
        assert check(loss, redraws, X).verdict is Verdict.MISMATCH


def test_model_whose_gradient_method_runs_a_forward_has_one_mask():
    class Model:
        def __init__(self):
            self.W, self.dropout = np.random.default_rng(3).normal(size=(5, 2)), Dropout(4)

        def loss(self, X, Y):
            return np.sum((self.dropout.forward(X) @ self.W - Y) ** 2)

        def gradients(self, X, Y):
            hidden = self.dropout.forward(X)
            return {"W": 2 * hidden.T @ (hidden @ self.W - Y)}

    class Redraws(Model):
        def gradients(self, X, Y):
            residual = self.dropout.forward(X) @ self.W - Y
            return {"W": 2 * self.dropout.forward(X).T @ residual}

    Y = np.ones((4, 2))
    report = check_layer(Model(), X, Y, wrt="W")
    assert report.verdict is Verdict.MATCH, str(report)
    assert note("dropout.rng") in report.notes
    assert check_layer(Redraws(), X, Y, wrt="W").verdict is Verdict.MISMATCH


def test_layer_that_seeds_itself_needs_nothing_put_back():
    class Seeded(Dropout):
        def __init__(self):
            self.seed = 3

        def draw(self, shape):
            return (np.random.default_rng(self.seed).random(shape) < KEEP) / KEEP

    report = check_layer(Seeded(), X)
    assert report.verdict is Verdict.MATCH
    assert not any("put back" in line for line in report.notes)


def test_weights_drawn_when_made_need_nothing_put_back():
    class Dense:
        def __init__(self):
            self.rng = np.random.default_rng(0)
            self.W = self.rng.normal(size=(5, 2))

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dout):
            self.dW = self.x.T @ dout
            return dout @ self.W.T

    report = check_layer(Dense(), X)
    assert report.verdict is Verdict.MATCH
    assert not any("put back" in line for line in report.notes)


class BatchNorm:
    """Training mode: running statistics change with every forward, the output does not."""

    def __init__(self):
        self.gamma, self.beta = np.array([1.0, 0.5, 2.0, -1.0, 0.3]), np.zeros(5)
        self.running_mean, self.running_var = np.zeros(5), np.ones(5)

    def forward(self, x):
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.running_mean = 0.9 * self.running_mean + 0.1 * mean
        self.running_var = 0.9 * self.running_var + 0.1 * var
        self.inverse = 1 / np.sqrt(var + 1e-5)
        self.normal = (x - mean) * self.inverse
        return self.gamma * self.normal + self.beta

    def backward(self, dout):
        self.dgamma, self.dbeta = (dout * self.normal).sum(axis=0), dout.sum(axis=0)
        inner = dout * self.gamma
        return self.inverse * (inner - inner.mean(axis=0) - self.normal * (inner * self.normal).mean(axis=0))


def test_running_statistics_are_legal():
    report = check_layer(BatchNorm(), X)
    assert report.verdict is Verdict.MATCH, str(report)
    assert [line.name for line in report.summaries] == ["x", "gamma", "beta"]


def test_catches_running_statistics_that_the_output_uses():
    class Renorm(BatchNorm):
        def forward(self, x):
            return super().forward(x) + self.running_mean

    report = check_layer(Renorm(), X)
    assert report.verdict is Verdict.CONTRACT, str(report)
    assert "two identical forward calls gave different results" in str(report)


class Warmup:
    """Its output grows with the number of calls: state that is none of random numbers."""

    def __init__(self):
        self.calls = 0
        self.part = self

    def forward(self, x):
        self.calls += 1
        return x * self.calls

    def backward(self, dout):
        return dout * self.calls

    def restart(self):
        self.calls = 0


def restart(layer):
    layer.calls = 0


def test_catches_an_output_that_changes_with_every_call_and_names_reset():
    report = check_layer(Warmup(), X)
    assert report.verdict is Verdict.CONTRACT
    with pytest.raises(ContractError, match=r"output\[\d, \d\] first \S+, then \S+; put back .* with reset="):
        report.raise_on_failure()


@pytest.mark.parametrize("kind", ["function", "method"])
def test_reset_puts_back_what_was_not_found(kind):
    layer = Warmup()
    layer.calls = 5
    reset = restart if kind == "function" else layer.restart
    report = check_layer(layer, X, reset=reset)
    assert report.verdict is Verdict.MATCH, str(report)
    assert layer.calls == 5

    class Wrong(Warmup):
        def backward(self, dout):
            self.calls += 1
            return super().backward(dout)

    layer = Wrong()
    report = check_layer(layer, X, reset=restart if kind == "function" else layer.restart)
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert f"x, reset={'restart'}, seed=0)" in report.reproduce


def test_reset_that_does_too_little_does_not_hide_the_rest():
    report = check_layer(Warmup(), X, reset=lambda layer: None)
    assert report.verdict is Verdict.CONTRACT


def test_reset_of_a_part_is_called_on_the_copys_part():
    class Outer(Warmup):
        def __init__(self):
            self.inner = Warmup()

        def forward(self, x):
            return self.inner.forward(x)

        def backward(self, dout):
            return self.inner.backward(dout)

    layer = Outer()
    assert check_layer(layer, X, reset=layer.inner.restart).verdict is Verdict.MATCH
    assert layer.inner.calls == 0


def test_reset_of_functions_is_called_before_each_forward():
    seen = []
    calls = [0]

    def f(x):
        calls[0] += 1
        return x * calls[0]

    def reset():
        seen.append(calls[0])
        calls[0] = 0

    assert check_vjp(f, lambda g, x: g * calls[0], X).verdict is Verdict.CONTRACT
    report = check_vjp(f, lambda g, x: g * calls[0], X, reset=reset)
    assert report.verdict is Verdict.MATCH, str(report)
    assert len(seen) == report.forward_calls
    assert check_jvp(f, lambda t, x: t[0] * calls[0], X, reset=reset).verdict is Verdict.MATCH
    assert check_grad(lambda x: np.sum(f(x)), lambda x: np.full(x.shape, 1.0), X, reset=reset).verdict is Verdict.MATCH
    case = Case.vjp("counted", f, lambda g, x: g * calls[0], X, reset=reset)
    assert case.run().verdict is Verdict.MATCH


def test_same_seed_same_report():
    one, two = check_layer(Network(), X, seed=3), check_layer(Network(), X, seed=3)
    assert [replace(r, seconds=0.0).to_json() for r in (one, two)] == [replace(one, seconds=0.0).to_json()] * 2


def test_checks_in_threads_do_not_disturb_each_others_generator():
    def once(seed):
        report = check_layer(WithTheModulesGenerator(), X, seed=seed)
        return replace(report, seconds=0.0).to_json()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(once, range(8))) == [once(seed) for seed in range(8)]
