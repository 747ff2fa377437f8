"""What does a mismatch look like? Hypotheses tried against both gradients; the best of them in a sentence."""

from gradcheck.explain.explain import explain, explain_shapes

__all__ = ["explain", "explain_shapes"]
