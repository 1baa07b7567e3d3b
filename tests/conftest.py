"""No test reads or fills what llamatop has learnt on this machine, and all try the same examples.

`pytest --hypothesis-profile=default` tries others each time, to find what these do not.
"""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Roofs and residuals of this run of the tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLAMATOP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
