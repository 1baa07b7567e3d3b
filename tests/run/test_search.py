from hypothesis import given
from hypothesis import strategies as st

from llamatop.run.search import FINEST, Load, Went, next_load
from llamatop.settings.config import RunConfig

SLO = {"ttft": 0.5}


def searched(config: RunConfig, limit: float) -> list[Load]:
    """Every load of a search in which those up to a limit keep the targets."""
    tried: list[Went] = []
    while (load := next_load(config, tried)) is not None:
        share = 1.0 if (load.rate or load.concurrency) <= limit else 0.5
        tried.append(Went(load, "ok", share))
        assert len(tried) < 60
    return [one.load for one in tried]


@given(st.integers(0, 3000), st.sampled_from([(1,), (8,), (2, 6)]))
def test_the_most_at_once_is_found(limit: int, start: tuple[int, ...]) -> None:
    config = RunConfig(concurrency=start, until_slo=True, slo=SLO)
    tried = {load.concurrency for load in searched(config, limit)}
    assert limit == 0 or limit in tried
    assert limit + 1 in tried


@given(st.floats(0.1, 500))
def test_the_highest_rate_is_found_to_a_twentieth(limit: float) -> None:
    config = RunConfig(concurrency=(64,), rate=4.0, until_slo=True, slo=SLO)
    rates = [load.rate or 0.0 for load in searched(config, limit)]
    below = max(rate for rate in rates if rate <= limit)
    assert min(rate for rate in rates if rate > limit) <= below * (1 + FINEST)


def test_a_rate_that_nothing_keeps_comes_to_an_end() -> None:
    config = RunConfig(concurrency=(64,), rate=4.0, until_slo=True, slo=SLO)
    assert len(searched(config, 0.0)) < 10


def test_memory_that_ends_breaks_and_a_person_who_stops_ends_it() -> None:
    config = RunConfig(concurrency=(4,), until_slo=True, slo=SLO)
    assert next_load(config, [Went(Load(4), "oom", None)]) == Load(2)
    assert next_load(config, [Went(Load(4), "stopped", 1.0)]) is None
