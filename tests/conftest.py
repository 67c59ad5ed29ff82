"""For all tests: property tests draw the same examples each time, so that a run says what another one will.

`--hypothesis-profile=random` draws new ones (and `--hypothesis-seed=N` the same new ones again).
"""

from hypothesis import settings

settings.register_profile("random", derandomize=False)
settings.register_profile("steady", derandomize=True)
settings.load_profile("steady")
