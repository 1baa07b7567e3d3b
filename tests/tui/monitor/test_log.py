"""The log and its panel: what is told, together or alone, and how it scrolls."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import MouseScrollDown, MouseScrollUp

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    DeviceSampled,
    EngineLost,
    Event,
    HostSampled,
    LevelEnded,
    LevelStarted,
    RequestAdmitted,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RunEnded,
    TokensEmitted,
)
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.tui.drawing.lines import line_width
from llamatop.tui.monitor.frame import Choices, Frame
from llamatop.tui.monitor.frame_figures import Figures
from llamatop.tui.monitor.log import KEPT, Log, kind_of
from llamatop.tui.monitor.views.events import events, scrolled
from llamatop.tui.monitor.views.values import TIMES
from tests.figures.test_contention import MODEL
from tests.tui.conftest import CONFIG, live_app, replay_app, screen_text, started, until

SIZE = (120, 36)
LONG = "the server said: " + " ".join(f"word{i}" for i in range(60))


def failures(count: int, error: str = "timeout after {} ms", at: float = 5) -> list[Event]:
    """Requests that fail, one after another."""
    return [
        event
        for i in range(count)
        for event in (
            RequestQueued(round(at * SECOND) + i, i, 0, 8, 8),
            RequestFailed(round(at * SECOND) + i, i, error.format(i)),
        )
    ]


def levels(count: int) -> list[Event]:
    return [LevelStarted(i * SECOND, i, i + 1, 4) for i in range(count)]


def frame_of(session: Session, **choices: object) -> Frame:
    figures = Figures()
    figures.look(session)
    return Frame(session, figures, Choices(**choices))


def told(frame: Frame, width: int = 100, height: int = 20) -> list[str]:
    lines = events(frame, width, height).lines
    assert all(line_width(line) <= width for line in lines)
    return ["".join(text for text, _ in line) for line in lines]


def hint(frame: Frame, height: int) -> str:
    return "".join(text for group in events(frame, 100, height).hints for text, _ in group)


# Told together


def test_failures_of_one_kind_are_one_story_and_drown_nothing():
    session = fold([started(), MODEL, LevelStarted(1, 0, 4, None), *failures(300)])
    rows = told(frame_of(session))
    assert len(rows) == 4
    assert "300 requests: timeout after 299 ms  until 0:05  from request 0 to 299" in rows[-1]


def test_kinds_that_alternate_are_told_once_each():
    pairs = zip(failures(40, "refused"), failures(40, "timeout after {} ms"), strict=True)
    session = fold([started(), *(event for pair in pairs for event in pair)])
    assert len(told(frame_of(session))) == 3


def test_what_lies_between_keeps_failures_apart():
    session = fold(
        [started(), *failures(3, at=1), LevelStarted(2 * SECOND, 1, 2, 4), *failures(2, at=3)]
    )
    rows = told(frame_of(session))
    assert ["3 requests" in rows[1], "2 requests" in rows[3]] == [True, True]


def test_a_single_failure_names_its_request():
    assert "request 0: no" in told(frame_of(fold([started(), *failures(1, "no")])))[-1]


def test_errors_that_differ_in_numbers_are_of_one_kind():
    assert kind_of("Tried to allocate 4.03 GiB") == kind_of("Tried to allocate 12.70 GiB")
    assert kind_of("refused") != kind_of("reset")


EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(RequestFailed, st.integers(0, 10**10), st.integers(0, 9), st.sampled_from("abc")),
    st.builds(
        LevelStarted, st.integers(0, 10**10), st.integers(0, 3), st.integers(1, 4), st.none()
    ),
    st.builds(EngineLost, st.integers(0, 10**10), st.none(), st.just("gone")),
    st.builds(
        DeviceSampled,
        st.integers(0, 10**10),
        st.integers(0, 1),
        st.just("a GPU"),
        throttle=st.sampled_from([None, (), ("sw_power_cap",)]),
    ),
    st.builds(
        HostSampled,
        st.integers(0, 10**10),
        *[st.just(1)] * 3,
        cpu_percent=st.just((100.0, 90.0)),
        engine_cpu_percent=st.just(100.0),
    ),
)


@given(st.lists(EVENTS, max_size=60), st.integers(1, 7))
def test_the_log_is_the_same_however_it_comes(found, step):
    """Read at every few events, or once at the end."""
    found = [started(), MODEL, *sorted(found, key=lambda event: event.time)]
    session, log = Session(), Log()
    for at in range(0, len(found), step):
        for event in found[at : at + step]:
            session.apply(event)
        log.read(session)
    whole = Log()
    whole.read(session)
    assert sum(story.count for story in log.stories) == sum(s.count for s in whole.stories)
    assert log.slowdowns == whole.slowdowns


# Bounded


def test_a_session_that_forgets_forgets_old_failures_first():
    session = Session(keep=100)
    for event in [started(), MODEL, *levels(3)]:
        session.apply(event)
    for event in failures(10_000):
        session.apply(event)
    assert len(session.notable) <= 100
    assert session.notable[:4] == [MODEL, *levels(3)]
    assert session.untold + len(session.notable) == 10_004


def test_a_session_that_forgets_forgets_levels_too():
    session = Session(keep=100)
    for event in levels(10_000):
        session.apply(event)
    assert len(session.notable) <= 100
    assert session.notable[-1].level == 9_999


def test_a_session_without_a_bound_forgets_nothing():
    assert len(fold([started(), *failures(300)]).notable) == 300


def test_the_log_counts_on_while_the_session_forgets():
    session, log = Session(keep=50), Log()
    for event in [started(), MODEL, *failures(4_000)]:
        session.apply(event)
        log.read(session)
    assert log.stories[-1].count == 4_000
    assert (len(log.stories), log.untold) == (3, 0)


def test_the_log_is_bounded_and_says_how_much_is_gone():
    session, log = Session(keep=50), Log()
    for event in [started(), *levels(3 * KEPT)]:
        session.apply(event)
        log.read(session)
    assert len(log.stories) <= KEPT
    assert log.dropped + len(log.stories) == 3 * KEPT + 1
    late = Log()
    late.read(session)
    assert late.untold == session.untold


# Scrolled


def test_the_newest_stays_until_a_person_scrolls():
    session = fold([started(), *levels(30)])
    frame = frame_of(session)
    assert "concurrency 30" in told(frame, height=6)[-1]
    assert hint(frame, 6) == ""
    frame.choices.told_until = scrolled(frame, -10, 100, 6)
    assert "concurrency 20" in told(frame, height=6)[-1]
    assert hint(frame, 6) == "10 newer"
    for event in [LevelStarted(40 * SECOND, 40, 41, 4), LevelStarted(41 * SECOND, 41, 42, 4)]:
        session.apply(event)
    assert "concurrency 20" in told(frame, height=6)[-1], "it does not run away"
    assert hint(frame, 6) == "12 newer"
    assert scrolled(frame, 12, 100, 6) is None, "at the newest it follows again"


@pytest.mark.parametrize("alone", [None, "events"])
@pytest.mark.parametrize("height", [1, 3, 10, 31, 50])
def test_scrolling_ends_with_a_full_panel_at_either_end(alone, height):
    session = fold([started(), *levels(30)])
    frame = frame_of(session, maximised=alone)
    frame.choices.told_until = scrolled(frame, -1_000_000, 100, height)
    rows = told(frame, height=height)
    assert "a processor" in rows[0]
    assert len(rows) == min(height, 31)
    frame.choices.told_until = scrolled(frame, 1, 100, height)
    assert ("a processor" in told(frame, height=height)[0]) is (height >= 31)
    frame.choices.told_until = scrolled(frame, 1_000_000, 100, height)
    assert frame.choices.told_until is None


def test_a_long_line_is_whole_where_the_panel_stands_alone():
    session = fold([started(), *failures(1, LONG), *levels(2)])
    beside = told(frame_of(session), 60)
    assert len(beside) == 4
    assert beside[1].endswith("…")
    alone = told(frame_of(session, maximised="events"), 60)
    assert " ".join(" ".join(alone).split()).count("word") == 60
    assert "word59" in "".join(alone)


@pytest.mark.parametrize("alone", [None, "events"])
def test_any_size_fits(alone):
    session = fold([started(), *failures(3, LONG), *levels(9)])
    for width in (0, 1, 5, 11, 18, 19, 20, 46, 200):
        for height in (0, 1, 2, 7, 40):
            frame = frame_of(session, maximised=alone)
            for by in (-3, -100, 2, 0):
                frame.choices.told_until = scrolled(frame, by, width, height)
                content = events(frame, width, height)
                assert len(content.lines) <= height
                assert all(line_width(line) <= max(width, 10) for line in content.lines)


async def test_keys_scroll_the_events_where_they_stand_alone():
    app = live_app([started(), *levels(60)])
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("5")
        await pilot.pause()
        assert "concurrency 60" in screen_text(app)[-3]
        await pilot.press("up", "k", "pageup")
        await pilot.pause()
        assert "concurrency 60," not in "\n".join(screen_text(app))
        assert " newer ─╯" in screen_text(app)[-2]
        app.live.events = [LevelStarted(99 * SECOND, 99, 100, 4)]
        before = screen_text(app)[3:-2]
        app.tick()
        await pilot.pause()
        assert screen_text(app)[3:-2] == before
        await pilot.press("G")
        await pilot.pause()
        assert "concurrency 100" in screen_text(app)[-3]
        assert "newer" not in screen_text(app)[-2]
        await pilot.press("g")
        await pilot.pause()
        assert "a processor" in screen_text(app)[3]
        await pilot.press("escape")
        assert app.showing.looking.choices.told_until is None, "escape goes back to the newest"
        assert app.showing.looking.choices.maximised == "events"
        await pilot.press("escape", "down")
        assert app.showing.looking.choices.maximised is None


async def test_the_wheel_scrolls_the_events_beside_the_others():
    app = live_app([started(), *levels(60)])
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        panel = app.showing.monitor.events

        def wheel(kind):
            panel.post_message(kind(panel, 3, 3, 0, 0, 0, False, False, False))

        wheel(MouseScrollUp)
        await pilot.pause()
        shown = "\n".join(screen_text(app))
        assert "concurrency 57," in shown
        assert "concurrency 58," not in shown
        assert "3 newer" in shown
        wheel(MouseScrollDown)
        await pilot.pause()
        assert "concurrency 60," in "\n".join(screen_text(app))
        assert app.showing.looking.choices.told_until is None


async def test_events_scroll_in_a_replay_and_survive_a_seek(run_events):
    app = replay_app(run_events, 1000)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("5", "g")
        await pilot.pause()
        assert "scripted" in screen_text(app)[3]
        app.showing.player.seek(2 * SECOND)
        app.tick()
        await pilot.pause()
        assert "concurrency 2" in "\n".join(screen_text(app))
        assert "finished" not in "\n".join(screen_text(app))


def test_a_level_that_ended_before_its_first_request_has_no_figures():
    events = [started(), MODEL, LevelStarted(SECOND, 0, 5, None), LevelEnded(2 * SECOND, 0, "ok")]
    rows = told(frame_of(fold(events)))
    assert rows[-1].endswith(f"· {TIMES}5  ended before its first request")


@pytest.mark.parametrize(("outcome", "sign"), [("ok", "✓"), ("stopped", "■")])
def test_a_level_that_was_stopped_has_another_sign_than_one_at_its_end(outcome, sign):
    request = [RequestQueued(SECOND, 0, 0, 4, 4), RequestAdmitted(SECOND, 0, 0)]
    answer = [TokensEmitted(2 * SECOND, 0, 4, None), RequestFinished(2 * SECOND, 0, "length")]
    level = [LevelStarted(SECOND, 0, 5, None), *request, *answer]
    rows = told(frame_of(fold([started(), MODEL, *level, LevelEnded(3 * SECOND, 0, outcome)])))
    assert f"{sign} {TIMES}5  " in rows[-1]
    assert ("✓" in rows[-1]) is (outcome == "ok")


# What only samples show


def test_a_device_that_slows_down_is_told_when_it_begins_and_ends():
    samples = [
        DeviceSampled(t * SECOND, 0, "a GPU", throttle=("hw_thermal_slowdown",) * (3 <= t < 10))
        for t in range(30)
    ]
    rows = told(frame_of(fold([started(), *samples[:9]])))
    assert rows[-1].endswith("▲ gpu 0 slows down: heat")
    rows = told(frame_of(fold([started(), *samples])))
    assert rows[-1].endswith("△ gpu 0 runs freely again after 6.00 s: heat")
    assert len(rows) == 2, "the end stands where the beginning stood"
    between = [started(), *samples[:5], LevelStarted(5 * SECOND, 0, 4, 8), *samples[5:]]
    rows = told(frame_of(fold(between)))
    assert ["slows down" in rows[1], "again" in rows[3]] == [True, True]


def test_other_processes_are_told_once():
    busy = [
        HostSampled(t * SECOND // 2, 1, 1, 1, (100.0, 90.0), 1, 100.0, 4.0) for t in range(3, 60)
    ]
    session = fold([started(), MODEL, LevelStarted(SECOND, 0, 4, None), *busy])
    rows = told(frame_of(session))
    assert [row for row in rows if "other processes" in row] == rows[-1:]
    assert rows[-1].endswith("▲ other processes take 86 % of a core")
    quiet = fold([started(), MODEL, *busy])
    assert len(told(frame_of(quiet))) == 2, "what prepares a run is no neighbour"


# The end of memory


def until_oom(*outcomes: tuple[int, str], end: str = "oom") -> Session:
    config = msgspec.structs.replace(CONFIG, until_oom=True, concurrency=(1,))
    found: list[Event] = [msgspec.structs.replace(started(), config=config), MODEL]
    for level, (concurrency, outcome) in enumerate(outcomes):
        found.append(LevelStarted(level * SECOND, level, concurrency, concurrency))
        error = "CUDA out of memory. Tried to allocate 4.03 GiB" if outcome == "oom" else ""
        found.append(LevelEnded(level * SECOND + 1, level, outcome, error=error))
    return fold([*found, RunEnded(60 * SECOND, end)])


def test_an_end_of_memory_that_was_looked_for_is_the_answer():
    frame = frame_of(until_oom((1, "ok"), (2, "ok"), (4, "oom"), (3, "ok")))
    lines = events(frame, 100, 20).lines
    roles = {role for line in lines for _, role in line}
    assert "bad" not in roles
    rows = told(frame)
    assert rows[-1].endswith("■ 3 at once work, 4 do not")
    assert any("out of memory" in row for row in rows)


def test_requests_that_failed_where_memory_ended_are_the_answer_too():
    session = until_oom((1, "ok"), (2, "oom"))
    session.apply(RequestQueued(1, 0, 1, 8, 8))
    session.apply(RequestFailed(2, 0, "CUDA out of memory"))
    assert ("✗ ", "key") in events(frame_of(session), 100, 20).lines[-1]
    session.levels[1].outcome = "failed"
    assert ("✗ ", "bad") in events(frame_of(session), 100, 20).lines[-1]


def test_an_end_that_was_not_looked_for_or_nothing_that_works_is_a_failure():
    frame = frame_of(until_oom((1, "oom")))
    assert told(frame)[-1].endswith("■ out of memory")
    assert ("■ ", "bad") in events(frame, 100, 20).lines[-1]


@pytest.mark.parametrize("seconds", [3, 9, 14])
def test_the_panel_is_a_pure_function(run_events, seconds):
    session = fold(until(run_events, seconds))
    assert told(frame_of(session)) == told(frame_of(session))


@pytest.mark.parametrize(("has", "times"), [(False, 1), (True, 0), (None, 0)])
def test_a_processor_without_bfloat16_is_told_from_the_events_alone(has, times):
    begun = started()
    host = msgspec.structs.replace(begun.host, bfloat16=has)
    config = msgspec.structs.replace(begun.config, dtype="auto")
    model = msgspec.structs.replace(MODEL, device="cpu", dtype="bfloat16")
    begun = msgspec.structs.replace(begun, host=host, config=config)
    lines = " ".join(told(frame_of(fold([begun, model])), width=80))
    assert lines.count("bfloat16 is slow here: --dtype float32") == times
