from llamatop.events.clock import SECOND
from llamatop.events.kinds import EngineLost, LevelStarted, RequestFailed, Tick
from llamatop.tui.monitor.marks import BURST, gathered, next_of
from tests.tui.monitor.marking import marks_of


def failures(*times: int) -> list[tuple[int, str]]:
    return [(time, "failure") for time in times]


def test_levels_failures_and_a_lost_engine_are_marked():
    events = [
        LevelStarted(1, 0, 4, 4),
        Tick(2),
        RequestFailed(SECOND, 7, "no"),
        EngineLost(2 * SECOND, -9, "killed"),
        LevelStarted(3 * SECOND, 1, 8, 8),
    ]
    assert marks_of(events) == (
        (1, "level"),
        (SECOND, "failure"),
        (2 * SECOND, "failure"),
        (3 * SECOND, "level"),
    )


def test_the_failures_of_one_moment_are_one_mark():
    batch = range(5 * SECOND, 5 * SECOND + BURST, BURST // 200)
    later = 5 * SECOND + BURST
    assert gathered(failures(*batch, later)) == ((5 * SECOND, "failure"), (later, "failure"))


def test_a_level_within_a_burst_stays():
    marks = [*failures(SECOND, SECOND + 2), (SECOND + 1, "level")]
    assert gathered(marks) == ((SECOND, "failure"), (SECOND + 1, "level"))


def test_the_next_is_after_here_and_the_previous_before_it():
    times = [SECOND, 2 * SECOND]
    assert next_of(times, SECOND, 1, playing=False) == 2 * SECOND
    assert next_of(times, 2 * SECOND, 1, playing=False) is None
    assert next_of(times, 2 * SECOND, -1, playing=False) == SECOND
    assert next_of(times, SECOND, -1, playing=False) is None


def test_while_playing_what_was_passed_just_now_is_not_the_previous():
    times = [SECOND, 2 * SECOND]
    here = 2 * SECOND + SECOND // 4
    assert next_of(times, here, -1, playing=False) == 2 * SECOND
    assert next_of(times, here, -1, playing=True) == SECOND
