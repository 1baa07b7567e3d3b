import shlex

import numpy as np
import pytest

from llamatop.commands.asked import config_of
from llamatop.engines.scripted import script
from llamatop.errors import InputError
from llamatop.figures.levels import level_figures
from llamatop.reports.knee import knee
from llamatop.reports.model_table import model_table
from llamatop.reports.recommend import recommend
from llamatop.reports.repeated import repeated_text
from llamatop.reports.run_text import table
from llamatop.reports.runs import Run, run_of
from llamatop.reports.text import recommendation_text
from llamatop.run.replay import fold
from llamatop.settings.config import RunConfig, parse_slo
from llamatop.settings.lengths import Lengths
from tests.reports.samples import events, level_of, run, session_of, with_config, with_memory


def saturating() -> Run:
    """Throughput stops growing at 4 requests in flight."""
    pace = {1: 0.02, 2: 0.02, 4: 0.02, 8: 0.0398, 16: 0.08}
    levels = [
        level_of([[pace[c]] * 32] * (c * 4), c, level=i) for i, c in enumerate((1, 2, 4, 8, 16))
    ]
    return run_of(session_of(levels), "saturating")


def test_throughput_takes_the_shorter_wait_where_levels_are_as_good() -> None:
    found = recommend([saturating()], "throughput")
    assert found.concurrency == 4
    assert "not to be told from the most of 5 levels" in found.reasons[0]
    assert "nothing tells it from concurrency 8, 16: the smaller is taken" in found.reasons
    assert found.figure is not None and found.figure.low is not None


def test_latency_takes_the_smallest_of_levels_that_are_as_quick() -> None:
    found = recommend([saturating()], "latency")
    assert found.concurrency == 1
    assert "nothing tells it from concurrency 2, 4: the smaller is taken" in found.reasons


def noisy(pace: dict[int, float], seed: int, spread: float) -> Run:
    random = np.random.default_rng(seed)
    levels = [
        level_of(
            [[step * float(np.exp(random.normal(0, spread)))] * 8 for _ in range(4 * c)], c, level=i
        )
        for i, (c, step) in enumerate(pace.items())
    ]
    return run_of(session_of(levels), f"noisy{seed}")


def test_a_single_noisy_level_does_not_win() -> None:
    pace = {1: 0.02, 2: 0.02, 4: 0.02}
    found = [recommend([noisy(pace, seed, 0.05)], "latency").concurrency for seed in range(20)]
    assert found.count(1) >= 17


def test_runs_of_one_setting_are_one_candidate_a_level() -> None:
    runs = [noisy({1: 0.02, 4: 0.021}, seed, 0.03) for seed in range(4)]
    found = recommend(runs, "throughput")
    assert found.concurrency == 4
    assert "the intervals are those of 4 runs" in found.reasons[-1]


def test_one_level_is_no_choice() -> None:
    one = run((4,), requests=32)
    found = recommend([one], "throughput")
    assert found.concurrency is None
    assert "the only level measured" in found.reasons[0]
    assert "--concurrency 1 2 4 8" in found.command
    assert "no answer yet" in recommendation_text(found)


def test_slo() -> None:
    assert recommend([saturating()], "slo", parse_slo("tpot=0.05")).concurrency == 4
    assert recommend([saturating()], "slo", parse_slo("tpot=0.03,ttft=1")).concurrency == 4
    none = recommend([saturating()], "slo", parse_slo("e2e=0.001"))
    assert none.concurrency is None
    assert none.reasons[0] == "no level keeps e2e 1.00 ms for 95% of its requests"
    assert none.reasons[1] == "concurrency 1: 0 of 4 requests (0%), E2E breaks first"


def test_a_level_that_keeps_the_targets_for_half_its_requests_keeps_none() -> None:
    slow = [[0.02] * 8, [0.06] * 8]
    levels = [level_of([slow[0]] * 32, 4), level_of([slow[n % 2] for n in range(64)], 16, level=1)]
    both = run_of(session_of(levels), "half")
    slo = parse_slo("tpot=0.05")
    assert recommend([both], "slo", slo).concurrency == 4
    assert recommend([both], "slo", slo, share=0.5).concurrency == 16


@pytest.mark.parametrize(
    "text", ["", "ttft", "ttft=x", "speed=1", "ttft=-1", "ttft=nan", "ttft=inf"]
)
def test_slos_that_cannot_be(text: str) -> None:
    with pytest.raises(InputError, match="--slo"):
        parse_slo(text)


def test_the_knee() -> None:
    session = saturating().session
    bend = knee([level_figures(session, level) for level in session.levels.values()])
    assert bend is not None
    assert bend.concurrency == 4
    rising = run((1, 2, 4)).figures
    assert knee(rising) is None, "throughput still grows at the last level"
    assert knee(rising[:2]) is None


def test_the_command_runs_that_level_again() -> None:
    one = run((1, 2), model="meta-llama/Llama-3.2-1B")
    found = recommend([one], "throughput")
    words = shlex.split(found.command)
    config = config_of(words[1:])
    assert config.model == "meta-llama/Llama-3.2-1B"
    assert config.concurrency == (2,)
    assert config.engine == "scripted"
    assert config.rate is None


def test_the_command_of_an_open_loop_has_its_rate() -> None:
    open_loop = run_of(fold(with_config(events((2,)), rate=2.5)))
    found = recommend([open_loop], "throughput")
    assert config_of(shlex.split(found.command)[1:]).rate == 2.5


def test_levels_that_failed_are_never_recommended() -> None:
    one = run_of(fold(with_memory(events((1, 2, 4)), oom=(4,))))
    found = recommend([one], "throughput")
    assert found.concurrency == 2
    assert "memory ended at concurrency 4" in found.reasons
    nothing = run_of(fold(with_memory(events((1,)), oom=(1,))))
    with pytest.raises(InputError, match="nothing to recommend"):
        recommend([nothing], "latency")


def test_the_table_of_models() -> None:
    rows = model_table([saturating(), run((1, 2), name="other")])
    assert len(rows) == 2
    assert "most tokens/s" in rows[0].use
    assert rows[1].run == "other"
    assert "concurrency 4 of saturating" in recommendation_text(
        recommend([saturating()], "throughput")
    )


def test_several_runs_in_a_few_lines() -> None:
    runs = [noisy({1: 0.02, 4: 0.021}, seed, 0.03) for seed in range(3)]
    text = repeated_text(runs)
    assert [line.split(":")[0].strip() for line in text.splitlines()[1:]] == [
        "concurrency 1", "concurrency 4",
    ]  # fmt: skip
    assert text.count("of 3 runs") == 2 and text.count(" to ") == 2


def test_several_runs_of_a_level_that_none_has_whole_say_why() -> None:
    text = repeated_text([run(concurrency=(1, 16), requests=4) for _ in range(2)])
    assert "concurrency 1: " in text and "of 2 runs" in text
    assert "concurrency 16: N/A (4 in flight at once at most, not 16: give more --requests)" in text
    broken = run_of(fold(with_memory(events((1,)), oom=(1,))))
    assert "concurrency 1: N/A (no run carried it" in repeated_text([broken, broken])
    assert "of 1 of 2 runs" in repeated_text([broken, run_of(fold(events((1,))))])


def test_a_concurrency_that_was_never_reached_is_told_and_not_recommended() -> None:
    reached = run(concurrency=(1, 16), requests=4)
    found = recommend([reached], "throughput")
    assert found.concurrency is None and "at concurrency 1, the only level" in found.reasons[0]
    assert [figures.most_at_once for figures in reached.figures] == [1, 4]
    assert "4 in flight at once at most, not 16" in table(reached.session)
    with pytest.raises(InputError, match="as many requests in flight as its concurrency"):
        recommend([run(concurrency=(16,), requests=4)], "latency")


def test_an_open_loop_need_not_reach_its_bound() -> None:
    seldom = run_of(fold(with_config(events(concurrency=(16,), requests=4), rate=1.0)), "open")
    assert "never reached" not in table(seldom.session)
    assert "at concurrency 16, the only level" in recommend([seldom], "throughput").reasons[0]


def asked(**config: object) -> Run:
    return run_of(fold(script(RunConfig(engine="scripted", concurrency=(2,), **config))), "run")  # type: ignore[arg-type]


def test_one_token_replies_do_not_keep_a_tpot_target() -> None:
    short = asked(requests=4, gen_toks=1, slo={"tpot": 9.0})
    (figures,) = short.figures
    assert (figures.completed, figures.goodput, figures.judged) == (4, None, 0)
    assert "0 of 4 could be judged by every target" in table(short.session)
    drawn = Lengths("uniform", 1, 2)
    mixed = asked(requests=8, gen_lengths=drawn, gen_toks=2, slo={"tpot": 9.0, "ttft": 9.0})
    (figures,) = mixed.figures
    two = sum(request.tokens == 2 for request in mixed.session.levels[0].requests)
    assert 0 < two < 8, "the seed draws both"
    assert figures.judged == two
    assert figures.goodput == pytest.approx(two / figures.duration)
    broken = asked(requests=4, gen_toks=1, slo={"tpot": 9.0, "ttft": 1e-9})
    assert (broken.figures[0].judged, broken.figures[0].goodput) == (4, 0), "one is broken anyway"
