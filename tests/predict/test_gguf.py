"""What is told of GGUF models, against llama.cpp's own sizes and its server's resident memory."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llamatop.catalog.gguf import read
from llamatop.commands.check import main
from llamatop.errors import InputError
from llamatop.predict.checking import Place
from llamatop.predict.gguf import check
from llamatop.predict.gguf_caches import caches
from llamatop.predict.llamacpp import Server, padded
from llamatop.settings.config import RunConfig
from tests import gguf_files as files

WINDOWED = {
    "hidden": 640,
    "inner": 2048,
    "layers": 6,
    "heads": 4,
    "shared": 1,
    "size": 256,
    "tokens": 8192,
    "attention__sliding_window": 512,
}
"""As Gemma 3 270M, with fewer layers and tokens."""
PLACE = Place("cpu", 10**9)


def model(folder: Path, name: str = "llama", **more: Any) -> Path:
    return files.write(folder / f"{name}.gguf", *files.transformer(name, **more))


def kinds(path: Path, cache_type: str = "f16") -> list[tuple[int, int, int | None]]:
    return [tuple(kind)[:3] for kind in map(_tuple, caches(read(path), cache_type).kinds)]


def _tuple(kind: Any) -> tuple[int, int, int | None]:
    return kind.count, kind.kv_bytes_per_token, kind.window


def test_the_cache_is_counted_as_llama_cpp_holds_it(tmp_path: Path) -> None:
    """Its log for the demo's shape: 5 layers, 5.00 MiB in 2048 cells."""
    path = model(tmp_path)
    assert kinds(path) == [(5, 512, None)]
    assert kinds(path, "q8_0") == [(5, 272, None)]
    assert kinds(path, "q4_0") == [(5, 144, None)]
    assert Server(read(path), "f16", "cpu").slot_bytes(2048) == 5 * 2**20


def test_windows_and_a_step_of_prefill(tmp_path: Path) -> None:
    """Its log for Gemma 3 270M with `-np 4 -c 8192`: 24 MiB in 2048 cells, 60 MiB in 1024."""
    path = model(tmp_path, "gemma3", **(WINDOWED | {"layers": 18}))
    assert sorted(kinds(path)) == [(3, 1024, None), (15, 1024, 512)]
    assert 4 * Server(read(path), "f16", "cpu").slot_bytes(2048) == (24 + 60) * 2**20


def test_heads_are_one_a_layer(tmp_path: Path) -> None:
    """LFM2: layers without key/value heads have a state of their convolution."""
    settings, tensors = files.transformer("lfm2", layers=4, shortconv__l_cache=3)
    settings["lfm2.attention.head_count_kv"] = [0, 2, 0, 2]
    held = caches(read(files.write(tmp_path / "m.gguf", settings, tensors)), "f16")
    assert [_tuple(kind) for kind in held.kinds] == [(2, 512, None)]
    assert held.state_bytes == 2 * 256 * 2 * 4


def test_a_speed_that_is_not_foretold_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(model(tmp_path))
    assert main(["--model", path, "--device", "cpu"]) == 0
    assert "decode and prefill: what this engine reaches" in capsys.readouterr().out
    assert main(["--model", path, "--device", "cpu", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["models"][0]
    assert set(told["unknown"]) == {"decode_floor_tok_s", "prefill_floor_s"}
    assert main(["--model", path, "--device-name", "RTX 4090", "--json"]) == 0
    assert not json.loads(capsys.readouterr().out)["models"][0]["unknown"]


def test_what_is_not_understood_is_null_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = model(tmp_path, "novel")
    main(["--model", str(path), "--json"])
    told = json.loads(capsys.readouterr().out)["models"][0]
    assert told["kv_bytes_per_token"] is None
    assert told["levels"][0]["peak_bytes"] is None
    assert "novel" in told["unknown"]["kv_bytes_per_token"]
    assert told["parameters"] == sum(one.numbers for one in read(path).tensors)


def test_a_folder_is_each_of_its_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model(tmp_path)
    model(tmp_path, "gemma3", **WINDOWED)
    assert main(["--model", str(tmp_path), "--json", "--memory", "1GB"]) == 0
    told = json.loads(capsys.readouterr().out)["models"]
    assert [Path(one["model"]).stem for one in told] == ["gemma3", "llama"]
    for one in told:
        assert one["stored_bytes"] == sum(one["stored_by_type"].values())


def test_the_most_slots_fit_and_one_more_does_not(tmp_path: Path) -> None:
    path = model(tmp_path, "gemma3", **WINDOWED)
    config = RunConfig(model=str(path), prompt_toks=1500, gen_toks=12)
    found = check(config, PLACE)
    server = Server(read(path), "f16", "cpu")
    most = found.max_concurrency
    assert most is not None and most > 1
    sure = [server.peak(n, 1500, 12).sure_bytes(found.band) for n in (most, most + 1)]
    assert sure[0] <= PLACE.available_bytes < sure[1]


def test_the_longest_context_is_the_same_for_every_prompt(tmp_path: Path) -> None:
    path = model(tmp_path)
    config = RunConfig(model=str(path), prompt_toks=100, gen_toks=20)
    small = Place("cpu", 120_000_000)
    longest = {check(RunConfig(model=str(path), prompt_toks=p, gen_toks=20), small).max_context
               for p in (100, 5000)}  # fmt: skip
    assert len(longest) == 1
    tokens = longest.pop()
    assert tokens is not None and 256 <= tokens < 32768
    server, band = Server(read(path), "f16", "cpu"), check(config, small).band
    assert server.peak(1, tokens - 1, 1).sure_bytes(band) <= small.available_bytes
    assert server.peak(1, tokens + 255, 1).sure_bytes(band) > small.available_bytes


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dtype", "float16"], "runs as it is stored"),
        (["--prompt-toks", "40000"], "takes at most 32768"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, options: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        main(["--model", str(model(tmp_path)), *options])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"general.architecture": "clip"}, "a projector of images"),
        ({"general.type": "imatrix"}, "no model"),
        ({"llama.block_count": "many"}, "llama.block_count is no number"),
        ({"llama.attention.head_count_kv": [1, 2]}, "not one a layer"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    usual, tensors = files.transformer()
    path = files.write(tmp_path / "m.gguf", usual | settings, tensors)
    with pytest.raises(InputError, match=said):
        check(RunConfig(model=str(path)), PLACE)


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from llamatop.commands.check import main; main(sys.argv[1:]); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'gguf')))"
    )
    path = str(model(tmp_path))
    subprocess.run([sys.executable, "-c", code, "--model", path], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.timeout(600)  # llama.cpp spins: beside busy neighbours it takes minutes
@pytest.mark.parametrize(
    ("name", "more", "slots", "prompt", "cache_type"),
    [
        ("llama", {}, 1, 500, "f16"),
        ("llama", {}, 4, 700, "f16"),
        ("llama", {"kind": files.Q4_0}, 4, 700, "q8_0"),
        ("gemma3", WINDOWED, 1, 1200, "f16"),
        ("gemma3", WINDOWED, 3, 700, "f16"),
        ("gemma3", WINDOWED | {"kind": files.Q8_0}, 2, 500, "q8_0"),
    ],
)
def test_the_peak_is_what_its_server_then_takes(  # noqa: PLR0917
    tmp_path: Path, name: str, more: dict[str, Any], slots: int, prompt: int, cache_type: str
) -> None:
    pytest.importorskip("xllamacpp")
    path = model(tmp_path, name, **more)
    told = Server(read(path), cache_type, "cpu").peak(slots, prompt, 12).peak_bytes
    given = [path, slots, padded(prompt + 12), prompt, cache_type]
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("llamacpp_memory.py")), *map(str, given)],
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.search(r"peak (\d+)", ran.stdout)
    assert found is not None, ran.stderr
    assert told == pytest.approx(int(found[1]), rel=0.03)
