"""The kernels that the networks are made of: vectorised, without overflow, without temporaries where `out` is given.

Every kernel is a function of arrays and keeps their dtype and layout; its plain one-line reference is in the tests.
"""

from reference_impls.kernels.categorical import softmax, softmax_cross_entropy, softmax_cross_entropy_backward
from reference_impls.kernels.elementwise import (
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    sigmoid_backward_from_output,
    sigmoid_derivative,
    softplus,
    softplus_backward,
)
from reference_impls.kernels.layers import (
    linear,
    linear_columns,
    linear_columns_input_gradient,
    linear_columns_parameter_gradients,
    linear_input_gradient,
    linear_parameter_gradients,
)
from reference_impls.kernels.losses import bce, bce_backward, bce_with_logits, bce_with_logits_backward
from reference_impls.kernels.one_by_one import compiled_pass, descend_one_by_one

__all__ = [
    "bce",
    "bce_backward",
    "bce_with_logits",
    "bce_with_logits_backward",
    "compiled_pass",
    "descend_one_by_one",
    "linear",
    "linear_columns",
    "linear_columns_input_gradient",
    "linear_columns_parameter_gradients",
    "linear_input_gradient",
    "linear_parameter_gradients",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_backward_from_output",
    "sigmoid_derivative",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_backward",
    "softplus",
    "softplus_backward",
]
