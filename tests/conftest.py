"""No test reads or fills what llamatop has learnt on this machine."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Roofs and residuals of this run of the tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLAMATOP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
