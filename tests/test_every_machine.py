"""The tests that rounding could sway also pass with other instructions and other numbers of threads.

Which kernels torch chooses depends on the processor; child processes are told to take those of older ones. Their
closing lines stand at the end of the log.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SENSITIVE = (
    "tests/training/test_several_processes.py::test_two_processes_have_the_loss_and_gradients_of_one_with_the_joint_batch",
    "tests/training/test_loop.py::test_a_run_stopped_by_ctrl_c_and_resumed_equals_one_that_was_not",
    "tests/tokens/test_ema_vq.py",
    "tests/probes/test_linear_probes.py",
    "tests/probes/test_matching.py",
    "tests/test_information.py",
    "tests/data/household/test_build.py::test_rendering_again_gives_the_bundled_bits",
    "tests/notebooks/test_notebooks.py::test_a_notebook_gives_again_what_it_stores[01_explore_budgets.ipynb]",
)
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # Dask leaves the second in the environment
SETTINGS = {
    "default instructions, one thread": {"ATEN_CPU_CAPABILITY": "default"} | dict.fromkeys(THREADS, "1"),
    "AVX2, two threads": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"} | dict.fromkeys(THREADS, "2"),
}


@pytest.fixture(scope="module")
def children() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """The tests in a process for each setting, all at once."""
    started = {
        name: _start([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SENSITIVE], settings)
        for name, settings in SETTINGS.items()
        if _is_there(settings)
    }
    yield started
    for child in started.values():
        child.kill()


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_sensitive_tests_pass_with_other_instructions_and_threads(
    name: str, children: dict[str, subprocess.Popen[str]], record_property: Callable[[str, object], None]
) -> None:
    if name not in children:
        pytest.skip("AVX2 is x86's")
    told = (
        "import os, torch; print(torch.backends.cpu.get_cpu_capability(), torch.get_num_threads());"
        "assert torch.get_num_threads() == int(os.environ['OMP_NUM_THREADS'])"
    )
    kernels, problems = _start([sys.executable, "-c", told], SETTINGS[name]).communicate(timeout=60)
    assert not problems
    said, problems = children[name].communicate(timeout=600)
    closing = said.strip().rpartition("\n")[2]
    record_property("closing line", f"{name} ({kernels.strip()}): {closing}")
    assert children[name].returncode == 0, said[-20_000:] + problems[-2_000:]
    assert "passed" in closing


def _is_there(settings: dict[str, str]) -> bool:
    return settings["ATEN_CPU_CAPABILITY"] != "avx2" or platform.machine() in ("x86_64", "AMD64")


def _start(command: list[str], settings: dict[str, str]) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=os.environ | settings, cwd=ROOT, text=True, **pipes)
