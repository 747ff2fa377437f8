"""Does a check say the same whoever evaluates, bit for bit? And when workers err, die, or cannot be sent the layer?"""

from __future__ import annotations

import functools
import math
import os
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from gradcheck import ArgumentError, Verdict, check_grad, check_jvp, check_layer, check_module, check_vjp, looks
from gradcheck.workers import Crew, _lent, require_workers
from tests import sendable

rng = np.random.default_rng(3)
X, W, b = rng.normal(size=(5, 6)), rng.normal(size=(6, 12)), rng.normal(size=12)
x = rng.normal(size=200)
with_kinks = np.where(np.arange(200) % 3, x, 0.0)
on_kink = X.copy()
on_kink[2] = 0.0
single = [array.astype(np.float32) for array in (X, W)]
paired = [array + 1j * rng.normal(size=array.shape) for array in (X, W)]

CHECKS = {
    "right": (check_vjp, (sendable.tanh_layer, sendable.tanh_layer_backward, X, W), {}, "match"),
    "a matrix": (
        check_vjp,
        (sendable.tanh_layer, sendable.tanh_layer_backward, x[:60].reshape(2, 30), x.reshape(-1, 4)[:30]),
        {},
        "match",
    ),
    "one entry wrong": (
        check_vjp,
        (sendable.tanh_layer, sendable.tanh_layer_backward_one_entry_wrong, X, W),
        {},
        "mismatch",
    ),
    "all wrong": (check_vjp, (sendable.tanh_layer, sendable.tanh_layer_backward_all_wrong, X, W), {}, "mismatch"),
    "affine": (check_vjp, (sendable.dense, sendable.dense_backward, X, W, b), {}, "match"),
    "on kinks": (check_vjp, (sendable.relu_layer, sendable.relu_layer_backward, on_kink, W), {}, "kink"),
    "float32": (check_vjp, (sendable.tanh_layer, sendable.tanh_layer_backward, *single), {}, "match"),
    "complex": (check_vjp, (sendable.complex_dense, sendable.complex_dense_backward, *paired), {}, "match"),
    "columns share": (check_vjp, (sendable.batch_norm, sendable.batch_norm_backward, W, b), {}, "match"),
    "a pattern": (check_vjp, (sendable.convolution, sendable.convolution_backward, x[:60], b[:3]), {}, "match"),
    "a declared pattern": (
        check_vjp,
        (sendable.scattered, sendable.scattered_backward, x),
        {"pattern": {"x": sendable.SCATTERED}},
        "match",
    ),
    "a declared pattern, one entry wrong": (
        check_vjp,
        (sendable.scattered, sendable.scattered_backward_one_entry_wrong, x),
        {"pattern": {"x": sendable.SCATTERED}},
        "mismatch",
    ),
    "a wrong pattern": (
        check_vjp,
        (sendable.scattered, sendable.scattered_backward, x),
        {"pattern": {"x": sendable.SCATTERED.T}},
        "match",
    ),
    "fools the structure": (check_vjp, (sendable.coupled, sendable.coupled_backward, 0.1 * x[:40]), {}, "match"),
    "a pushforward": (check_jvp, (sendable.tanh_layer, sendable.tanh_layer_forward, X, W), {}, "match"),
    "a loss": (check_grad, (sendable.loss, sendable.loss_gradient, x), {}, "match"),
    "a loss, one entry wrong": (check_grad, (sendable.loss, sendable.loss_gradient_wrong, x), {}, "mismatch"),
    "a loss on kinks": (check_grad, (sendable.shrink, sendable.shrink_gradient, with_kinks), {}, "kink"),
    "treads": (check_grad, (sendable.rounded, sendable.rounded_gradient_wrong, x[:60]), {}, "mismatch"),
    "around the point": (check_grad, (sendable.loss, sendable.loss_gradient, x[:40]), {"order": 2}, "match"),
    "an object": (check_layer, (sendable.Dense(), X), {}, "match"),
    "an object, wrong": (check_layer, (sendable.Dense(wrong=True), X), {}, "mismatch"),
    "dropout": (check_layer, (sendable.Dropout(), X), {}, "match"),
}


def run(check, arguments, options, **more):
    return check(*arguments, **{"mode": "full", **options, **more})


@functools.cache
def alone(name):
    return run(*CHECKS[name][:3])


def same(one, other):
    """Tell whether two reports are the same but for the time that they took, to the last bit."""
    reports = [tuple(replace(part, seconds=0.0) for part in report.reports) for report in (one, other)]
    bare = [replace(report, seconds=0.0, reports=parts) for report, parts in zip((one, other), reports, strict=True)]
    return repr(bare[0]) == repr(bare[1])


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


class MapOnly:
    """What has ``map`` and no ``submit``, as a `multiprocessing.Pool` has."""

    def map(self, function, items):
        return [function(item) for item in items]


class Here(Executor):
    """Does each piece of work at once, and lets a fault be planted in what comes back."""

    _max_workers = 2

    def __init__(self, fault=lambda result: result):
        self.fault = fault

    def submit(self, function, /, *given, **keywords):
        future = Future()
        try:
            future.set_result(self.fault(function(*given, **keywords)))
        except Exception as error:
            future.set_exception(error)
        return future


# ---------------------------------------------------------------------- the same report


@pytest.mark.parametrize("name", CHECKS)
def test_processes_do_not_change_the_report(name, processes):
    check, arguments, options, verdict = CHECKS[name]
    assert alone(name).verdict == verdict
    found = run(check, arguments, options, workers=processes)
    assert same(found, alone(name)), (found, alone(name))


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "dropout"])
def test_threads_do_not_change_the_report(name, threads):
    assert same(run(*CHECKS[name][:3], workers=threads), alone(name))


@pytest.mark.parametrize("name", ["right", "one entry wrong", "a loss", "on kinks"])
def test_what_only_maps_does_not_change_the_report(name):
    assert same(run(*CHECKS[name][:3], workers=MapOnly()), alone(name))


def test_catches_signs_that_depend_on_who_draws_them(monkeypatch, processes):
    plan = looks.Plan
    other = np.random.default_rng(99).bit_generator.state
    monkeypatch.setattr("gradcheck.full.Plan", lambda name, structure, drawn: plan(name, structure, other))
    found = run(*CHECKS["affine"][:3], workers=processes)
    assert found.verdict is Verdict.MATCH
    assert not same(found, alone("affine"))


@pytest.mark.parametrize(("name", "here"), [("a matrix", 75), ("a loss", 20)])
def test_workers_do_the_work(name, here, monkeypatch, processes):
    calls = []
    forward = looks.Evaluator._forward
    monkeypatch.setattr(looks.Evaluator, "_forward", lambda *given: calls.append(1) or forward(*given))
    report = run(*CHECKS[name][:3], workers=processes)
    assert len(calls) <= here
    assert report.forward_calls >= 2 * here


# ---------------------------------------------------------------------- planted faults


def spoilt(result):
    """Return what a worker found, with wrong numbers."""
    if not isinstance(result, list):
        return result
    return [replace(look, central=look.central * 1.5) if isinstance(look, looks.Look) else look for look in result]


def backwards(result):
    return result[::-1] if isinstance(result, list) else result


def nothing(result):
    return None


@pytest.mark.parametrize("fault", [spoilt, backwards, nothing])
@pytest.mark.parametrize("name", ["right", "one entry wrong", "affine", "a loss", "a loss, one entry wrong"])
def test_a_worker_that_errs_changes_no_report(name, fault):
    assert same(run(*CHECKS[name][:3], workers=Here(fault)), alone(name))


def test_where_the_forward_returns_other_numbers_nothing_is_believed(processes):
    sendable.STATE.append(1)
    try:
        report = check_grad(sendable.elsewhere, sendable.elsewhere_gradient, x, workers=processes)
    finally:
        sendable.STATE.clear()
    assert report.ok
    assert report.notes == (
        "workers: RuntimeError: the forward returns other numbers there than here; what they did not do was done here",
    )


def test_an_exception_of_the_forward_comes_through_as_without_workers(processes):
    given = (sendable.raises_far_along, sendable.raises_far_along_gradient, np.where(np.arange(200) == 150, 0, x))
    raised = []
    for workers in (None, processes):
        with pytest.raises(KeyError, match="no such bin") as caught:
            check_grad(*given, workers=workers)
        raised.append(caught.value.__notes__)
    assert raised[0] == raised[1]
    assert "raised by the forward of raises_far_along_gradient, with " in raised[0][0]


@pytest.mark.parametrize("wrong", [False, True])
def test_a_process_that_dies_costs_time_only(tmp_path, wrong):
    layer = sendable.Dying(tmp_path, wrong)
    given = rng.normal(size=(40, 30)), rng.normal(size=(30, 40))
    expected = check_layer(layer, *given, mode="full")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = check_layer(layer, *given, mode="full", workers=pool)
    assert (tmp_path / "died").exists()
    assert found.verdict is (Verdict.MISMATCH if wrong else Verdict.MATCH)
    (note,) = found.notes
    assert note.startswith("workers: BrokenProcessPool: ")
    assert same(replace(found, notes=()), expected)


# ---------------------------------------------------------------------- who works


def started(monkeypatch):
    """Note which crews are hired; and let any work be worth it."""
    kinds = []
    of = Crew.of.__func__

    def noted(cls, workers, kind="threads"):
        kinds.append(kind)
        return of(cls, workers, kind)

    monkeypatch.setattr(Crew, "of", classmethod(noted))
    monkeypatch.setattr(looks, "_WORTH", 0.0)
    monkeypatch.setattr(looks, "_WORTH_PROCESSES", 0.0)
    return kinds


def test_threads_are_taken_where_they_work_at_the_same_time(monkeypatch):
    kinds = started(monkeypatch)
    report = check_grad(sendable.slow, sendable.tanh_gradient, x[:60], workers=2)
    assert (report.verdict, report.notes, kinds) == (Verdict.MATCH, (), ["threads"])


def test_processes_are_taken_where_threads_wait_for_each_other(monkeypatch):
    kinds = started(monkeypatch)
    # that they wait is not left to the clock of a machine where others work too: one evaluation may be held up as well
    monkeypatch.setattr(looks, "_at_once", lambda setting: math.inf)
    report = check_grad(sendable.busy, sendable.tanh_gradient, x, workers=2)
    assert (report.verdict, report.notes, kinds) == (Verdict.MATCH, (), ["processes"])


def test_threads_are_taken_where_processes_cannot_be_sent_the_layer(monkeypatch):
    kinds = started(monkeypatch)
    monkeypatch.setattr(looks, "_AT_ONCE", 0.0)
    report = check_grad(lambda x: np.tanh(x).sum(), sendable.tanh_gradient, x, workers=2)
    assert (report.verdict, report.notes, kinds) == (Verdict.MATCH, (), ["processes", "threads"])


def test_state_that_cannot_be_sent_and_must_not_be_shared_is_left_alone(monkeypatch):
    kinds = started(monkeypatch)
    own = np.random.default_rng(0)
    report = check_grad(
        lambda x: np.tanh(x) @ own.random(200), lambda x: sendable.tanh_gradient(x) * own.random(200), x, workers=2
    )
    assert report.ok
    assert kinds == ["processes"]
    (note,) = (note for note in report.notes if note.startswith("workers: "))
    assert note.startswith("workers: no process can be sent the layer (")
    assert note.endswith("), and threads would share its state; what they did not do was done here")


def test_random_numbers_are_not_drawn_in_several_threads(threads):
    report = run(*CHECKS["dropout"][:3], workers=threads)
    assert report.ok
    assert (
        "workers: RuntimeError: threads would share state that the forward keeps; what they did not do was done here"
        in report.notes
    )


def test_a_layer_that_cannot_be_made_again_is_left_alone(monkeypatch):
    kinds = started(monkeypatch)

    def made(setting):
        raise ValueError("only one of me")

    monkeypatch.setattr(looks.Setting, "made", made)
    report = run(*CHECKS["a loss"][:3], workers=2)
    note = "workers: ValueError: only one of me; what they did not do was done here"
    assert (report.verdict, report.notes, kinds) == (Verdict.MATCH, (note,), [])


def test_noise_that_is_measured_again_is_sent_again(monkeypatch):
    sent = []
    of = looks.Setting.of.__func__
    monkeypatch.setattr(looks.Setting, "of", classmethod(lambda cls, *given: sent.append(of(cls, *given)) or sent[-1]))
    found = run(*CHECKS["treads"][:3], workers=Here())
    assert same(found, alone("treads"))
    assert len(sent) == 2
    assert sent[1].noise.max() > 4 * sent[0].noise.max()


@pytest.mark.parametrize(("limit", "at_once"), [("_WORTH", 1e9), ("_WORTH_PROCESSES", 0.0)])
def test_little_work_starts_nobody(monkeypatch, limit, at_once):
    kinds = started(monkeypatch)
    monkeypatch.setattr(looks, limit, 1e9)
    monkeypatch.setattr(looks, "_AT_ONCE", at_once)
    assert same(run(*CHECKS["right"][:3], workers=2), alone("right"))
    assert kinds == []


@pytest.mark.parametrize("options", [{"budget": 500}, {"time_limit": 60.0}, {"method": "complex-step"}])
def test_a_budget_is_counted_here(options):
    class Unwanted(Here):
        def submit(self, function, /, *given, **keywords):
            raise AssertionError("nothing is to be submitted")

    given = (sendable.loss, sendable.loss_gradient, x)
    assert same(check_grad(*given, **options, workers=Unwanted()), check_grad(*given, **options))


# ---------------------------------------------------------------------- pieces of work


def double(item):
    return 2 * item


def scaled(factor, item):
    return factor * item


def failing(item):
    if item == 1:
        raise ValueError("not this one\nfor a long reason")
    return item


def process_of(item):
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 3, MapOnly(), Here()])
def test_results_come_in_order(workers):
    with Crew.of(workers) as crew:
        assert list(crew.map(double, range(20))) == list(range(0, 40, 2))
        assert crew.lost == ""


@pytest.mark.parametrize("workers", [2, Here()])
def test_a_lost_piece_is_none_and_said(workers):
    with Crew.of(workers) as crew:
        assert list(crew.map(failing, range(3))) == [0, None, 2]
        assert crew.lost == "ValueError: not this one"


def test_a_map_that_fails_loses_the_rest():
    with Crew.of(MapOnly()) as crew:
        assert list(crew.map(failing, range(3))) == [None, None, None]
        assert crew.lost == "ValueError: not this one"


def test_processes_are_sent_a_thing_once(processes):
    with Crew.of(processes) as crew, crew.lending(3) as lent:
        assert list(crew.map(scaled, range(4), [lent])) == [0, 3, 6, 9]
        again = list(crew.map(scaled, range(4), [replace(lent, sent=None)]))
        # a worker that had begun nothing before, on a busy machine, does not have it
        assert set(again) - {None}
        assert all(got in (None, 3 * k) for k, got in enumerate(again))
        assert os.getpid() not in crew.map(process_of, range(2))
    assert _lent == {}


def test_nothing_is_kept_here_after_a_check(threads):
    run(*CHECKS["right"][:3], workers=threads)
    assert _lent == {}


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "two", object(), ThreadPoolExecutor])
def test_what_cannot_work_is_refused(workers):
    with pytest.raises(ArgumentError, match="expected a number of workers"):
        require_workers(workers)


def test_modules_are_checked_by_processes_that_can_be_sent_their_layers(processes):
    one, other = (check_module("reference_impls.known_bugs", pattern="*sigmoid*", workers=w) for w in (None, processes))
    assert [part.verdict for part in one.reports] == [part.verdict for part in other.reports]
