"""Does a cluster of processes evaluate a check, and does the check end well when one of them is killed?"""

from __future__ import annotations

import os
from dataclasses import replace

import distributed
import numpy as np
import pytest

from gradcheck import Verdict, check_grad, check_layer, check_module, check_vjp
from tests import sendable

rng = np.random.default_rng(3)
X, W, x = rng.normal(size=(40, 30)), rng.normal(size=(30, 40)), rng.normal(size=200)


@pytest.fixture(scope="module")
def client():
    """Two processes of one thread on this machine."""
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


def same(one, other):
    return repr(replace(one, seconds=0.0)) == repr(replace(other, seconds=0.0))


@pytest.mark.parametrize(
    ("vjp", "verdict"),
    [
        (sendable.tanh_layer_backward, Verdict.MATCH),
        (sendable.tanh_layer_backward_one_entry_wrong, Verdict.MISMATCH),
    ],
)
def test_a_cluster_does_not_change_the_report(client, vjp, verdict):
    given = (sendable.tanh_layer, vjp, X, W)
    found = check_vjp(*given, workers=client)
    assert found.verdict is verdict
    assert same(found, check_vjp(*given))


def test_a_cluster_can_be_sent_functions_without_a_name(client):
    here = os.getpid()

    def loss(x):
        return np.sum(np.tanh(x)) + 0 * np.log(2.0 - (os.getpid() == here and len(calls) > 1e9))

    calls = []
    report = check_grad(loss, sendable.tanh_gradient, x, workers=client)
    assert (report.verdict, report.notes) == (Verdict.MATCH, ())
    assert same(report, check_grad(loss, sendable.tanh_gradient, x))


@pytest.mark.parametrize("wrong", [False, True])
def test_a_killed_process_costs_time_only(client, tmp_path, wrong):
    layer = sendable.Dying(tmp_path, wrong)
    found = check_layer(layer, X, W, workers=client)
    killed = int((tmp_path / "died").read_text())
    assert killed != os.getpid()
    assert found.verdict is (Verdict.MISMATCH if wrong else Verdict.MATCH)
    assert same(replace(found, notes=()), check_layer(layer, X, W))


def test_what_cannot_be_sent_is_checked_here(client):
    class Unsendable(sendable.Dense):
        def __reduce__(self):
            raise TypeError("holds a lock")

        def __deepcopy__(self, memo):
            return Unsendable()

    report = check_layer(Unsendable(), X[:, :6], mode="full", workers=client)
    assert report.verdict is Verdict.MATCH
    (note,) = report.notes
    assert note.startswith("workers: ")
    assert note.endswith("; what they did not do was done here")


def test_a_module_is_checked_on_a_cluster(client):
    one, other = (check_module("reference_impls.known_bugs", pattern="*sigmoid*", workers=w) for w in (None, client))
    assert [part.verdict for part in one.reports] == [part.verdict for part in other.reports]
