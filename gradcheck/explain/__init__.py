"""What does a mismatch look like? Hypotheses tried against both gradients; the best of them in a sentence."""

from gradcheck.explain.explain import FEW, MOST, explain, explain_shapes

__all__ = ["FEW", "MOST", "explain", "explain_shapes"]
