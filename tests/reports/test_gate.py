import pytest

from llamatop.errors import InputError
from llamatop.reports.compare import compare
from llamatop.reports.gate import judge, parse
from llamatop.reports.runs import run_of
from llamatop.run.replay import fold
from tests.reports.samples import events, run, stretched, with_memory

MADE = events((1, 2))
SLOWER = compare(run_of(fold(MADE)), run_of(fold(stretched(MADE, 1.1))))
ITSELF = compare(run_of(fold(MADE)), run_of(fold(MADE)))


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("output_tok_s<-5%", True),
        ("output_tok_s < -20 %", False),
        ("output_tok_s<-9.0909%", True),
        ("output_tok_s>-5%", False),
        ("ttft_s.p99@2>=9.9%", True),
        ("e2e_s.mean>+15%", False),
        ("e2e_s.mean>0.05", True),
        ("e2e_s.mean>5", False),
    ],
)
def test_conditions(text: str, held: bool) -> None:
    assert judge(parse(text), SLOWER).held is held


def test_against_itself_nothing_holds() -> None:
    assert not judge(parse("output_tok_s<-0.001%"), ITSELF).held


@pytest.mark.parametrize("text", ["", "output_tok_s", "output_tok_s<", "<5%", "a<b", "x<1%%"])
def test_no_condition(text: str) -> None:
    with pytest.raises(InputError, match="--fail-if"):
        parse(text)


@pytest.mark.parametrize("text", ["speed<-5%", "output_tok_s@64<-5%"])
def test_conditions_on_what_is_not_there(text: str) -> None:
    with pytest.raises(InputError, match="--fail-if"):
        judge(parse(text), SLOWER)


def test_no_level_in_common() -> None:
    with pytest.raises(InputError, match="share no concurrency"):
        judge(parse("output_tok_s<-5%"), compare(run((1,)), run((2,))))


def test_a_figure_that_got_lost_holds() -> None:
    """A level that measures nothing any more must not pass in silence."""
    lost = compare(run_of(fold(with_memory(MADE))), run_of(fold(MADE[:5])))
    assert judge(parse("output_tok_s<-5%"), lost).held
