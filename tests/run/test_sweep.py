from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.kinds import Outcome
from llamatop.run.sweep import next_concurrency
from llamatop.settings.config import MAX_CONCURRENCY, RunConfig


def walk(config: RunConfig, capacity: int) -> list[tuple[int, Outcome]]:
    """All levels of a sweep on a machine that has room for `capacity` requests."""
    tried: list[tuple[int, Outcome]] = []
    while (level := next_concurrency(config, tried)) is not None:
        tried.append((level, "ok" if level <= capacity else "oom"))
    return tried


def test_levels_as_asked_for_and_on_after_a_bad_one() -> None:
    config = RunConfig(concurrency=(4, 1, 2))
    assert [level for level, _ in walk(config, 2)] == [4, 1, 2]


@given(st.integers(0, MAX_CONCURRENCY), st.sampled_from([(1,), (1, 2, 4), (3,), (64,)]))
def test_until_oom_ends_at_the_most_that_works(capacity: int, levels: tuple[int, ...]) -> None:
    tried = walk(RunConfig(concurrency=levels, until_oom=True), capacity)
    works = max((level for level, outcome in tried if outcome == "ok"), default=0)
    if any(outcome == "oom" for _, outcome in tried):
        assert works == capacity
        assert (capacity + 1, "oom") in tried
    else:
        assert works * 2 > MAX_CONCURRENCY
    assert len(tried) < 40


def test_a_stop_is_the_end() -> None:
    for until_oom in (False, True):
        config = RunConfig(concurrency=(1, 2), until_oom=until_oom)
        assert next_concurrency(config, [(1, "stopped")]) is None
