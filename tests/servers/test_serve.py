"""A server that llamatop starts: driven, and gone with all its children, however the run ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from llamatop.catalog import demo_folder
from llamatop.recording.reader import open_recording
from llamatop.serve.shapes import kv_bytes
from llamatop.session.reducer import Session
from tests.end_to_end.conftest import Llamatop
from tests.waiting import gone, until

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Stubborn:
    """A scripted server that is hard to end, as a command, and its processes."""

    pids: Path

    def options(self, how: str = "serve") -> list[str]:
        command = [sys.executable, str(HERE / "stubborn_server.py"), how, "{port}", str(self.pids)]
        return ["--record", "--serve", shlex.join(command), "--out", "run.parquet"]

    def processes(self) -> list[psutil.Process]:
        """The server and what it left to itself, once both run."""
        until(self.pids.exists, 60)
        return [psutil.Process(int(pid)) for pid in self.pids.read_text().split()]

    def is_gone(self) -> bool:
        """Whether nothing of it is left."""
        return all(ended(int(pid)) for pid in self.pids.read_text().split())


def ended(pid: int) -> bool:
    try:
        return gone(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def stubborn(tmp_path: Path) -> Stubborn:
    return Stubborn(tmp_path / "pids")


def recorded(llamatop: Llamatop) -> Session:
    session = Session()
    for event in open_recording(llamatop.folder / "run.parquet").events:
        session.apply(event)
    return session


def test_a_run_drives_its_server_and_ends_it(llamatop: Llamatop, stubborn: Stubborn) -> None:
    done = llamatop(*stubborn.options(), "--json", "--requests", "2", "--gen-toks", "4")
    assert done.code == 0, done.err
    assert stubborn.is_gone()
    assert "serving: " in done.err and "the server was ready after" in done.err
    [level], serve = done.json["levels"], done.json["serve"]
    assert (level["completed"], level["output_tokens"]) == (2, 8)
    assert shlex.split(serve["command"])[:2] == [sys.executable, str(HERE / "stubborn_server.py")]
    assert serve["loading_s"] > 0
    assert done.json["server"][0]["url"].rpartition(":")[2] in serve["command"]
    again = llamatop("replay", "run.parquet", "--json").json
    assert again["serve"] == serve and again["levels"] == done.json["levels"]


def test_llama_cpp_needs_no_more_than_its_name(llamatop: Llamatop) -> None:
    done = llamatop("--record", "--serve", "llama.cpp", "--model", "demo", "--concurrency", "1",
                    "8", "--json", "--prompt-toks", "16", "--gen-toks", "2", "--requests", "8",
                    "--out", "run.parquet")  # fmt: skip
    assert done.code == 0, done.err
    told = done.json
    assert told["model"] == "demo"
    assert [server["name"] for server in told["server"]] == ["llama.cpp"]
    for level in told["levels"]:
        assert (level["completed"], level["output_tokens"], level["short"]) == (8, 16, 0)
        assert (level["prompt_tokens"], level["cached_prompt_tokens"]) == (128, 0)
    one, eight = (level["weights_kv_bytes"] for level in told["levels"])
    assert eight - one == 7 * kv_bytes(demo_folder(), 18), "of requests of 18 tokens"
    assert any(one.server_bytes for one in recorded(llamatop).host)


def test_two_servers_are_run_one_after_the_other_and_compared(
    llamatop: Llamatop,
) -> None:
    command = [sys.executable, str(HERE / "scripted_server.py"), "{port}"]
    one = ["--serve", shlex.join(command)]
    done = llamatop("--record", *one, *one, "--json", "--requests", "2", "--gen-toks", "4",
                    "--out", "both.parquet")  # fmt: skip
    assert done.code == 0, done.err
    runs = done.json["runs"]
    assert [run["recording"] for run in runs] == ["both.1.parquet", "both.2.parquet"]
    assert len({run["server"][0]["url"] for run in runs}) == 2
    [comparison] = done.json["comparisons"]
    assert comparison["run"] == "both.2"
    assert comparison["setup"] == []
    alone = llamatop("compare", "both.1.parquet", "both.2.parquet", "--json").json
    assert alone["comparisons"] == done.json["comparisons"]


@pytest.mark.slow
def test_transformers_needs_no_more_than_its_name(llamatop: Llamatop) -> None:
    done = llamatop("--record", "--serve", "transformers", "--model", "demo", "--concurrency", "4",
                    "--json", "--prompt-toks", "40", "--gen-toks", "8",
                    "--requests", "8")  # fmt: skip
    assert done.code == 0, done.err
    [server], [level] = done.json["server"], done.json["levels"]
    assert (server["name"], done.json["model"]) == ("transformers", "demo")
    assert (level["completed"], level["prompt_tokens"], level["output_tokens"]) == (8, 320, 64)


@pytest.mark.slow  # minutes
@pytest.mark.timeout(900)
@pytest.mark.parametrize("more", ["", "--tensor-parallel-size 2", "--data-parallel-size 2"])
def test_vllm_is_started_with_one_process_and_with_two(llamatop: Llamatop, more: str) -> None:
    environment = Path(os.environ.get("LLAMATOP_VLLM", ".vllm")).absolute()
    if not (environment / "bin" / "vllm").exists():
        pytest.skip("vLLM is not installed: tests/servers/install_vllm.sh, or set LLAMATOP_VLLM")
    command = f"vllm serve {{model}} --port {{port}} --enforce-eager --max-model-len 512 {more}"
    alone = {"VLLM_HOST_IP": "127.0.0.1", "VLLM_LOOPBACK_IP": "127.0.0.1"}
    alone |= {"GLOO_SOCKET_IFNAME": "lo", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    alone |= {"VLLM_CPU_KVCACHE_SPACE": "1"} | (
        {"VLLM_CPU_OMP_THREADS_BIND": "0|1"} if more else {}
    )
    path = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
    running = llamatop.start("--record", "--json", "--serve", command, "--model", "demo",
                             "--concurrency", "4", "--gen-toks", "8", "--requests", "8",
                             "--prompt-toks", "32", PATH=path, **alone)  # fmt: skip
    out, err = running.communicate(timeout=800)
    assert running.returncode == 0, err
    [server], [level] = json.loads(out)["server"], json.loads(out)["levels"]
    assert (server["name"], server["tokens_by"]) == ("vllm", "token_ids")
    assert (level["completed"], level["output_tokens"], level["prompt_tokens"]) == (8, 64, 256)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
        (signal.SIGKILL, -9),
    ],
)
def test_however_the_run_is_stopped_while_it_loads_nothing_is_left(
    llamatop: Llamatop, stubborn: Stubborn, number: int, code: int
) -> None:
    running = llamatop.start(*stubborn.options("hang"))
    found = stubborn.processes()
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == code, err
    until(lambda: all(map(gone, found)))


@pytest.mark.slow  # the same leash as while it loads
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_so_while_it_serves(llamatop: Llamatop, stubborn: Stubborn, number: int, code: int) -> None:
    running = llamatop.start(*stubborn.options(), "--verbose", "--requests", "1000000")
    assert running.stderr is not None
    while "request 1" not in (line := running.stderr.readline()):
        assert line, "it has ended"
    running.send_signal(number)
    running.communicate(timeout=60)
    assert running.returncode == code
    until(stubborn.is_gone)


def test_one_that_dies_while_it_loads_is_told_with_its_last_lines(
    llamatop: Llamatop, stubborn: Stubborn
) -> None:
    done = llamatop(*stubborn.options("3"))
    assert done.code == 1
    assert "server: loading the weights of nothing\nserver: weights are missing: {none}" in done.err
    assert "while it was loading: exit code 3: weights are missing: {none}" in done.out
    assert stubborn.is_gone()
    session = recorded(llamatop)
    assert session.ended and session.ended.outcome == "failed"
    assert session.printed and session.printed.line == "weights are missing: {none}"


def test_one_that_does_not_understand_its_options_is_bad_input(
    llamatop: Llamatop, stubborn: Stubborn
) -> None:
    done = llamatop(*stubborn.options("2"))
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("llamatop: --serve ")
    assert done.err.endswith("it does not start: exit code 2: weights are missing: {none}\n")
    assert not (llamatop.folder / "run.parquet").exists()


def test_one_that_dies_at_the_first_request_is_lost_and_no_bad_input(
    llamatop: Llamatop, stubborn: Stubborn
) -> None:
    """Its client is refused before its process has ended."""
    done = llamatop(*stubborn.options("fall"))
    assert done.code == 1, done.err
    assert "server: the first request was too much" in done.err
    assert "exit code 2: the first request was too much" in done.out
    assert recorded(llamatop).refused is None
    assert stubborn.is_gone()


def test_one_that_never_gets_ready_is_ended(llamatop: Llamatop, stubborn: Stubborn) -> None:
    done = llamatop(*stubborn.options("hang"), "--serve-timeout", "8")
    assert done.code == 1
    assert "not ready within 8 s (--serve-timeout); it said: loading the weights" in done.out
    until(stubborn.is_gone)


def test_one_that_ends_while_it_serves_ends_the_run(llamatop: Llamatop, stubborn: Stubborn) -> None:
    running = llamatop.start(*stubborn.options(), "--verbose", "--requests", "1000000")
    assert running.stderr is not None
    while "request 1" not in (line := running.stderr.readline()):
        assert line, "it has ended"
    _left, server = map(int, stubborn.pids.read_text().split())
    psutil.Process(server).kill()
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "server: loading the weights of nothing" in err
    session = recorded(llamatop)
    assert session.lost and session.lost.server and session.lost.exit_code == -9
    assert session.level and session.level.outcome == "failed"
    assert not session.active, out
    until(stubborn.is_gone)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--serve", "no-such-program {port}"], "there is no program no-such-program here"),
        (["--serve", "true"], "has no {port}"),
        (["--serve", "true {port}", "--url", "http://a:1"], "--serve and --url: give one"),
        (["--serve", "true {port}", "--dtype", "float32"], "--dtype and --serve: the model is"),
        (["--serve", "true {port}", "--engine", "batch"], "--engine batch and --serve"),
        (["--serve", "true {port}", "--serve", "no-such {port}"], "there is no program no-such"),
        (["--serve", "true {port}", "--serve", "vllm", "--runs", "2"], "choose one"),
        (["--serve-timeout", "5"], "--serve-timeout: goes with --serve"),
        (["--serve", "true {port}", "--serve-timeout", "0"], "must be more than 0 seconds"),
    ],
)
def test_what_cannot_be_is_one_line(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from llamatop.cli import main  # noqa: PLC0415

    assert main(["--record", *options]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
