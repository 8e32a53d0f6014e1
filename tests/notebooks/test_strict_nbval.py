"""The notebook checks themselves: what they must let pass, and what they must see."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from strict_nbval import same_text


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ("SSIM 0.8731", "SSIM 0.8732"),  # the rounding tipped
        ("SSIM 0.873149999", "SSIM 0.873150001"),
        ("PSNR  9.99 dB", "PSNR 10.00 dB"),
        ("loss 1.2345e-05", "loss 1.2346e-05"),
        ("[-0.0]", "[0.0]"),
        ("<Figure at 0x7f0123456789>", "<Figure at 0x7fabcdef0123>"),
        ("uid 123e4567-e89b-12d3-a456-426614174000", "uid 00000000-e89b-12d3-a456-426614174000"),
    ],
)
def test_what_may_differ_between_machines_passes(stored, found):
    assert same_text(stored, found)


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ("SSIM 0.8731", "SSIM 0.8733"),
        ("SSIM 0.8731", "SSIM 0.8818"),  # one per cent
        ("SSIM 0.9", "SSIM 0.8"),  # one unit of the last place, but eleven per cent
        ("SSIM 0.031", "SSIM 0.032"),
        ("budget 31", "budget 32"),
        ("10000 images", "10001 images"),
        ("PRIOR 0.8731", "MBOP 0.8731"),
        ("0.8731 0.9012", "0.8731"),
        ("0.8731", "nan"),
        ("0.8731", "-0.8731"),
        ("1.0e-05", "1.0e-04"),
    ],
)
def test_what_is_another_result_fails(stored, found):
    assert not same_text(stored, found)


def _notebook(printed: str, count: int | None = 1) -> nbformat.NotebookNode:
    source = "import math\nprint(f'SSIM {math.sqrt(0.7623):.4f} at 31 tokens')"
    outputs = [new_output("stream", name="stdout", text=printed)] if count else []
    return new_notebook(cells=[new_code_cell(source, execution_count=count, outputs=outputs)])


@pytest.mark.slow
def test_tampered_and_unrun_notebooks_are_seen(tmp_path, run_nbval):
    notebooks = {
        "true": _notebook("SSIM 0.8731 at 31 tokens\n"),
        "tipped": _notebook("SSIM 0.8732 at 31 tokens\n"),
        "tampered": _notebook("SSIM 0.8931 at 31 tokens\n"),
        "miscounted": _notebook("SSIM 0.8731 at 63 tokens\n"),
        "unrun": _notebook("", count=None),
    }
    for name, notebook in notebooks.items():
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    report = run_nbval(tmp_path).stdout
    verdicts = re.findall(r"^(PASSED|FAILED) \S*?(\w+)\.ipynb", report, re.MULTILINE)
    assert {name: verdict for verdict, name in verdicts} == {
        "true": "PASSED", "tipped": "PASSED", "tampered": "FAILED", "miscounted": "FAILED", "unrun": "FAILED",
    }, report  # fmt: skip
