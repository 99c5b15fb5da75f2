"""What needs no verdict is told at once: nothing heavy is imported for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from sampler_harness.cli import main

try:
    status = main(sys.argv[1:])
except SystemExit as ended:
    status = ended.code
HEAVY = ("hypothesis", "matplotlib", "numpy", "pytest", "rich", "scipy", "torch")
heavy = [name for name in HEAVY if name in sys.modules]
sys.stderr.write(f"{status} {heavy}")
"""


@pytest.mark.parametrize(
    ("call", "heavy"),
    [
        ("--help", []),
        ("--list-checks", []),
        ("--explain law/times", []),
        ("--explain training/target", []),
        ("--explain initial-noise-unscaled", []),
        # References are numpy.
        ("--explain DDIM", ["numpy"]),
        ("--list-references", ["numpy"]),
    ],
)
def test_what_needs_no_verdict_imports_nothing_heavy(call: str, heavy: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, *call.split()], capture_output=True, text=True, check=True)
    assert done.stdout
    assert done.stderr == f"0 {heavy}"
