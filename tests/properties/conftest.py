"""How hard do the property tests try? Hypothesis profiles, chosen by the environment.

``CI`` set: the same examples every time. Otherwise: new ones with every run. ``HYPOTHESIS_PROFILE=thorough``: many.
A profile changes neither what is tested nor what is allowed. ``--hypothesis-profile`` is obeyed if it is given.
"""

import os

from hypothesis import Phase, settings

# No deadline: how long an example takes is the machine's affair. The blob lets anyone run a failing example again. The
# explaining phase lists lines of the checker that ran, slowly and to no one's profit.
phases = [Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink]
settings.register_profile("random", deadline=None, print_blob=True, phases=phases)
settings.register_profile("deterministic", settings.get_profile("random"), derandomize=True, database=None)
settings.register_profile("thorough", settings.get_profile("random"), max_examples=2000)


def pytest_configure(config):
    """Load the profile before the tests are imported; they take their number of examples from it."""
    if config.getoption("--hypothesis-profile", default=None):
        return
    usual = "deterministic" if os.environ.get("CI") else "random"
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", usual))
