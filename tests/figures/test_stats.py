import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamatop.figures import stats
from llamatop.figures.stats import distribution, percentile

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(VALUES, st.floats(0, 100))
def test_percentile_is_numpys(values: list[float], percent: float) -> None:
    assert percentile(sorted(values), percent) == pytest.approx(
        np.percentile(values, percent), abs=1e-6
    )


@given(VALUES)
def test_distribution_is_ordered(values: list[float]) -> None:
    found = distribution(values)
    assert found is not None
    assert found.low <= found.p50 <= found.p90 <= found.p99 <= found.high
    assert found.mean == pytest.approx(np.mean(values), abs=1e-6)


def test_nothing_has_no_distribution() -> None:
    assert distribution([]) is None
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@settings(max_examples=50)
@given(VALUES)
def test_many_values_are_told_as_few_are(values: list[float]) -> None:
    few = distribution(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stats, "MANY", 0)
        assert distribution(values) == few
