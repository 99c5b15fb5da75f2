"""Data flows one way, subject -> observe -> law -> checks -> runner -> report -> plugin and command line."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "harness" / "sampler_harness"
REFERENCES = Path(__file__).parent.parent / "reference_samplers"

#: A module may import from its own layer's number or a lower one.
LAYERS = {
    "plain": 0,
    "portrait": 0,
    "verdict": 0,
    "sharing": 0,
    "strategies": 0,
    "subject": 0,
    "cases": 1,
    "observe": 2,
    "law": 3,
    "checks": 4,
    "training": 4,
    "data": 4,
    "diagnosis": 5,
    "portraying": 5,
    "runner": 5,
    "adapters": 5,
    "detail": 5,
    "targets": 6,
    "report": 6,
    "gate": 7,
    "triage": 7,
    "plugin": 8,
    "cli": 8,
    "__init__": 9,
}
#: The catalogue is a list of ids, light enough for everyone.
FREE = {"sampler_harness.checks.catalogue", "sampler_harness.checks.remedies"}


def imported(path: Path) -> list[str]:
    """Names of the modules that a file imports, relative ones made absolute."""
    if PACKAGE in path.parents:
        package = ["sampler_harness", *path.relative_to(PACKAGE).parts[:-1]]
    else:
        package = ["reference_samplers"]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found.append(".".join([*base, *([node.module] if node.module else [])]))
    return found


def layer_of(module: str) -> int:
    parts = module.split(".")
    return LAYERS["__init__"] if len(parts) == 1 else LAYERS[parts[1]]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    name = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for module in imported(path):
        if not module.startswith("sampler_harness") or module in FREE:
            continue
        assert layer_of(module) <= LAYERS[name], f"{path.name} ({name}) imports {module} from a higher layer"


def test_references_know_numpy_alone() -> None:
    files = sorted(REFERENCES.glob("*.py"))
    assert files
    for path in files:
        for module in imported(path):
            root = module.split(".")[0]
            assert root in sys.stdlib_module_names | {"numpy", "reference_samplers"}, f"{path.name}: {module}"


@pytest.mark.parametrize("module", ["sampler_harness", "sampler_harness.plugin", "sampler_harness.checks.catalogue"])
def test_loading_is_light(module: str) -> None:
    script = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'scipy', 'hypothesis', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
