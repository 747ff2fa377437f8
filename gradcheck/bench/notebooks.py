"""What became of each notebook? Its steps as written and corrected, and whether both lose alike from one start."""
# ruff: noqa: N806  # matrices are capitals, as in the notebooks

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradcheck.bench import steps
from gradcheck.bench.facts import Curve, Notebook
from gradcheck.bench.measure import Problem
from gradcheck.bench.steps import RATE, Start, Step
from reference_impls import class_based, column_major, kernels, parity, per_sample_sgd, row_major
from reference_impls.notebooks import class_based as class_based_notebook
from reference_impls.notebooks import column_major as column_major_notebook
from reference_impls.notebooks import parity as parity_notebook
from reference_impls.notebooks import per_sample_sgd as per_sample_notebook
from reference_impls.notebooks import row_major as row_major_notebook
from reference_impls.notebooks._global_state import seeded

__all__ = ["NOTEBOOKS", "notebook", "problems"]

OWN = "its own data"
PROFILED = "256-784-128"
LARGEST = "1024-1024-1024"
"""Of parity: the other styles show what becomes of products."""
POINTS = 200
"""Of a curve that are kept."""
KERNELS = str(Path(kernels.__file__).parent)


class Training(NamedTuple):
    """A loss before each step, as written and by the port, from the same start."""

    written: list[Any]
    port: list[Any]
    printed: Mapping[int, float]


def _started(network: Any, **initial: Any) -> Any:
    """Write initial parameters into a network's own."""
    for name, values in initial.items():
        network.parameters[name][...] = values
    return network


def _row_major() -> Training:
    losses, _ = row_major_notebook.train(seed=1)
    with seeded(1):
        W1, b1, W2, b2 = row_major_notebook.initial_parameters()
    network = _started(row_major.Network([3, 4, 1]), W1=W1, b1=b1, W2=W2, b2=b2)
    port = network.fit(row_major_notebook.X, row_major_notebook.y, epochs=len(losses), learning_rate=0.03)
    return Training(losses, port, dict(enumerate(row_major_notebook.PRINTED_LOSSES)))


def _parity() -> Training:
    X, Y = parity_notebook.X, parity_notebook.Y
    with seeded(0):
        Whidden, Woutput = parity_notebook.initial_parameters()
    network = _started(parity.Network([2, 2, 1]), Whidden1=Whidden, Woutput=Woutput)
    written = []
    for _ in range(10_000):
        hidden, activation, output = parity_notebook.forward(X, Whidden, Woutput)
        written.append(float(np.mean(parity_notebook.loss(output, Y))))
        gradients = parity_notebook.backward(X, Y, hidden, activation, output, Woutput)
        Woutput -= gradients["Woutput"] * 0.1
        Whidden -= gradients["Whidden"] * 0.1
    port = network.fit(X, Y, epochs=len(written), learning_rate=0.1)
    return Training(written, [loss / Y.size for loss in port], parity_notebook.PRINTED_LOSSES)


def _per_sample() -> Training:
    X, Y = per_sample_notebook.x_train, per_sample_notebook.y_train
    with seeded(0):
        state = per_sample_notebook.initial_parameters()
    names = ("W1", "W2", "b1", "b2")
    network = _started(per_sample_sgd.Network([2, 3, 1]), **dict(zip(names, state, strict=True)))
    judge, written = per_sample_sgd.Network([2, 3, 1]), []
    for _ in range(500):
        written.append(float(_started(judge, **dict(zip(names, state, strict=True))).loss(X, Y)))
        for x, y in zip(X, Y, strict=True):
            yhat = per_sample_notebook.forward(x, *state)
            state = per_sample_notebook.backprop(x, *state, y, yhat, alpha=0.1)
    return Training(written, network.fit(X, Y, epochs=len(written), learning_rate=0.1), {})


def _class_based() -> Training:
    with seeded(4):
        model = class_based_notebook.MLP(n_inputs=3, n_hidden=4, n_outputs=1)
    network = class_based.Network([3, 4, 1])
    for layer in ("layer1", "layer2"):
        _started(network, **{f"{layer}.{name}": getattr(getattr(model, layer), name) for name in "Wb"})
    X, Y = class_based_notebook.X, class_based_notebook.Y
    written = class_based_notebook.train(model, X, Y)
    port = network.fit(X, Y, epochs=len(written), learning_rate=0.1)
    printed = {epoch - 1: loss for epoch, loss in class_based_notebook.PRINTED_LOSSES.items()}
    return Training(written, port, printed)


def _column_major() -> Training:
    task, printed = column_major_notebook.TASKS["XOR"], column_major_notebook.PRINTED_COSTS["XOR"]
    X, Y, tenth = np.array(task["X"]), np.array(task["Y"]), task["epochs"] // 10
    W, b = column_major_notebook.initialize_parameters(task["shape"], seed=task["seed"])
    network = _started(column_major.Network(task["shape"]), W1=W["1"], b1=b["1"], W2=W["2"], b2=b["2"])
    written = []
    for _ in range(tenth + 1):
        YHat, Z, A = column_major_notebook.forward(X, W, b)
        written.append(float(column_major_notebook.cost(Y, YHat)))
        dZ = column_major_notebook.backward(Y, A, Z, W)
        W, b, *_ = column_major_notebook.update_parameters(dZ, A, W, b, 1)
    return Training(written, network.fit(X, Y, epochs=tenth + 1, learning_rate=1), {0: printed[0], tenth: printed[1]})


def _parity_port(p: Start) -> Step:
    network = parity.Network([*p.W1.shape, 1], dtype=p.W1.dtype)
    _started(network, Whidden1=p.W1, Woutput=p.W2)
    return Step(lambda: network.step(p.X, p.Y, RATE))


def _parity_as_written(p: Start) -> Step:
    Whidden, _, Woutput, _ = p.parameters

    def call() -> None:
        gradients = parity_notebook.backward(p.X, p.Y, *parity_notebook.forward(p.X, Whidden, Woutput), Woutput)
        np.subtract(Woutput, gradients["Woutput"] * RATE, out=Woutput)
        np.subtract(Whidden, gradients["Whidden"] * RATE, out=Whidden)

    return Step(call)


class Subject(NamedTuple):
    """What is known of a notebook beforehand."""

    says: str
    compared: str
    train: Callable[[], Training]
    X: Any
    """The notebook's own examples, row-major."""
    Y: Any
    hidden: int
    as_written: Callable[[Start], Step | None]
    port: Callable[[Start], Step]


EXACT = "The port does what the notebook does: from the same start it loses alike."
NOTEBOOKS = {
    "row-major": Subject(
        "Rows are examples; ReLU, sigmoid and the summed cross-entropy, four examples at once, 3-4-1.",
        "Three of the notebook's gradients are wrong (the loss as a factor, two biases summed wrongly): the right ones"
        " of the port take another path from the same start. The notebook's own run was not seeded. Its code"
        " needs as many examples as hidden units.",
        _row_major,
        row_major_notebook.X,
        row_major_notebook.y,
        4,
        steps.row_major_as_written,
        steps.in_row_major,
    ),
    "parity": Subject(
        "Sigmoid layers without biases under the squared error, 2-2-1, on exclusive or.",
        EXACT,
        _parity,
        parity_notebook.X,
        parity_notebook.Y,
        2,
        _parity_as_written,
        _parity_port,
    ),
    "per-sample": Subject(
        "One example after the other, the weights updated after each, 2-3-1.",
        EXACT + " Losses are in nats; the notebook's own are in bits, its gradients are not.",
        _per_sample,
        per_sample_notebook.x_train[:, 0],
        per_sample_notebook.y_train[:, np.newaxis],
        3,
        steps.per_sample_as_written,
        steps.by_sample,
    ),
    "class-based": Subject(
        "Layers are objects; ReLU, sigmoid and the mean cross-entropy, ten examples at once, 3-4-1.",
        EXACT + " The notebook clips its probabilities, which the port need not. Its own run was not seeded.",
        _class_based,
        class_based_notebook.X,
        class_based_notebook.Y,
        4,
        steps.class_based_as_written,
        steps.in_classes,
    ),
    "column-major": Subject(
        "Columns are examples; ReLU, sigmoid and the mean cross-entropy, 2-3-1, on exclusive or.",
        EXACT + " The first tenth of the notebook's run is shown.",
        _column_major,
        np.array(column_major_notebook.TASKS["XOR"]["X"]).T,
        np.array(column_major_notebook.TASKS["XOR"]["Y"]).T,
        3,
        steps.column_major_as_written,
        steps.in_column_major,
    ),
}


def _own_start(subject: Subject) -> Start:
    rng = np.random.default_rng(0)
    inputs = subject.X.shape[1]
    X, Y = np.ascontiguousarray(subject.X, float), np.ascontiguousarray(subject.Y, float)
    W1, W2 = rng.normal(size=(inputs, subject.hidden)), rng.normal(size=(subject.hidden, 1))
    return Start(X, Y, W1, np.zeros((1, subject.hidden)), W2, np.zeros((1, 1)))


def problems() -> list[Problem]:
    """Return steps on the notebooks' own data, and parity's at the sizes that the other styles have in `steps`."""

    def make(subject: Subject, size: str | None) -> dict[str, Callable[[], object]]:
        start = _own_start(subject) if size is None else Start.of(size, "float64")
        written = subject.as_written(start)
        made = {"products": steps.products(start), "port": subject.port(start)}
        if written is not None:
            made["as written"] = written
        return {who: step.call for who, step in made.items()}

    asked: list[tuple[str, str | None]] = [(name, None) for name in NOTEBOOKS]
    asked += [("parity", size) for size in steps.SIZES if size != LARGEST]
    return [
        Problem(
            "notebooks",
            f"{name}, {size or OWN}",
            partial(make, NOTEBOOKS[name], size),
            "products",
            ("port",),
            work={"notebook": name, "size": size or OWN, "dtype": "float64"},
        )
        for name, size in asked
    ]


def notebook(name: str) -> Notebook:
    """Train a notebook's network twice, as written and by the port, and profile a step of the port."""
    subject = NOTEBOOKS[name]
    training = subject.train()
    return Notebook(
        name,
        subject.says,
        subject.compared,
        _curve(enumerate(training.written)),
        _curve(enumerate(training.port)),
        _curve(training.printed.items()),
        max(abs(b / a - 1) for a, b in zip(training.written, map(float, training.port), strict=True)),
        profile(subject.port(Start.of(PROFILED, "float64")).call),
    )


def _curve(points: Iterable[tuple[int, Any]]) -> Curve:
    """Keep some `POINTS` of them, closer together at the beginning, where more happens."""
    all_points = sorted((step, float(loss)) for step, loss in points)
    if len(all_points) > POINTS:
        which = np.unique(np.geomspace(1, len(all_points), POINTS).astype(int) - 1)
        all_points = [all_points[k] for k in which]
    return Curve(tuple(step for step, _ in all_points), tuple(loss for _, loss in all_points))


def profile(call: Callable[[], object], times: int = 20) -> dict[str, float]:
    """Return the parts of a call's time: in matrix products, in each kernel beside these, and in all else.

    Examples
    --------
    >>> a = np.ones((50, 50))
    >>> shares = profile(lambda: kernels.relu(a.dot(a)))
    >>> sorted(shares)
    ['blocks and buffers', 'matrix products', 'relu', 'the network around them']
    >>> round(sum(shares.values()), 12)
    1.0
    """
    call()
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(times):
        call()
    profiler.disable()
    own: dict[str, float] = {"matrix products": 0.0}
    stats: Mapping[Any, Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]  # typeshed does not know it
    for (file, _, function), (_, _, taken, _, callers) in stats.items():
        if "'dot'" in function:
            own["matrix products"] += taken
        elif file == "~":  # a function of C counts as its callers' own
            for (file_of_caller, _, caller), (*_, taken_there, _) in callers.items():
                part = _part(file_of_caller, caller)
                own[part] = own.get(part, 0.0) + taken_there
        else:
            part = _part(file, function)
            own[part] = own.get(part, 0.0) + taken
    total = sum(own.values())
    return {part: taken / total for part, taken in sorted(own.items(), key=lambda item: -item[1])}


def _part(file: str, function: str) -> str:
    if not file.startswith(KERNELS):
        return "the network around them"
    return "blocks and buffers" if file.endswith("_blocks.py") else function.strip("_")
