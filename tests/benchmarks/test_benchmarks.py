"""The program behind `make bench`, with its quickest benchmarks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

FEW_IMAGES = "import bench_objectives; bench_objectives.IMAGES = 1"


def _run(root: Path, *arguments: str, setup: str = "") -> subprocess.CompletedProcess[str]:
    program = root / "tests" / "benchmarks" / "run.py"
    start = [str(program)]
    if setup:  # before the program starts, in its process
        code = f"import runpy, sys; sys.path.insert(0, {str(program.parent)!r}); {setup}; "
        start = ["-c", f"{code}runpy.run_path({str(program)!r}, run_name='__main__')"]
    settings = os.environ | {"PYTHONPATH": str(root), "COLUMNS": "200"}
    return subprocess.run([sys.executable, *start, *arguments], capture_output=True, text=True, env=settings)


def test_a_benchmark_is_a_table_and_json(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "cpu.json"
    done = _run(root, "--only", "ssim", "--out", str(out), setup=FEW_IMAGES)
    assert done.returncode == 0, done.stderr
    heading, line, *_ = done.stdout.splitlines()
    assert heading.split()[-8:] == ["ours", "peer", "ratio", "images/s", "MiB", "GFLOP/s", "of", "product"]
    told = json.loads(out.read_text())
    (row,) = told["rows"]
    assert row["benchmark"] == "ssim"
    assert row["failures"] == []
    assert line.startswith(f"{row['name']} | {row['against']}")
    assert f"{1000 * row['seconds']:.1f} ms" in line
    assert f"{row['ratio']:.2f}x" in line
    assert row["seconds"] > 0
    assert told["seconds"] > row["seconds"] + row["peer_seconds"]
    assert told["versions"]["torch"] == torch.__version__
    assert told["machine"]["cores"] == os.cpu_count()


def test_a_missing_peer_is_told_and_fails_nothing(root: Path) -> None:
    done = _run(root, "--only", "ema-vq", setup="sys.modules['vector_quantize_pytorch'] = None")
    assert done.returncode == 0, done.stderr
    assert "ema-vq | vector-quantize-pytorch" in done.stdout
    assert "peer not installed" in done.stdout


def test_a_check_that_fails_is_told_and_fails_the_program(root: Path) -> None:
    done = _run(root, "--only", "ssim", setup=f"{FEW_IMAGES}; bench_objectives.TOLERANCE = -1.0")
    assert done.returncode == 1
    assert "FAILED: values differ from the peer's by" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--only", "ssim", "nothing"), "There is no benchmark 'nothing'; available: layers, ema-vq, nt-xent, ssim"),
        pytest.param(
            ("--device", "cuda"),
            "There is no CUDA device here; run with --device cpu.",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
    ],
)
def test_what_cannot_be_run_ends_with_one_sentence(root: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = _run(root, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"run.py: {sentence}")
    assert done.stderr.count("\n") == 1
