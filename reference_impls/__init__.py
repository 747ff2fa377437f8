"""Five small networks with hand-written gradients, each in the style of the notebook it was ported from.

The ports `row_major`, `parity`, `per_sample_sgd`, `class_based` and `column_major` are correct and share one
interface (``Network``); what they compute is in `kernels`, vectorised. The sub-package `notebooks` holds the same
five as they were written, wrong gradients included.
"""
