"""The wheel as a stranger gets it: what is in it, and that the core works where nothing but the core is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sampler_harness.catalogue import check_ids

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: torch brings filelock.
CORE = ("torch", "numpy", "pytest", "hypothesis", "scipy", "filelock")
#: What only extras bring. Jinja2 is not among them: torch itself depends on it.
EXTRAS = ("matplotlib", "rich", "diffusers", "tensorboard", "ale_py", "PIL", "jsonschema", "xdist")

# One worker builds the wheel and its environment, once.
pytestmark = pytest.mark.xdist_group("wheel")


def run(*command: str | Path, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command as in a new shell: nothing of this checkout is on the path."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "COV"))}
    env |= {"PYTHONPATH": str(path)} if path is not None else {}
    env |= {"OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


def pip_in(bin: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """The running environment's pip, at work in another environment."""
    return run(sys.executable, "-m", "pip", "--python", bin / "python", *command, cwd=bin)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this checkout, without a network: hatchling is among the tools of development."""
    out = tmp_path_factory.mktemp("dist")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    done = run(sys.executable, "-m", "pip", "wheel", *options, "-w", out, ROOT, cwd=out)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


def closure(names: tuple[str, ...]) -> list[metadata.Distribution]:
    """The installed distributions of these names and all that they depend on, extras left out."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        for text in found[name].requires or []:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(need.name)
    return list(found.values())


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment that holds the wheel, its dependencies and what these need.

    The dependencies are links to those of the running environment: a second torch would take minutes.
    """
    place = tmp_path_factory.mktemp("bare")
    # Without pip, since that of older Pythons brings a setuptools which is older than torch asks for.
    done = run(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    assert done.returncode == 0, done.stderr
    linked = place / "core"
    linked.mkdir()
    for distribution in closure(CORE):
        home = Path(str(distribution.locate_file("")))
        for name in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            if not (linked / name).exists():
                (linked / name).symlink_to(home / name)
    (site,) = (place / "venv").glob("lib/python*/site-packages")
    (site / "core.pth").write_text(f"{linked}\n")
    bin = place / "venv" / "bin"
    done = pip_in(bin, "install", "--quiet", "--no-deps", "--no-index", wheel)
    assert done.returncode == 0, done.stderr
    return bin


# What is in it


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    information = f"sampler_harness-{PROJECT['version']}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"sampler_harness", "reference_samplers", information}
    tracked = subprocess.run(["git", "ls-files", "harness", "reference_samplers"], cwd=ROOT, capture_output=True)
    if tracked.returncode != 0:
        pytest.skip("not a checkout of git")
    sources = {name.removeprefix("harness/") for name in tracked.stdout.decode().split()}
    assert {name for name in names if not name.startswith(information)} >= sources
    suffixes = {Path(name).suffix for name in names if not name.startswith(information)}
    assert suffixes == {".py", ".typed", ".j2", ".json"}


def test_the_wheel_holds_what_is_no_module(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "sampler_harness/report/verdict.schema.json" in names
    assert {"sampler_harness/py.typed", "reference_samplers/py.typed"} <= names
    templates = {path.name for path in (ROOT / "harness/sampler_harness/report/templates").glob("*.j2")}
    assert {f"sampler_harness/report/templates/{name}" for name in templates} <= names
    assert len(templates) >= 6


def test_the_wheel_is_small(wheel: Path) -> None:
    """Sources alone: nearly all of it is references, the bank of mistakes and checks; no fixture, picture or table."""
    assert wheel.stat().st_size < 1_250_000


def test_the_core_is_six_packages() -> None:
    assert tuple(Requirement(one).name for one in PROJECT["dependencies"]) == CORE


# Where nothing but the core is installed


def test_the_environment_is_bare_and_whole(bare: Path, tmp_path: Path) -> None:
    done = pip_in(bare, "check")
    assert done.returncode == 0, done.stdout
    script = f"import importlib.util as u; print([name for name in {EXTRAS!r} if u.find_spec(name)])"
    assert run(bare / "python", "-c", script, cwd=tmp_path).stdout.strip() == "[]"
    script = "import sampler_harness, reference_samplers as r; print(sampler_harness.__file__, r.__file__)"
    told = run(bare / "python", "-c", script, cwd=tmp_path).stdout
    assert told.count("site-packages") == 2


def test_a_sound_sampler_conforms(bare: Path, tmp_path: Path, sound_file: str) -> None:
    (tmp_path / "mine.py").write_text(sound_file)
    done = run(bare / "check-sampler", "mine.py:sound", "--budget", "quick", "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("sound conforms to EDM\n")
    assert (tmp_path / "out.json").is_file()


@pytest.mark.slow
def test_a_faulty_sampler_is_diagnosed(bare: Path, tmp_path: Path, faulty_file: str) -> None:
    (tmp_path / "mine.py").write_text(faulty_file)
    done = run(bare / "check-sampler", "mine.py:faulty", "--budget", "quick", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "+        x: Array = noise()  # line 2" in done.stdout


@pytest.mark.slow
def test_pytest_finds_the_plugin(bare: Path, tmp_path: Path, sound_file: str) -> None:
    (tmp_path / "test_mine.py").write_text(sound_file)
    done = run(bare / "python", "-m", "pytest", "-q", "-W", "error", "-k", "law", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"sound conforms to EDM, as far as 7 of {len(check_ids())} checks can tell" in done.stdout


def one_sentence(done: subprocess.CompletedProcess[str], extra: str) -> None:
    """The call is wrong, and one line says which extra is missing."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert f"sampler-harness[{extra}]" in done.stderr.strip().splitlines()[-1]


def test_a_page_without_its_extra_is_one_sentence(bare: Path, tmp_path: Path, sound_file: str) -> None:
    (tmp_path / "mine.py").write_text(sound_file)
    # torch brings Jinja2; here it is gone as well, as it may be from a torch to come.
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "jinja2.py").write_text("raise ImportError('gone')\n")
    call = ("mine.py:sound", "--budget", "quick", "--check", "law/times", "--html", "page.html")
    one_sentence(run(bare / "check-sampler", *call, cwd=tmp_path, path=tmp_path / "gone"), "report")
    assert not (tmp_path / "page.html").exists()


def test_a_scheduler_without_its_extra_is_one_sentence(bare: Path, tmp_path: Path) -> None:
    one_sentence(run(bare / "check-sampler", "diffusers:DDIMScheduler", cwd=tmp_path), "diffusers")


RECORD = """
import numpy as np
from sampler_harness import DetailMonitor

frames = np.random.default_rng(0).uniform(-1, 1, (8, 1, 16, 16)).astype(np.float32)
monitor = DetailMonitor(frames, "runs")
for step in (1, 2, 3):
    monitor.log(step, samples=frames)
"""


def test_a_monitor_records_and_tells_without_extras_and_draws_with_one(bare: Path, tmp_path: Path) -> None:
    done = run(bare / "python", "-c", RECORD, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = run(bare / "check-sampler", "monitor", "runs", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "Not enough stages to tell whether detail falls (3, needs 7)" in told.stdout
    one_sentence(run(bare / "check-sampler", "monitor", "runs", "--html", "page.html", cwd=tmp_path), "report")
    board = RECORD.replace('"runs")', '"board", tensorboard=True)')
    done = run(bare / "python", "-c", board, cwd=tmp_path)
    assert done.returncode == 1
    assert "sampler-harness[tensorboard]" in done.stderr.strip().splitlines()[-1]
