"""`benchmarks/gpu.py` on a CPU in small sizes, and all that it would ask for on a GPU."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from llamatop.commands.asked import config_of

from .conftest import Llamatop

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_benchmark", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("small", [False, True])
def test_every_run_is_one_that_llamatop_takes(gpu: ModuleType, small: bool) -> None:
    found = gpu.runs("cuda", small)
    assert len({run.name for run in found}) == len(found)
    for run in found:
        config = config_of(["--record", *run.options])
        assert config.weights == "random"
        assert config.device == "cuda"


def test_the_full_plan_covers_what_the_table_promises(gpu: ModuleType) -> None:
    found = gpu.runs("cuda", small=False)
    assert {run.part for run in found} | {"roofline", "watching"} == set(gpu.PARTS)
    predicted = {run.options[1] for run in found if run.part == "predict"}
    assert len(predicted) >= 8


@pytest.mark.slow
def test_it_records_and_tabulates_on_a_cpu(
    gpu: ModuleType, tmp_path: Path, llamatop: Llamatop, foretold: Callable[..., None]
) -> None:
    for run in gpu.runs("cpu", True):
        if run.part == "scout":
            foretold("--record", *run.options)
    call = [sys.executable, str(SCRIPT), "--device", "cpu", "--small", "--minutes", "3"]
    done = subprocess.run(
        [*call, "--parts", "scout", "--out", str(tmp_path)],
        env=llamatop.env,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| scout-demo")]
    assert len(rows) == 4
    assert all("| ok |" in row and "GB" not in row and "MB" in row for row in rows)
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    assert "Not run" not in done.stdout
