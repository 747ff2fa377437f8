"""Would the ports' own cases notice a wrong port? A fault is planted in each backward, one at a time."""
# W and X are matrices

import functools

import numpy as np
import pytest

from reference_impls import class_based, column_major, kernels, parity, per_sample_sgd, row_major


def scaled(factor):
    """Scale the one gradient; its signature stays, since that is how a check knows how to call it."""

    def fault(original):
        @functools.wraps(original)
        def wrong(*args, **options):
            return original(*args, **options) * factor

        return wrong

    return fault


def scaled_part(part, factor):
    """Scale one of several gradients."""

    def fault(original):
        @functools.wraps(original)
        def wrong(*args, **options):
            return tuple(g * (factor if i == part else 1) for i, g in enumerate(original(*args, **options)))

        return wrong

    return fault


def ones_where_closed(original):
    return lambda da, z, **options: da * (z < 0)


def from_pre_activation(original):
    return lambda da, a: da * np.log(a / (1 - a)) * (1 - np.log(a / (1 - a)))


def bias_of_the_first_example(original):
    def wrong(*args, **options):
        da, dW, _ = original(*args, **options)
        return da, dW, args[0][:1]

    return wrong


def no_bias_sum(original):
    def wrong(dZ, A, **options):
        return original(dZ, A, **options)[0], {key: dz[:, :1] for key, dz in dZ.items()}

    return wrong


FAULTS = [
    (row_major, "relu_backward", ones_where_closed),
    (row_major, "relu_backward", lambda original: lambda da, z, **options: da),
    (row_major, "sigmoid_backward", from_pre_activation),
    (row_major, "linear_backward", scaled_part(0, -1)),
    (row_major, "linear_backward", scaled_part(1, 1.00001)),
    (row_major, "linear_backward", bias_of_the_first_example),
    (row_major, "bce_loss_backward", scaled(0.5)),
    (row_major, "sigmoid_bce_loss_backward", scaled(1 / np.log(2))),
    (parity, "delta_sigmoid", lambda original: parity.sigmoid),
    (parity, "sigmoid_backward", scaled(1.00001)),
    (parity, "linear_backward", scaled_part(1, 0.99999)),
    (parity, "linear_backward", scaled_part(0, 0.5)),
    (parity, "squared_error_backward", scaled(2)),
    (per_sample_sgd, "relu_derivative", lambda original: lambda a: a < 0),
    (per_sample_sgd, "sigmoid_derivative", lambda original: per_sample_sgd.sigmoid),
    (per_sample_sgd, "linear_backward", scaled_part(0, 0.99999)),
    (per_sample_sgd, "linear_backward", scaled_part(2, 2)),
    (per_sample_sgd, "binary_cross_entropy_derivative", scaled(1 / np.log(2))),
    (per_sample_sgd, "logit_cross_entropy_derivative", scaled(-1)),
    (class_based, "relu_backward", ones_where_closed),
    (class_based, "sigmoid_backward", scaled(4)),
    (class_based, "bce_loss_backward", lambda original: lambda A, Y: original(A, Y) * A.size / len(A)),
    (
        class_based,
        "sigmoid_bce_loss_backward",
        lambda original: lambda Z, Y, **options: original(Z, Y, **options) * Z.size,
    ),
    (
        class_based.LinearLayer,
        "backward",
        lambda original: lambda self, dOut, **options: 2 * original(self, dOut, **options),
    ),
    (column_major, "relu_backward", lambda original: lambda da, z, **options: da),
    (column_major, "sigmoid_backward", scaled(-1)),
    (column_major, "cost_backward", lambda original: lambda Y, Z, **options: original(Y, Z, **options) * Z.shape[1]),
    (column_major, "parameter_gradients", no_bias_sum),
    (kernels, "bce_with_logits_backward", scaled(1.00001)),
    (kernels, "linear_columns_input_gradient", scaled(1.00001)),
]

USED_BY_NETWORKS = {
    "backward",
    "bce_with_logits_backward",
    "cost_backward",
    "linear_backward",
    "linear_columns_input_gradient",
    "logit_cross_entropy_derivative",
    "parameter_gradients",
    "relu_backward",
    "sigmoid_bce_loss_backward",
    "squared_error_backward",
}


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    FAULTS,
    ids=[f"{owner.__name__.rpartition('.')[2]}-{name}-{i}" for i, (owner, name, _) in enumerate(FAULTS)],
)
def test_planted_fault_is_caught(monkeypatch, owner, name, fault):
    monkeypatch.setattr(owner, name, fault(getattr(owner, name)))
    ports = {class_based.LinearLayer: class_based, kernels: column_major}
    stages, networks = [], []
    for case in ports.get(owner, owner).gradcheck_cases():
        (networks if case.name.startswith("Network") else stages).append(case)
    assert any(not case.run(seed=0).ok for case in stages)
    if name in USED_BY_NETWORKS:
        assert any(not case.run(seed=0).ok for case in networks)
