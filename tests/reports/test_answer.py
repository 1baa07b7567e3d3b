import re
from dataclasses import replace

from llamatop.figures.levels import level_figures
from llamatop.reports.answer import answer
from llamatop.reports.capacity import capacity, cliff
from llamatop.reports.run_text import table
from llamatop.reports.summary import summary
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from tests.reports.samples import events, run, with_config


def sentences(session: Session) -> list[str]:
    return answer(session, [level_figures(session, one) for one in session.levels.values()])


def test_at_most_three_sentences_whose_numbers_are_the_tables() -> None:
    session = run((1, 2, 4), requests=16).session
    told = sentences(session)
    assert 1 <= len(told) <= 3
    text = table(session)
    assert text.splitlines()[1].startswith("One user gets the first token after ")
    rest = text.replace("\n", " ").replace(" ".join(told), "")
    for number in re.findall(r"\d[\d.,]*\d|\d", " ".join(told).replace("p50", "")):
        assert number in rest, number


def test_targets_are_what_it_is_about_where_there_are_some() -> None:
    session = fold(with_config(events((1, 2, 4), requests=16), slo={"ttft": 5.0}))
    assert "It carries 4 at once within ttft 5.00 s" in " ".join(sentences(session))
    none = fold(with_config(events((1, 2), requests=16), slo={"ttft": 0.001}))
    assert "No level kept ttft" in " ".join(sentences(none))


def test_capacity_is_the_last_level_that_keeps_and_what_breaks_next() -> None:
    made = events((1, 2, 4), requests=16)
    session = fold(with_config(made, slo={"ttft": 5.0, "e2e": 0.9}, until_slo=True, share=0.01))
    found = capacity(session)
    assert found is not None
    assert summary(session, None)["capacity"] == {
        "concurrency": found.concurrency, "rate": None, "share": found.share,
        "broken_by": found.broken_by,
    }  # fmt: skip
    (drawn,) = cliff(session)
    assert "1 at once" in drawn and "4 at once" in drawn
    broken = fold(with_config(made, slo={"ttft": 5.0, "e2e": 0.01}, until_slo=True))
    assert capacity(broken) is not None and capacity(broken).concurrency is None  # type: ignore[union-attr]
    assert "what breaks first: E2E" in cliff(broken)[0]
    assert capacity(fold(made)) is None


def test_an_open_loop_has_a_rate_and_no_users() -> None:
    told = " ".join(sentences(fold(with_config(events((4,), requests=16), rate=2.5))))
    assert told.startswith("At 2.50 requests/s the first token comes after ")
    assert "with 4 in flight at most" in told and "user" not in told


def test_nothing_completed_is_no_answer() -> None:
    assert sentences(fold(events((1,))[:5])) == []


def test_what_did_not_help_is_not_advised() -> None:
    """Overhead is shared by more requests, except where more were tried."""
    session = run((1, 2), requests=16).session
    levels = [
        replace(level_figures(session, one), held_back_by="overhead")
        for one in session.levels.values()
    ]
    assert answer(session, levels)[-1].endswith("more requests at once share it.")
    levels[1] = replace(levels[1], output_rate=1.0)
    assert "more requests at once did not help" in answer(session, levels)[-1]
