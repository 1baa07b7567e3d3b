"""Memory really ends: a real engine with a limit of its own, and everything else lives on."""

import pytest

from llamatop.recording.reader import open_recording
from llamatop.reports.frontier import memory_end
from llamatop.run.replay import fold

from .conftest import Llamatop

LIMIT = 600_000_000
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Speed is no matter here, and neighbours should not be."""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["batch", "threads", "continuous"])
def test_memory_ends_and_the_most_that_works_is_found(llamatop: Llamatop, engine: str) -> None:
    done = llamatop("--record", "--model", "demo", "--engine", engine, "--prompt-toks", "1024",
                    "--gen-toks", "2", "--concurrency", "8", "--until-oom", "--memory", "600MB",
                    "--json", "--out", "run.parquet", **ONE_THREAD)  # fmt: skip
    assert done.code == 0, done.err
    levels, end = done.json["levels"], done.json["memory_end"]
    outcomes = {level["concurrency"]: level["outcome"] for level in levels}
    assert outcomes[end["works"]] == "ok" and outcomes[end["fails"]] == "oom"
    assert end["fails"] == end["works"] + 1
    assert end["limit_bytes"] == LIMIT and end["phase"]
    for level in levels:
        assert (level["outcome"] == "oom") == (level["concurrency"] > end["works"])
        assert level["peak_memory"]["host_bytes"] < LIMIT * 1.02
        assert level["predicted_memory"]["host_bytes"]
    replayed = llamatop("replay", "run.parquet", "--json")
    assert (replayed.code, replayed.out) == (0, done.out)
    session = fold(open_recording(str(llamatop.folder / "run.parquet")).events)
    assert session.ended and session.ended.outcome == "oom" and memory_end(session)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "memory", "first"),
    [("batch", "500MB", "8"), ("batch", "600MB", "32"), ("batch", "800MB", "72"),
     ("continuous", "600MB", "80"), ("continuous", "800MB", "180")],
)  # fmt: skip
def test_check_says_where_memory_ends(
    llamatop: Llamatop, engine: str, memory: str, first: str
) -> None:
    """The most that `check` says fits is what ran, within 5 %, or one request."""
    load = ("--model", "demo", "--engine", engine, "--memory", memory,
            "--prompt-toks", "512", "--gen-toks", "4")  # fmt: skip
    told = llamatop("check", *load, "--json").json["models"][0]["max_concurrency"]
    done = llamatop("--record", *load, "--concurrency", first, "--requests", "1", "--until-oom",
                    "--json", "--out", "run.parquet")  # fmt: skip
    works = done.json["memory_end"]["works"]
    assert abs(told - works) <= max(1, 0.05 * works), (told, works)


@pytest.mark.slow
def test_memory_that_ends_in_the_load_is_a_result_too(llamatop: Llamatop) -> None:
    model = ("--model", "HuggingFaceTB/SmolLM2-135M-Instruct", "--weights", "random")
    done = llamatop("--record", *model, "--until-oom", "--memory", "450MB", "--json",
                    "--out", "run.parquet", **ONE_THREAD)  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["levels"] == []
    assert done.json["memory_end"]["phase"] == "load"
    assert llamatop("replay", "run.parquet", "--json").out == done.out


def test_a_limit_below_the_libraries_is_told_in_one_line(llamatop: Llamatop) -> None:
    done = llamatop("--record", "--memory", "100MB", "--out", "run.parquet")
    assert done.code == 2
    assert done.err.count("\n") == 1 and "--memory" in done.err, done.err
