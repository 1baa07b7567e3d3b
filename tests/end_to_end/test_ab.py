"""Two settings by turns, each in its engine."""

from .conftest import Llamatop

TINY = ("--engine", "scripted", "--concurrency", "2", "--requests", "2", "--prompt-toks", "4",
        "--rounds", "2", "--out", "run.parquet")  # fmt: skip


def test_twice_as_long_is_found_by_turns(llamatop: Llamatop) -> None:
    """A request of six tokens and one of three: the first takes twice as long."""
    done = llamatop("ab", "--a", "--gen-toks 3", "--b", "--gen-toks 9", *TINY, "--json",
                    "--fail-if", "e2e_s.mean>50%")  # fmt: skip
    assert done.code == 1, done.err
    (found,) = done.json["comparisons"]
    assert (done.json["baseline"], found["run"]) == ("run.a", "run.b")
    assert {one["concurrency"] for one in found["levels"]} == {2}
    longer = next(one for one in found["levels"] if one["metric"] == "e2e_s.mean")
    assert longer["change"] > 0.5
    assert "round 2 of 2" in done.err
    sides = [llamatop("replay", f"run.{side}.parquet", "--json").json for side in "ab"]
    assert [len(side["levels"]) for side in sides] == [4, 4]
    assert all(side["complete"] for side in sides)


def test_what_ab_cannot_be_asked(llamatop: Llamatop) -> None:
    for bad, why in (
        (("--a", "--engine batch"), "--b"),
        (("--a", "--rubbish", "--b", "--seed 1"), "--rubbish"),
        (("--a", "--seed 1", "--b", "--seed 2", "--concurrency", "1", "2"), "one --concurrency"),
        (("--a", "--seed 1", "--b", "--seed 2", "--until-decided", "2"), "--until-decided 2"),
        (("--a", "'", "--b", "--seed 1"), "cannot be read"),
    ):
        done = llamatop("ab", *bad)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert why in done.err
