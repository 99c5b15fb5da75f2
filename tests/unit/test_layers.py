"""Which room of the package may know which: a list of edges, and nothing beside it, however the import is written."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "harness" / "sampler_harness"
REFERENCES = Path(__file__).parents[2] / "reference_samplers"

#: Each room (a folder, or a file of its own), and the rooms that it may import from: at the top of a file, inside of a
#: function, for types alone, or by a module's name in a string. The order is the one in which a declaration becomes a
#: verdict.
EDGES: dict[str, set[str]] = {
    # Plain data, which everyone may read.
    "portrait": set(),
    "pinned": set(),
    "known_failures": {"pinned", "verdict"},
    "verdict": {"pinned", "portrait"},
    "sharing": set(),
    "causes": {"verdict"},
    "wording": set(),
    "plain": set(),
    "catalogue": set(),
    "identity": set(),
    "budgets": set(),
    # What is declared, and what is tried of it.
    "subject": {"catalogue", "pinned", "wording"},
    "strategies": {"budgets", "subject"},
    "cases": {"budgets", "strategies", "subject"},
    "importing": set(),
    "arguments": set(),
    "adapters": {"importing", "pinned", "subject"},
    "targets": {"adapters", "importing", "subject", "wording"},
    "handing": {"adapters", "arguments", "budgets", "cases", "importing", "subject", "targets"},
    # What is seen of a run, and what follows from it.
    "observe": {"subject"},
    "law": {"observe", "subject"},
    "identifying": {"checks", "identity", "law", "observe", "subject"},
    # What is measured, and what it is judged by: a room for each kind, which know nothing of each other.
    "evidence": {"budgets", "subject", "verdict"},
    "judging": {"observe", "pinned", "verdict"},
    "checks": {"cases", "evidence", "judging", "law", "observe", "pinned", "strategies", "subject", "verdict"},
    "training": {"budgets", "cases", "evidence", "judging", "law", "observe", "strategies", "subject", "verdict"},
    "data": {"evidence", "judging", "subject", "verdict"},
    "grids": {"cases", "evidence", "judging", "law", "observe", "strategies", "subject", "verdict"},
    "kinds": {"catalogue", "checks", "data", "evidence", "grids", "training", "verdict"},
    # What a sampler does instead, how it looks, and what it comes to.
    "detail": {"checks", "law", "observe", "plain", "subject"},
    "diagnosis": {
        "budgets",
        "cases",
        "checks",
        "detail",
        "grids",
        "judging",
        "law",
        "observe",
        "strategies",
        "subject",
        "training",
        "verdict",
    },
    "repair": {"checks", "diagnosis", "law", "observe", "subject", "verdict"},
    "portraying": {"checks", "judging", "law", "observe", "portrait", "subject", "verdict"},
    "saved_laws": {"checks", "law", "observe", "verdict"},
    "measuring": {"checks", "subject"},
    "runner": {
        "catalogue",
        "causes",
        "checks",
        "diagnosis",
        "evidence",
        "grids",
        "kinds",
        "known_failures",
        "pinned",
        "portrait",
        "portraying",
        "repair",
        "saved_laws",
        "subject",
        "training",
        "verdict",
    },
    "across": {"subject", "training"},
    # Who asks, and who tells.
    "report": {"catalogue", "detail", "identity", "plain", "portrait", "verdict", "wording"},
    "gate": {"catalogue", "importing", "pinned", "runner", "saved_laws", "targets", "verdict", "wording"},
    "triage": {
        "detail",
        "importing",
        "law",
        "observe",
        "report",
        "runner",
        "subject",
        "targets",
        "verdict",
        "wording",
    },
    "plugin": {
        "across",
        "catalogue",
        "gate",
        "importing",
        "plain",
        "portrait",
        "report",
        "runner",
        "sharing",
        "subject",
        "targets",
        "verdict",
    },
    "cli": {
        "across",
        "adapters",
        "arguments",
        "catalogue",
        "diagnosis",
        "gate",
        "handing",
        "identifying",
        "identity",
        "importing",
        "report",
        "runner",
        "saved_laws",
        "subject",
        "targets",
        "triage",
        "verdict",
        "wording",
    },
}
#: A module of this package in a string, as import_module takes one.
_MODULE = re.compile(r"sampler_harness(?:\.[a-z_]\w*)+(?::\w+|\.)?")
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported(path: Path) -> list[str]:
    """Names of the modules that a file imports or names in a string, relative ones made absolute."""
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
            module = [*base, *([node.module] if node.module else [])]
            # "from sampler_harness import detail" names its module last.
            whole = [[*module, alias.name] for alias in node.names] if module == ["sampler_harness"] else [module]
            found += [".".join(one) for one in whole]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _MODULE.fullmatch(node.value):
            found.append(node.value.partition(":")[0].rstrip("."))
    return found


def rooms(path: Path) -> set[str]:
    """The other rooms that a file knows."""
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    known = {module.split(".")[1] for module in imported(path) if module.startswith("sampler_harness.")}
    return {room for room in known if room != own and not room.startswith("__")}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_knows_those_that_it_may(path: Path) -> None:
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    beyond = rooms(path) - EDGES[own]
    assert not beyond, f"{own} may not import from {', '.join(sorted(beyond))}"


def test_every_edge_is_walked_and_none_leads_back() -> None:
    walked: dict[str, set[str]] = {room: set() for room in EDGES}
    for path in FILES:
        walked[path.relative_to(PACKAGE).with_suffix("").parts[0]] |= rooms(path)
    unused = {room: sorted(EDGES[room] - walked[room]) for room in EDGES if EDGES[room] - walked[room]}
    assert not unused
    order = list(graphlib.TopologicalSorter(EDGES).static_order())  # raises where there is a cycle
    assert set(order) == set(EDGES)


def test_a_way_back_is_seen_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    (tmp_path / "law").mkdir()
    file = tmp_path / "law" / "any.py"
    for text in (
        "from sampler_harness.runner import Assessment",
        "from sampler_harness import runner",
        "from .. import runner",
        "from ..runner import Assessment",
        "def late():\n    import sampler_harness.runner",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sampler_harness.runner import Assessment",
        "EVIDENCE = {'law': 'sampler_harness.runner:Assessment'}",
        "home = f'sampler_harness.runner.{name}'",
    ):
        file.write_text(text, encoding="utf-8")
        assert rooms(file) == {"runner"}, text


def test_references_know_numpy_alone() -> None:
    files = sorted(REFERENCES.rglob("*.py"))
    assert files
    for path in files:
        for module in imported(path):
            root = module.split(".")[0]
            # Quantiles of the beta distribution are scipy's, imported where they are asked for.
            of_scipy = {"scipy"} if path.name == "quantiles.py" else set()
            assert root in sys.stdlib_module_names | {"numpy", "reference_samplers"} | of_scipy, (
                f"{path.name}: {module}"
            )


@pytest.mark.parametrize(
    "module",
    [
        "sampler_harness",
        "sampler_harness.plugin",
        "sampler_harness.catalogue",
        "sampler_harness.kinds",
        "sampler_harness.strategies",
        "sampler_harness.subject.data",
        "sampler_harness.subject.grid",
        "sampler_harness.subject.preprocessing",
        "sampler_harness.subject.training",
    ],
)
def test_loading_is_light(module: str) -> None:
    script = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'scipy', 'hypothesis', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "before",
    ["", "import sampler_harness.strategies\n", "import sampler_harness.cases, sampler_harness.subject.allowed\n"],
)
def test_the_public_strategies_are_the_same_whatever_was_imported_before(before: str) -> None:
    script = (
        f"{before}from sampler_harness import strategies\n"
        "import sampler_harness.strategies as other\n"
        "assert strategies is other\n"
        "assert strategies.__name__ == 'sampler_harness.strategies'\n"
        "assert 'configurations' in strategies.__all__ and callable(strategies.configurations)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
