"""What are faults planted in? Sources for a user's folder: a layer that doubles, and a test of it that sees little."""

LAYERS = """
import numpy as np

def double(x):
    return 2 * x

def double_backward(g, x):
    return 2 * g
"""
WEAK = """
import numpy as np
from layers import double_backward

def test_shape():
    assert double_backward(np.ones(3), np.zeros(3)).shape == (3,)
"""
