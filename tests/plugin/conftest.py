"""What do the plugin's tests run? A small user's project: layers, one of them wrong, and tests of them."""

from __future__ import annotations

import numpy as np  # noqa: F401  # loaded before any run, since numpy cannot be loaded twice in a process
import pytest

import gradcheck.check
import gradcheck.discover
import gradcheck.report.html  # noqa: F401  # the same

LAYERS = """
    import numpy as np

    def relu(z):
        return np.maximum(z, 0)

    def relu_backward(da, z):
        return da * (z > 0)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def sigmoid_backward(da, z):
        return da * z * (1 - z)  # z where sigmoid(z) belongs
"""
TESTS = """
    import numpy as np
    from layers import relu, relu_backward, sigmoid, sigmoid_backward

    Z = np.array([[0.3, -1.2], [0.7, 2.0]])

    def test_relu(gradchecker):
        assert gradchecker.vjp(relu, relu_backward, Z).ok

    def test_sigmoid(gradchecker):
        gradchecker.vjp(sigmoid, sigmoid_backward, Z)
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """Return a pytester whose folder holds the layers and their tests.

    Its runs share this process, for speed, unless asked otherwise (``runpytest_subprocess``).
    """
    # The run inside must not take on the settings of the run outside.
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "CI"):
        monkeypatch.delenv(name, raising=False)
    # Nor load what else is installed: that takes most of the time.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "gradcheck.pytest_plugin,xdist.plugin")
    pytester.makepyfile(layers=LAYERS, test_layers=TESTS)
    return pytester
