"""What does a check cost, in units of one forward and one backward, beside the other checkers?

All are asked in turn about the same right gradients, in one process on one thread, each as its own documentation says.
"""
