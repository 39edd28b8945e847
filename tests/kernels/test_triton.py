"""Runs `interpreted_triton.py` in a process of its own.

Triton decides at its import whether to interpret, and another test may have imported it already.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("interpreted_triton.py")


@pytest.mark.timeout(170)
def test_every_kernel_equals_the_reference_under_the_interpreter():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_kernels_does_not_import_triton():
    code = "import sys, motet.kernels; sys.exit(any(m.startswith('motet.kernels.triton') for m in "
    done = subprocess.run([sys.executable, "-c", code + "sys.modules))"])
    assert done.returncode == 0
