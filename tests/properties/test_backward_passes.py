"""Is every backward pass of the ports the derivative of its forward, at any shape, scale and seed?

Layer by layer (`PASSES`: one row for each backward function and class) and end to end (`Network`). A right gradient
may be called INCONCLUSIVE where no difference can tell, and never wrong.
"""

import importlib
import inspect
import pkgutil
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import partial, wraps

import numpy as np
import pytest
from hypothesis import event, find, given, settings
from hypothesis import strategies as st

import reference_impls
from gradcheck import Case, Verdict
from gradcheck.strategies import KINDS, ORDINARY, PROBABILITIES, layer_shapes, sample, seeds

ACCUSED = (Verdict.MISMATCH, Verdict.CONTRACT)
LAYERS, NETWORKS, IN_FLOAT32 = (settings(max_examples=int(part * settings().max_examples)) for part in (0.2, 0.1, 0.06))
"""There are many passes, so each gets a part of the profile's examples."""

PORTS = {
    info.name: importlib.import_module(f"reference_impls.{info.name}")
    for info in pkgutil.iter_modules(reference_impls.__path__)
    if not info.name.startswith("_") and not info.ispkg
}


@dataclass(frozen=True)
class Point:
    """Where a pass is checked: everything follows from these, and they are what a failing example prints."""

    shape: tuple[int, ...]
    """The batch size, then the widths."""
    inputs: str
    """The kind of what flows through the layer."""
    parameters: str
    """The kind of its parameters."""
    seed: int

    @property
    def batch(self):
        return self.shape[0]

    @property
    def rows(self):
        """The shape of row-major inputs."""
        return self.shape[:2]

    def input(self, name, *shape):
        return sample(shape or self.rows, self.inputs, self._seed(name))

    def parameter(self, name, *shape):
        return sample(shape, self.parameters, self._seed(name))

    def labels(self, *shape):
        return np.random.default_rng(self.seed).integers(0, 2, shape or self.rows)

    def _seed(self, name):
        return self.seed + 2**16 * zlib.crc32(name.encode())


def points(kinds=KINDS, parameters=KINDS, max_widths=2):
    shapes = layer_shapes(min_widths=2, max_widths=max_widths)
    return st.builds(Point, shapes, st.sampled_from(kinds), st.sampled_from(parameters), seeds())


# ---------------------------------------------------------------------- what a row of the table says


@dataclass(frozen=True)
class Pass:
    """A backward with its forward (names in the port), the way to check it, and the kinds of inputs it is made for."""

    forward: str
    backward: str
    case: object
    """``case(forward, backward, point) -> Case``."""
    kinds: tuple[str, ...] = KINDS
    parameters: tuple[str, ...] = KINDS


def from_cotangent_and_input(f, backward, point):
    return Case.vjp("", f, backward, point.input("z"))


def from_cotangent_and_output(f, backward, point):
    return Case.vjp("", f, lambda g, z: backward(g, f(z)), point.input("z"))


def elementwise(f, derivative, point):
    return Case.vjp("", f, lambda g, z: g * derivative(z), point.input("z"))


def elementwise_with_label(f, derivative, point):
    y = point.labels()
    return Case.vjp("", lambda z: f(z, y), lambda g, z: g * derivative(z, y), point.input("z"))


def loss_with_labels(f, gradient, point):
    y = point.labels()
    return Case.grad("", lambda z: f(z, y), lambda z: gradient(z, y), point.input("z"))


def loss_with_labels_first(f, gradient, point):
    return loss_with_labels(lambda z, y: f(y, z), lambda z, y: gradient(y, z), point)


def loss_with_real_targets(f, gradient, point):
    y = point.parameter("targets", *point.rows)
    return Case.grad("", lambda z: f(z, y), lambda z: gradient(z, y), point.input("z"))


def affine(f, backward, point):
    batch, features_in, features_out = point.shape
    W, b = point.parameter("W", features_in, features_out), point.parameter("b", 1, features_out)
    return Case.vjp("", f, lambda g, x, W, b: backward(g, x, W), point.input("x", batch, features_in), W, b)


def affine_by_example(f, backward, point):
    """The gradients of a stack of examples are a stack: their sum is the gradient of what the examples share."""
    batch, features_in, features_out = point.shape
    W, b = point.parameter("W", features_in, features_out), point.parameter("b", 1, features_out)

    def gradients(g, x, W, b):
        dx, dW, db = backward(g, x, W)
        return dx, dW.sum(axis=0), db.sum(axis=0)

    return Case.vjp("", f, gradients, point.input("x", batch, 1, features_in), W, b)


def affine_without_bias(f, backward, point):
    batch, features_in, features_out = point.shape
    W = point.parameter("W", features_in, features_out)
    return Case.vjp("", f, backward, point.input("x", batch, features_in), W)


def one_example(forward, backprop, point):
    _, features, hidden = point.shape
    widths = (features, hidden, 1)
    parameters = {}
    for layer in (1, 2):
        parameters[f"W{layer}"] = point.parameter(f"W{layer}", *widths[layer - 1 : layer + 1])
        parameters[f"b{layer}"] = point.parameter(f"b{layer}", 1, widths[layer])
    x, y = point.input("x", 1, features), point.labels(1, 1)
    loss = PORTS["per_sample_sgd"].logit_cross_entropy
    return Case.grad(
        "",
        lambda p: loss(forward(x, p).pre_activations[-1], y).item(),
        lambda p: backprop(forward(x, p), y, p),
        parameters,
    )


def hidden_pre_activation(forward, backward, point):
    """What the loss of a two-layer network says of the first layer's pre-activation, here the bias of zero inputs."""
    batch, features, hidden = point.shape
    W = {"1": np.zeros((features, 1)), "2": point.parameter("W", hidden, features)}
    y = point.labels(hidden, batch)

    def layers(z):
        return forward(np.zeros((1, batch)), W, {"1": z, "2": point.parameter("b", hidden, 1)})[1]

    cost = PORTS["column_major"].cost
    return Case.grad(
        "",
        lambda z: cost(y, layers(z)["2"]),
        lambda z: backward(y, layers(z), W)["1"],
        point.input("z", features, batch),
    )


def affine_in_columns(forward, gradients, point):
    batch, features_in, features_out = point.shape
    X = point.input("X", features_in, batch)

    def backward(g, W, b):
        dW, db = gradients({"1": g}, {"0": X})
        return dW["1"], db["1"]

    W, b = point.parameter("W", features_out, features_in), point.parameter("b", features_out, 1)
    return Case.vjp("", lambda W, b: forward(X, {"1": W}, {"1": b})[1]["1"], backward, W, b)


def layer_object(layer_class, _, point):
    batch, features_in, features_out = point.shape
    layer = layer_class(features_in, features_out)
    layer.W, layer.b = point.parameter("W", *layer.W.shape), point.parameter("b", *layer.b.shape)
    return Case.layer("", layer, point.input("X", batch, features_in))


def model_object(model_class, _, point):
    batch, features_in, hidden = point.shape
    model = model_class(features_in, hidden, 2)
    for i, layer in enumerate(model.layers):
        # small, because the loss of the probabilities is clipped where they saturate and the model's gradient is not
        layer.W = 0.2 * point.parameter(f"W{i}", *layer.W.shape)
        layer.b = 0.2 * point.parameter(f"b{i}", *layer.b.shape)
    X, y = point.input("X", batch, features_in), point.labels(batch, 2)
    return Case.layer("", model, X, targets=y, loss=PORTS["class_based"].bce_loss)


# ---------------------------------------------------------------------- the table

WELL_BESIDE_THE_CLIP = (*PROBABILITIES, "saturated", "huge")
"""Not 0 and 1: they lie 1e-9 from a corner between the slopes 0 and 1e9, where no difference can tell."""

PASSES = {
    "row_major": [
        Pass("relu", "relu_backward", from_cotangent_and_input),
        Pass("sigmoid", "sigmoid_backward", from_cotangent_and_output),
        Pass("linear", "linear_backward", affine),
        Pass("bce_loss", "bce_loss_backward", loss_with_labels, PROBABILITIES),
        Pass("sigmoid_bce_loss", "sigmoid_bce_loss_backward", loss_with_labels),
    ],
    "parity": [
        Pass("sigmoid", "delta_sigmoid", elementwise),
        Pass("sigmoid", "sigmoid_backward", from_cotangent_and_input),
        Pass("linear", "linear_backward", affine_without_bias),
        Pass("squared_error", "squared_error_backward", loss_with_real_targets),
    ],
    "per_sample_sgd": [
        Pass("relu", "relu_derivative", elementwise),
        Pass("sigmoid", "sigmoid_derivative", elementwise),
        Pass("linear", "linear_backward", affine_by_example),
        Pass("binary_cross_entropy", "binary_cross_entropy_derivative", elementwise_with_label, PROBABILITIES),
        Pass("logit_cross_entropy", "logit_cross_entropy_derivative", elementwise_with_label),
        Pass("forward", "backprop", one_example),
    ],
    "class_based": [
        Pass("relu", "relu_backward", from_cotangent_and_input),
        Pass("sigmoid", "sigmoid_backward", from_cotangent_and_input),
        Pass("bce_loss", "bce_loss_backward", loss_with_labels, WELL_BESIDE_THE_CLIP),
        Pass("sigmoid_bce_loss", "sigmoid_bce_loss_backward", loss_with_labels),
        Pass("LinearLayer", "LinearLayer", layer_object),
        Pass("MLP", "MLP", model_object, ORDINARY, ORDINARY),
    ],
    "column_major": [
        Pass("relu", "relu_backward", from_cotangent_and_input),
        Pass("sigmoid", "sigmoid_backward", from_cotangent_and_input),
        Pass("cost", "cost_backward", loss_with_labels_first),
        Pass("forward", "backward", hidden_pre_activation),
        Pass("forward", "parameter_gradients", affine_in_columns),
    ],
}
ROWS = {f"{port}.{row.backward}": (port, row) for port, rows in PASSES.items() for row in rows}
NOTHING_TO_DERIVE = {"column_major": {"initialize_parameters"}}


def points_of(name):
    """Return a strategy for points at which a row is to be right."""
    return points(ROWS[name][1].kinds, ROWS[name][1].parameters)


def case_of(name, point):
    """Return the check of one row at a point; functions are looked up now, so that a planted fault is met."""
    port, row = ROWS[name]
    module = PORTS[port]
    return row.case(getattr(module, row.forward), getattr(module, row.backward), point)


def in_rows(network, X, Y):
    """Return row-major examples in the layout that a network wants."""
    n, features = len(X) + X.shape[1], X.shape[1]  # not square, so that only one layout fits
    try:
        network.forward(np.zeros((n, features)))
    except ValueError:
        return X.T, Y.T
    return X, Y


def network_case(port, point, dtype=np.float64):
    batch, *sizes = point.shape
    network = PORTS[port].Network(sizes, dtype=dtype)
    parameters = {name: point.parameter(name, *array.shape).astype(dtype) for name, array in network.parameters.items()}
    X, Y = in_rows(network, point.input("X", batch, sizes[0]), point.labels(batch, sizes[-1]))
    return Case.grad(
        f"{port}.Network",
        lambda p: network.at(p).loss(X, Y),
        lambda p: network.at(p).gradients(X, Y),
        parameters,
    )


def confirm(case, seed):
    """Run a check of a right gradient, which must not be accused."""
    report = case.run(seed=seed)
    assert report.verdict not in ACCUSED, str(report)
    return report


# ---------------------------------------------------------------------- the properties


@pytest.mark.parametrize("name", ROWS)
@LAYERS
@given(data=st.data())
def test_layer_by_layer(name, data):
    point = data.draw(points_of(name))
    event(str(confirm(case_of(name, point), point.seed).verdict))


@pytest.mark.parametrize("port", PORTS)
@NETWORKS
@given(point=points(max_widths=4))
def test_end_to_end(port, point):
    event(str(confirm(network_case(port, point), point.seed).verdict))


WERE_ACCUSED = [
    ("per_sample_sgd", Point((2, 3, 1, 1), "tiny", "some zeros", 26)),  # kinks that cancel along every entry
    ("per_sample_sgd", Point((2, 3, 1, 1), "integers", "some zeros", 26)),
    ("class_based", Point((3, 3, 4, 6, 1), "mixed", "mixed", 7543)),  # a bias of 6e-6 beside a loss of 1e15
    ("class_based.MLP", Point((3, 6, 3), "integers", "integers", 53188)),  # pre-activations of 5e-17 on either side
    ("column_major.backward", Point((5, 3, 1), "zeros", "ones", 2007)),  # 15 kinks that bend both ways
]


@pytest.mark.parametrize(("subject", "point"), WERE_ACCUSED)
def test_points_at_which_right_gradients_once_were_accused(subject, point):
    case = network_case(subject, point) if subject in PORTS else case_of(subject, point)
    for seed in (point.seed, 0, 1):
        confirm(case, seed)


@pytest.mark.parametrize("port", PORTS)
@IN_FLOAT32
@given(point=points(ORDINARY, ORDINARY, max_widths=4))
def test_end_to_end_in_float32(port, point):
    event(str(confirm(network_case(port, point, np.float32), point.seed).verdict))


def test_hardly_any_is_inconclusive_at_ordinary_scales():
    verdicts = Counter()
    subjects = [*ROWS, *PORTS]
    undecided = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        subject = subjects[seed % len(subjects)]
        kinds = ROWS[subject][1].kinds if subject in ROWS else ORDINARY
        usual = [kind for kind in kinds if kind in (*ORDINARY, *PROBABILITIES[:2])]
        widths = rng.integers(1, 7, 2 if subject in ROWS else rng.integers(2, 5))
        shape = (int(rng.integers(1, 9)), *map(int, widths))
        point = Point(shape, str(rng.choice(usual)), str(rng.choice(ORDINARY)), seed)
        case = case_of(subject, point) if subject in ROWS else network_case(subject, point)
        report = confirm(case, seed)
        verdicts[report.verdict] += 1
        if report.verdict is Verdict.INCONCLUSIVE:
            undecided.append(f"{subject} at {point}: {report}")
    assert verdicts[Verdict.INCONCLUSIVE] <= 3, "\n".join(undecided)  # 1 in 100
    assert verdicts[Verdict.MATCH] >= 200, verdicts  # the kinks do not make up the bulk


# ---------------------------------------------------------------------- nothing is left out


@pytest.mark.parametrize("port", PORTS)
def test_every_public_name_of_a_port_is_checked(port):
    rows = PASSES.get(port, [])
    covered = {"Network", *NOTHING_TO_DERIVE.get(port, ()), *(n for row in rows for n in (row.forward, row.backward))}
    missing = set(PORTS[port].__all__) - covered
    assert not missing, f"add a row for {sorted(missing)} to PASSES[{port!r}]"


# ---------------------------------------------------------------------- each property fails on a wrong twin


def scaled(result):
    """Return gradients, in whatever structure, a thousandth too large."""
    if isinstance(result, dict):
        return {name: scaled(value) for name, value in result.items()}
    if isinstance(result, tuple):
        return tuple(map(scaled, result))
    return 1.001 * result


def scaled_twin(backward):
    """Return a backward like the one given, whose gradients are a thousandth too large."""
    if not inspect.isclass(backward):
        return lambda *args: scaled(backward(*args))

    @wraps(backward.backward)  # what it takes is told by the parameter's name
    def wrong_backward(self, given):
        result = backward.backward(self, given)
        for layer in getattr(self, "layers", [self]):
            layer.dW = scaled(layer.dW)
        return result

    return type(backward.__name__, (backward,), {"backward": wrong_backward})


def smallest_failure(strategy, case):
    """Return the point that Hypothesis would print for a wrong gradient."""

    def fails(point):
        try:
            confirm(case(point), point.seed)
        except AssertionError:
            return True
        return False

    quiet = settings(deadline=None, database=None, derandomize=True, max_examples=300)
    return find(strategy, fails, settings=quiet)


def assert_small(point):
    """Require a point that can be checked by hand; some gradients are 0 where everything is 1 and the label is 0."""
    assert point.shape == (1, 1, 1), point
    assert point.inputs in ("ones", "half"), point
    assert point.parameters in ("ones", "integers"), point
    assert point.seed <= 3, point


@pytest.mark.parametrize("name", ROWS)
def test_layer_by_layer_catches_a_thousandth_and_shrinks_to_one_number(name, monkeypatch):
    port, row = ROWS[name]
    monkeypatch.setattr(PORTS[port], row.backward, scaled_twin(getattr(PORTS[port], row.backward)))
    found = smallest_failure(points_of(name), partial(case_of, name))
    assert_small(found)
    assert found.inputs == row.kinds[0]


@pytest.mark.parametrize("port", PORTS)
def test_end_to_end_catches_a_thousandth_and_shrinks_to_one_number(port, monkeypatch):
    network = PORTS[port].Network
    right = network.gradients
    monkeypatch.setattr(network, "gradients", lambda self, X, Y: scaled(right(self, X, Y)))
    found = smallest_failure(points(max_widths=4), partial(network_case, port))
    assert_small(found)


@pytest.mark.parametrize("port", PORTS)
def test_end_to_end_in_float32_catches_a_thousandth(port, monkeypatch):
    network = PORTS[port].Network
    right = network.gradients

    def gradients(self, X, Y):
        return {name: value.astype(self.dtype) for name, value in scaled(right(self, X, Y)).items()}

    monkeypatch.setattr(network, "gradients", gradients)
    found = smallest_failure(points(ORDINARY, ORDINARY), partial(network_case, port, dtype=np.float32))
    assert_small(found)


USUAL_MISTAKES = {
    "every input let through": ("row_major.relu_backward", lambda da, z: da, (1, 1, 1)),
    "z for a": ("parity.sigmoid_backward", lambda g, z: g * z * (1 - z), (1, 1, 1)),
    "bias not summed": ("row_major.linear_backward", lambda g, a, W: (g @ W.T, a.T @ g, g), (2, 1, 1)),
    "W not transposed": (
        "parity.linear_backward",
        lambda g, x, W: (g @ (W if W.shape[0] == W.shape[1] else W.T), x.T @ g),  # elsewhere numpy would notice
        (1, 2, 2),
    ),
    "mean over the rows alone": (
        "class_based.bce_loss_backward",
        lambda A, Y: ((1 - Y) / (1 - A) - Y / A) / len(A),
        (1, 2, 1),
    ),
    "loss in the gradient": (
        "row_major.bce_loss_backward",
        lambda a, y: (1 - y) / (1 - a) * PORTS["row_major"].bce_loss(a, y) - y / a,
        (1, 1, 1),
    ),
}
"""The row, the backward with the mistake, and the smallest shape at which it shows."""


@pytest.mark.parametrize("mistake", USUAL_MISTAKES)
def test_usual_mistake_is_caught_and_shrinks_to_the_smallest_shape(mistake, monkeypatch):
    name, wrong, shape = USUAL_MISTAKES[mistake]
    port, row = ROWS[name]
    monkeypatch.setattr(PORTS[port], row.backward, wrong)
    found = smallest_failure(points_of(name), partial(case_of, name))
    assert found.shape == shape, found
