"""Finding layers in modules, files and packages, and checking them all."""

import concurrent.futures
import sys
import textwrap
import types

import numpy as np
import pytest

from gradcheck.discover import check_module, find_cases, iter_reports
from gradcheck.errors import ArgumentError, TargetError
from gradcheck.report import Verdict

FUNCTIONS = """
    import numpy as np

    def relu(Z):
        return np.maximum(0, Z)

    def relu_backward(dA, Z):
        return np.where(Z > 0, dA, 0)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def sigmoid_prime(z):
        return z * (1 - z)  # z where the activation belongs

    def dsigmoid(y):
        return y * (1 - y)

    def leaky(x, alpha):
        return np.where(x > 0, x, alpha * x)

    def leaky_backward(dout, x, alpha):
        return dout * np.where(x > 0, 1, alpha)

    def prelu(x, alpha):
        return np.where(x > 0, x, alpha * x)

    def prelu_backward(dout, x, alpha):
        return dout * np.where(x > 0, 1, alpha), (dout * np.where(x > 0, 0, x)).sum()

    def affine_forward(x, w, b):
        return x @ w + b, (x, w, b)

    def affine_backward(dout, cache):
        x, w, b = cache
        return dout @ w.T, x.T @ dout, dout

    def linear(W, X, b):
        return W @ X + b

    def linear_backward(dZ, W, X, b):
        return dZ @ X.T, W.T @ dZ, dZ.sum(axis=1, keepdims=True)

    def mse(y_true, y_pred):
        return np.mean((y_true - y_pred) ** 2)

    def mse_prime(y_true, y_pred):
        return 2 * (y_pred - y_true) / y_true.size

    def scale_shift(x, w, b):
        return x * w + b

    def scale_shift_backward(dout, x, w, b):
        return dout * w, (dout * x).sum(0), dout  # not summed over the batch

    def mul(a, b):
        return a * b

    def mul_jvp(tangents, a, b):
        return tangents[0] * b + a * tangents[1]

    def cross_entropy(p, y):
        return -np.sum(y * np.log(p)) / len(y)

    def cross_entropy_grad(p, y):
        return -y / p / len(y)

    def conv_forward_naive(x, w, b, conv_param):
        return conv_param["stride"] * x @ w + b, (x, w)

    def conv_backward_naive(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ dout, dout.sum(0)
"""
CLASSES = """
    import numpy as np

    class Layer:
        def forward(self, x):
            raise NotImplementedError

        def backward(self, dout):
            raise NotImplementedError

    class Dense(Layer):
        def __init__(self, n_inputs, n_neurons):
            self.W, self.b = np.random.randn(n_inputs, n_neurons) * 0.01, np.zeros(n_neurons)

        def forward(self, X):
            self.X = X
            return X @ self.W + self.b

        def backward(self, dout):
            self.dW, self.db = self.X.T @ dout, dout.sum(0)
            return dout @ self.W.T

    class Transposed(Dense):
        def backward(self, dout):
            self.dW, self.db = 2 * self.X.T @ dout, dout.sum(0)
            return dout @ self.W.T

    class Embedding:
        def __init__(self, vocab_size, embedding_dim):
            self.W = np.random.randn(vocab_size, embedding_dim)

        def forward(self, idx):
            self.idx = idx
            return self.W[idx]

        def backward(self, dout):
            self.dW = np.zeros_like(self.W)
            np.add.at(self.dW, self.idx, dout)

    def bce_loss(A, Y):
        return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    class MLP:
        def __init__(self, sizes):
            self.layers = [Dense(n, m) for n, m in zip(sizes, sizes[1:])]

        def forward(self, X):
            self.H = np.tanh(self.layers[0].forward(X))
            self.A = 1 / (1 + np.exp(-self.layers[1].forward(self.H)))
            return self.A

        def backward(self, Y):
            d = self.layers[1].backward((self.A - Y) / Y.size)
            self.layers[0].backward(d * (1 - self.H**2))
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write Python files below a fresh folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))

    def write(name, text=""):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


def verdicts(report):
    return {single.name: single.verdict.value for single in report.reports}


def test_functions_are_paired_by_name_and_judged(write):
    report = check_module(write("functions.py", FUNCTIONS))
    assert verdicts(report) == {
        "relu_backward": "match",
        "sigmoid_prime": "mismatch",
        "dsigmoid": "match",
        "leaky_backward": "match",
        "prelu_backward": "match",
        "affine_backward": "contract",
        "linear_backward": "match",
        "mse_prime": "match",
        "scale_shift_backward": "contract",
        "mul_jvp": "match",
        "cross_entropy_grad": "match",
        "conv_backward_naive": "match",
    }
    assert report.verdict is Verdict.CONTRACT
    assert not report.ok


def test_classes_are_made_and_judged(write):
    report = check_module(write("classes.py", CLASSES))
    assert verdicts(report) == {
        "Dense": "match",
        "Transposed": "mismatch",
        "Embedding": "match",
        "MLP": "match",
    }
    mlp = report.reports[-1]
    assert [line.name for line in mlp.summaries] == [
        "layers[0].W",
        "layers[0].b",
        "layers[1].W",
        "layers[1].b",
    ]


UPDATING = """
    import numpy as np

    class Dense:
        def __init__(self, input_size, output_size):
            self.weights, self.bias = np.random.randn(output_size, input_size), np.random.randn(output_size, 1)

        def forward(self, input):
            self.input = input
            return self.weights @ self.input + self.bias

        def backward(self, output_gradient, learning_rate):
            self.weights -= learning_rate * output_gradient @ self.input.T
            self.bias -= learning_rate * output_gradient
            return self.weights.T @ output_gradient  # after the update

    class Softmax:
        def forward(self, input):
            e = np.exp(input)
            self.output = e / e.sum()
            return self.output

        def backward(self, output_gradient, learning_rate):
            n = self.output.size
            return (np.identity(n) - self.output.T) * self.output @ output_gradient
"""
CONTAINERS = """
    import numpy as np

    class Tanh:
        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, d):
            return d * (1 - self.y**2)

    class Sequential:
        def __init__(self, layers):
            self.layers = layers

        def forward(self, x):
            for layer in self.layers:
                x = layer.forward(x)
            return x

        def backward(self, d):
            for layer in self.layers:  # in the wrong order
                d = layer.backward(d)
            return d

    class Scale:
        def __init__(self, n_features):
            self.g = np.random.randn(n_features)

        def forward(self, x):
            self.x = x
            return x * self.g

        def backward(self, d):
            self.dg = (d * self.x).sum(0)
            return d * self.g
"""


def test_container_is_given_the_modules_own_layers(write):
    report = check_module(write("containers.py", CONTAINERS))
    assert verdicts(report) == {"Tanh": "match", "Sequential": "mismatch", "Scale": "match"}


def test_layers_that_update_at_once_are_judged_on_columns(write):
    report = check_module(write("updating.py", UPDATING))
    assert verdicts(report) == {"Dense": "mismatch", "Softmax": "match"}
    dense = {line.name: line.verdict.value for line in report.reports[0].summaries}
    assert dense == {"input": "mismatch", "weights": "match", "bias": "match"}


def test_own_cases_replace_guessing(write):
    text = """
        import numpy as np
        from gradcheck import Case

        def relu(x):
            return np.maximum(x, 0)

        def relu_backward(g, x):
            return g

        def gradcheck_cases():
            yield Case.vjp("square", np.square, lambda g, x: 2 * x * g, np.array([1.0, 2.0]))
            yield Case.vjp("square", np.square, lambda g, x: 3 * x * g, np.array([1.0, 2.0]))
    """
    assert verdicts(check_module(write("own.py", text))) == {"square": "match", "square (2)": "mismatch"}


def test_imported_layers_are_not_the_modules_own(write):
    write("functions_here.py", FUNCTIONS)
    path = write("other.py", "from functions_here import *")
    with pytest.raises(TargetError, match="no layer found in"):
        find_cases(path)


def test_package_covers_its_modules_but_not_what_is_marked(write):
    write("pack/__init__.py")
    write("pack/act.py", "def cube(x): return x**3\ndef cube_prime(x): return 3 * x**2")
    write("pack/deep/__init__.py")
    write("pack/deep/more.py", "def cube(x): return x**3\ndef cube_prime(x): return 3 * x")
    write("pack/bugs/__init__.py", "__gradcheck_skip__ = True")
    write("pack/bugs/wrong.py", "def cube(x): return x**3\ndef cube_prime(x): return x")
    write("pack/__main__.py", "raise SystemExit(3)")
    assert verdicts(check_module("pack")) == {"act.cube_prime": "match", "deep.more.cube_prime": "mismatch"}
    assert verdicts(check_module("pack.bugs")) == {"wrong.cube_prime": "mismatch"}
    assert verdicts(check_module("pack/act.py")) == {"cube_prime": "match"}
    assert verdicts(check_module("pack.act.cube")) == {"cube_prime": "match"}


def test_broken_part_of_a_package_is_inconclusive(write):
    write("parts/__init__.py")
    write("parts/a.py", "import surely_not_installed_package")
    write("parts/b.py", "def cube(x): return x**3\ndef cube_prime(x): return 3 * x**2")
    report = check_module("parts")
    assert verdicts(report) == {"a": "inconclusive", "b.cube_prime": "match"}
    assert "surely_not_installed_package" in report.reports[0].notes[0]


@pytest.mark.parametrize(
    ("member", "names"),
    [("relu", ["relu_backward"]), ("relu_backward", ["relu_backward"]), ("sigmoid", ["sigmoid_prime", "dsigmoid"])],
)  # fmt: skip
def test_member_names_a_function_or_its_derivative(write, member, names):
    path = write("functions.py", FUNCTIONS)
    found = [case.name for case in find_cases(f"{path}:{member}")]
    assert found == names or found == names[:1]


def test_member_names_a_class(write):
    path = write("classes.py", CLASSES)
    assert verdicts(check_module(f"{path}:Transposed")) == {"Transposed": "mismatch"}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("surely_no_such_module", "no module named 'surely_no_such_module'"),
        ("none.py", "there is no file"),
        ("classes.py:Nothing", "has no 'Nothing'; it has"),
        ("classes.py:bce_loss", "is no layer: no function is called like its derivative"),
        ("empty.py", "no layer found in empty.py: looked for gradcheck_cases"),
        ("broken.py", "raised ZeroDivisionError: division by zero"),
        ("script.py", "raised SystemExit: 1"),
        ("listing.py", "returned int; expected a list of gradcheck.Case"),
        ("strange.py", "expected gradcheck.Case objects"),
        (3, "target was int"),
        (":relu", "before the colon"),
    ],
)
def test_bad_target_says_what_was_tried(write, target, message):
    write("classes.py", CLASSES)
    write("empty.py", "x = 1")
    write("broken.py", "1 / 0")
    write("script.py", "raise SystemExit(1)")
    write("listing.py", "def gradcheck_cases(): return 3")
    write("strange.py", "def gradcheck_cases(): return ['relu']")
    with pytest.raises(TargetError) as caught:
        check_module(target)
    assert message in str(caught.value)


def test_layer_that_cannot_be_called_is_inconclusive_and_says_what_to_write(write):
    text = """
        def op(path):
            return open(path).read()

        def op_backward(g, path):
            return g
    """
    (report,) = check_module(write("odd.py", text)).reports
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "op(path) ran at none of" in report.notes[0]
    assert "define gradcheck_cases() in odd.py" in report.notes[0]


def test_raising_check_does_not_stop_the_others(write):
    text = """
        def cube(x): return x**3
        def cube_prime(x): return 3 * x**2
        def square(x): return x**2
        def square_backward(g, x): raise KeyError("boom")
    """
    report = check_module(write("raising.py", text))
    assert verdicts(report) == {"cube_prime": "match", "square_backward": "inconclusive"}
    assert report.reports[1].notes[0].startswith("KeyError: 'boom' (")
    assert report.reports[1].notes[0].endswith("in square_backward)")


class MapOnly:
    def map(self, function, items):
        return [function(item) for item in items]


@pytest.mark.parametrize("workers", [None, 1, 3, MapOnly(), concurrent.futures.ThreadPoolExecutor(2)])
def test_workers_do_not_change_the_reports(write, workers):
    path = write("functions.py", FUNCTIONS)
    alone = check_module(path)
    assert verdicts(check_module(path, workers=workers)) == verdicts(alone)


def test_options_pattern_and_callback(write):
    path = write("functions.py", FUNCTIONS)
    seen = []
    report = check_module(path, pattern="relu*", seed=5, mode="full", on_report=seen.append)
    assert [single.name for single in seen] == ["relu_backward"]
    assert report.reports[0].seed == 5
    assert next(iter_reports(path, pattern="mse")).name == "mse_prime"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": "many"}, ArgumentError, "workers was 'many'"),
        ({"workers": 0}, ArgumentError, "workers was 0"),
        ({"speed": 1}, ArgumentError, "unknown option 'speed'"),
        ({"mode": "slow"}, ArgumentError, "mode was 'slow'"),
        ({"pattern": "nothing"}, TargetError, "no check in"),
    ],
)
def test_bad_option_is_named(write, options, error, message):
    path = write("functions.py", FUNCTIONS)
    with pytest.raises(error, match=message):
        check_module(path, **options)


def test_module_object_and_global_random_state_are_left_alone():
    module = types.ModuleType("made_here")
    exec(textwrap.dedent(CLASSES), vars(module))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert [case.name for case in find_cases(module)] == ["Dense", "Transposed", "Embedding", "MLP"]
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


LOSSES = """
    import numpy as np

    def softmax_loss(x, y):
        z = x - x.max(axis=1, keepdims=True)
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        n = len(y)
        loss = -np.log(p[np.arange(n), y]).mean()
        p[np.arange(n), y] -= 1
        return loss, p / n

    def svm_loss(x, y):
        n = len(y)
        margins = np.maximum(0, x - x[np.arange(n), y][:, None] + 1)
        margins[np.arange(n), y] = 0
        d = (margins > 0).astype(float)
        d[np.arange(n), y] -= d.sum(axis=1)
        return margins.sum() / n, d  # the gradient of the sum

    def mse_loss(a, b):
        return ((a - b) ** 2).mean()
"""


def test_losses_that_return_their_gradient_are_judged(write):
    report = check_module(write("losses.py", LOSSES))
    assert verdicts(report) == {"softmax_loss": "match", "svm_loss": "mismatch"}
    assert 'gradcheck check "losses.py:svm_loss" --seed 0' not in str(report)  # the target was a path, not "losses.py"
    assert [case.name for case in find_cases("losses.py:svm_loss")] == ["svm_loss"]
    with pytest.raises(TargetError, match=r"mse_loss in losses\.py is no layer"):
        find_cases("losses.py:mse_loss")


def test_report_says_how_to_run_a_check_again(write):
    write("losses.py", LOSSES)
    (failed,) = (single for single in check_module("losses.py", seed=3).reports if not single.ok)
    assert failed.reproduce == 'gradcheck check "losses.py:svm_loss" --seed 3'


NORMALISER = """
    import numpy as np

    class Normaliser:
        def __init__(self, n):
            self.gamma = np.ones(n)
            self.beta = np.zeros(n)

        def forward(self, x):
            self.std = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
            self.xhat = (x - x.mean(axis=-1, keepdims=True)) / self.std
            return self.gamma * self.xhat + self.beta

        def backward(self, dout):
            self.dgamma, self.dbeta = (dout * self.xhat).sum(axis=0), dout.sum(axis=0)
            d = dout * self.gamma
            along = (d * self.xhat).mean(axis=-1, keepdims=True)
            return (d - d.mean(axis=-1, keepdims=True) - self.xhat * along) / self.std
"""


def test_parameters_that_are_ones_as_made_hide_nothing(write):
    assert verdicts(check_module(write("norm.py", NORMALISER))) == {"Normaliser": "match"}
    report = check_module(write("worse.py", NORMALISER.replace("dout * self.gamma", "dout")))
    assert verdicts(report) == {"Normaliser": "mismatch"}
    assert "it is the gradient for gamma = 1" in str(report)
