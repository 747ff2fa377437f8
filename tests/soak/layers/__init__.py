"""Which layers can the soak draw? All of them right, by name."""

from tests.soak.layers import elementwise, losses, matrices, normalising, products, reductions, sequences, windows
from tests.soak.layers.layer import Layer

__all__ = ["ZOO", "Layer"]

_MODULES = (elementwise, products, windows, normalising, sequences, reductions, losses, matrices)

ZOO: dict[str, Layer] = {layer.name: layer for module in _MODULES for layer in module.LAYERS}
