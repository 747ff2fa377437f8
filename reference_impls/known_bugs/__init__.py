"""Which mistakes do people make in backward passes? A catalogue: each bug is one line of a layer that is right here.

The modules hold right layers, by theme, and for each bug the line as it should be and as it is wrongly written
(`Bug`). The wrong twin is made of the right layer's own source. ``gradcheck bugs`` checks all of them.
"""

from reference_impls.known_bugs import activations, dense, losses, normalisers, sequences, state, windows
from reference_impls.known_bugs._bug import Bug, told

__all__ = ["BUGS", "Bug", "told"]

__gradcheck_skip__ = True
"""Deliberately wrong twins: checked only by ``gradcheck bugs``."""

BUGS: tuple[Bug, ...] = tuple(
    bug for theme in (activations, losses, dense, normalisers, windows, sequences, state) for bug in theme.BUGS
)
"""The whole catalogue."""
