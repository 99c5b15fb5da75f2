"""Pull requests in other people's repositories: what goes red, what stays green, and where the finding stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sampler_harness.catalogue import check_ids

from .host_repositories import Answer, Host, host

QUICK = ("--budget", "quick", "--no-diagnosis")
HERE = Path(__file__).parents[2]


@pytest.fixture
def library(tmp_path: Path) -> Host:
    return host("scheduler_library", tmp_path)


@pytest.fixture
def untested(tmp_path: Path) -> Host:
    return host("no_tests", tmp_path)


@pytest.mark.parametrize("kind", ["scheduler_library", "single_script", "no_tests"])
@pytest.mark.sampled(every=3)
def test_an_example_host_is_green_as_it_stands(kind: str, tmp_path: Path) -> None:
    target = ["test_sampler.py"] if kind == "single_script" else []
    answer = host(kind, tmp_path).check(*target, *QUICK)
    assert answer.status == 0, answer.out + answer.err


# A coefficient changes


COEFFICIENTS = {
    "heun-weights": ("kestrel/heun.py", "(0.5 * slope + 0.5 * slope_ahead)", "(0.5 * slope + 0.52 * slope_ahead)"),
    "heun-last-step": (
        "kestrel/heun.py",
        "            x = x + step * slope\n",
        "            x = x + 0.9 * step * slope\n",
    ),
    "first-noise": ("kestrel/heun.py", "x = x * sigmas[0]", "x = x * sigmas[1]"),
    "ddim-direction": ("kestrel/ddim.py", "(1 - before - sigma**2).sqrt()", "(1 - before - sigma).sqrt()"),
    "ddim-noise": ("kestrel/ddim.py", "x = x + sigma * torch", "x = x + sigma**2 * torch"),
    "grid": ("kestrel/grids.py", "(high + ramp * (low - high)) ** rho", "(high + ramp * (low - high)) ** (rho - 0.5)"),
    "table": ("kestrel/grids.py", "1.0 - betas, 0)", "1.0 - 0.99 * betas, 0)"),
}


@pytest.mark.parametrize("change", COEFFICIENTS)
@pytest.mark.sampled(every=7)
def test_a_pull_request_that_changes_one_coefficient_goes_red_at_its_line(library: Host, change: str) -> None:
    file, old, new = COEFFICIENTS[change]
    library.branch("pull-request")
    line = library.edit(file, old, new)
    library.commit("A small change")
    answer = library.check(*QUICK, "--changed-since", "main", github=True)
    assert answer.status == 1
    assert answer.annotations, answer.out
    assert {(found, number) for found, number, *_ in answer.annotations} == {(file, line)}
    assert "does not conform" in answer.summary
    # The sampler that the change does not touch was left out; a grid or table file belongs to both.
    assert ("left out, since nothing of them changed" in answer.out) == (not file.endswith("grids.py"))


def test_without_a_revision_the_finding_stands_where_the_wrong_value_is_made(library: Host) -> None:
    line = library.edit(*COEFFICIENTS["heun-weights"])
    answer = library.check(*QUICK, github=True)
    cause = answer.annotations[0]
    assert cause[:2] == ("kestrel/heun.py", line)
    assert cause[2].startswith("law/outputs")
    assert "look at: kestrel/heun.py, line" in answer.out


def test_the_base_of_a_pull_request_is_known_from_the_workflow(library: Host) -> None:
    library.git("update-ref", "refs/remotes/origin/main", "HEAD")
    library.branch("pull-request")
    line = library.edit(*COEFFICIENTS["grid"])
    library.commit("Another exponent")
    answer = library.check("tests/samplers/heun.py:heun", *QUICK, github=True, environment={"GITHUB_BASE_REF": "main"})
    assert {(file, number) for file, number, *_ in answer.annotations} == {("kestrel/grids.py", line)}


@pytest.mark.slow
def test_many_findings_are_ten_and_a_count(library: Host) -> None:
    library.edit(*COEFFICIENTS["grid"])
    library.edit(*COEFFICIENTS["table"])
    library.edit(*COEFFICIENTS["heun-weights"])
    library.edit(*COEFFICIENTS["ddim-noise"])
    answer = library.check(*QUICK, github=True)
    notices = [line for line in answer.out.splitlines() if line.startswith("::notice ")]
    failed = [f for v in json.loads(library.check(*QUICK, "--json", "-").out) for f in v["checks"]]
    count = sum(f["outcome"] in ("failed", "error") for f in failed)
    assert count > 10
    assert len(answer.annotations) == 10
    assert notices == [
        f"::notice title=check-sampler::{count} findings of 2 targets; {count - 10} of them stand in the log only"
    ]


# Its own past


REFACTORED = '''\
def _slope(model, x, sigma):
    """A derivative of the probability flow."""
    return x / sigma - model(x, sigma) / sigma


def sample_heun(model, x, sigmas):
    count = len(sigmas) - 1
    x = sigmas[0] * x
    for k in range(count):
        here, there = sigmas[k], sigmas[k + 1]
        first = _slope(model, x, here)
        euler = x + (there - here) * first
        last = k == count - 1
        x = euler if last else x + (there - here) / 2 * (first + _slope(model, euler, there))
    return x
'''


@pytest.mark.slow
def test_a_pure_refactoring_stays_green_against_the_past(library: Host) -> None:
    library.branch("refactoring")
    library.write("kestrel/heun.py", REFACTORED)
    library.git("mv", "kestrel/grids.py", "kestrel/noise_levels.py")
    for name in ("heun", "ddim"):
        library.edit(f"tests/samplers/{name}.py", "kestrel.grids", "kestrel.noise_levels")
    library.commit("Only tidied up")
    answer = library.check(*QUICK, "--against", "git:main")
    assert answer.status == 0, answer.out + answer.err
    assert "heun conforms to heun at main" in answer.out
    assert "What moved" not in answer.out


@pytest.mark.slow
def test_what_a_change_moves_is_listed(library: Host) -> None:
    line = library.edit(*COEFFICIENTS["heun-weights"])
    answer = library.check(
        "tests/samplers/heun.py:heun", *QUICK, "--against", "git:main", "--json", "verdict.json", github=True
    )
    assert answer.status == 1
    assert "weight of the model's output of call 1 in the input of model call 2: was " in answer.out
    [verdict] = json.loads((library.root / "verdict.json").read_text())
    moved = verdict["moved"]
    assert moved["configuration"].startswith("EDM(num_steps=2")
    changed = [entry for entry in moved["entries"] if "output of call 1 in" in entry]
    assert changed
    assert all("(+4 %)" in entry for entry in changed)
    assert {(file, number) for file, number, *_ in answer.annotations} == {("kestrel/heun.py", line)}
    assert "- weight of the model's output of call 1" in answer.summary


@pytest.mark.slow
def test_the_work_tree_is_left_as_it_was(library: Host) -> None:
    library.edit(*COEFFICIENTS["heun-weights"])
    before = library.git("status", "--porcelain"), library.git("stash", "list"), library.git("worktree", "list")
    library.check("tests/samplers/heun.py:heun", *QUICK, "--against", "git:HEAD")
    assert (
        library.git("status", "--porcelain"),
        library.git("stash", "list"),
        library.git("worktree", "list"),
    ) == before


@pytest.mark.slow
def test_a_test_file_that_the_past_has_not_yet_is_taken_from_now(tmp_path: Path) -> None:
    script = host("single_script", tmp_path)
    script.git("rm", "--quiet", "--cached", "test_sampler.py")
    script.git("commit", "--quiet", "--message", "Without a test")
    assert script.check("test_sampler.py", *QUICK, "--against", "git:HEAD").status == 0
    script.edit("generate.py", "(d + d_prime) / 2", "(d + d_prime) / 2.1")
    answer = script.check("test_sampler.py", *QUICK, "--against", "git:HEAD")
    assert answer.status == 1
    assert "my_sampler does not conform to my_sampler at HEAD" in answer.out


@pytest.mark.slow
def test_a_library_below_src_is_measured_as_it_was(library: Host) -> None:
    """Its folder is on the import path by an absolute name, as an installation in place has it."""
    library.git("mv", "kestrel", "src")
    (library.root / "src").rename(library.root / "inner")
    (library.root / "src").mkdir()
    (library.root / "inner").rename(library.root / "src" / "kestrel")
    top = library.root / "src"
    text = (library.root / "tests" / "samplers" / "heun.py").read_text()
    library.write("tests/samplers/heun.py", f"import sys\nsys.path.insert(0, {str(top)!r})\n{text}")
    library.commit("Below src")
    # The declaration of then would reach into the checkout of now: told, not compared.
    refused = library.check("tests/samplers/heun.py:heun", *QUICK, "--against", "git:HEAD")
    assert refused.status == 2
    assert "from the present checkout, not from the revision" in refused.err
    library.write("tests/samplers/heun.py", text)
    library.commit("Found by PYTHONPATH")
    library.edit("src/kestrel/heun.py", "0.5 * slope_ahead", "0.6 * slope_ahead")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(top), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "sampler_harness.cli", "tests/samplers/heun.py:heun", *QUICK, "--against", "git:HEAD"],
        cwd=library.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "What moved" in done.stdout


@pytest.mark.parametrize(
    ("revision", "told"),
    [
        ("git:nowhere", "there is no revision 'nowhere'"),
        ("git:", "there is no revision ''"),
        ("git:--help", "no revision"),
    ],
)
def test_a_revision_that_is_none(library: Host, revision: str, told: str) -> None:
    answer = library.check("tests/samplers/heun.py:heun", *QUICK, "--against", revision)
    assert (answer.status, answer.out) == (2, "")
    assert told in answer.err


@pytest.mark.slow
def test_a_sampler_that_the_past_did_not_have(library: Host) -> None:
    text = (library.root / "tests" / "samplers" / "heun.py").read_text().replace("def heun(", "def heun_of_now(")
    library.write("tests/samplers/heun.py", text)
    answer = library.check("tests/samplers/heun.py:heun_of_now", *QUICK, "--against", "git:HEAD")
    assert answer.status == 2
    assert "not to be had at that revision" in answer.err
    assert "heun" in answer.err


# What a change touches


def test_a_change_of_prose_runs_nothing_and_is_green(library: Host) -> None:
    library.branch("pull-request")
    library.edit("README.md", "# A library of schedulers", "# Schedulers")
    library.commit("Words")
    answer = library.check(*QUICK, "--changed-since", "main")
    assert answer.status == 0
    assert "nothing to decide: no target's code changed since main" in answer.out
    assert "left out, since nothing of them changed since main: 2 of 2 targets" in answer.out


def test_files_that_git_does_not_know_yet_and_requirements_count(library: Host) -> None:
    library.branch("pull-request")
    library.write("requirements.txt", "torch\n")
    assert "all 2 samplers conform" in library.check(*QUICK, "--check", "law", "--changed-since", "main").out
    (library.root / "requirements.txt").unlink()
    library.write("kestrel/unused.py", "LEVELS = 3\n")
    assert "nothing to decide" in library.check(*QUICK, "--changed-since", "main").out
    library.write("kestrel/heun.py", (library.root / "kestrel/heun.py").read_text() + "\n# a remark\n")
    assert "1 sampler conforms" in library.check(*QUICK, "--check", "law", "--changed-since", "main").out


def test_since_means_since_the_branch_left(library: Host) -> None:
    """What others merged into main meanwhile is not this pull request's."""
    library.branch("pull-request")
    library.git("checkout", "--quiet", "main")
    library.edit("kestrel/ddim.py", "eta=0.0", "eta=0.5")
    library.commit("Somebody else's")
    library.git("checkout", "--quiet", "pull-request")
    library.edit("README.md", "# A library of schedulers", "# Schedulers")
    library.commit("Words")
    assert "nothing to decide" in library.check(*QUICK, "--changed-since", "main").out


@pytest.mark.slow
def test_an_import_inside_a_function_and_a_computed_one_count(library: Host) -> None:
    library.write("kestrel/extra.py", "SCALE = 1.0\n")
    library.edit(
        "kestrel/ddim.py", "    stride = ", "    from kestrel import extra\n    x = x * extra.SCALE\n    stride = "
    )
    library.commit("A lazy import")
    library.write("kestrel/extra.py", "SCALE = 1.01\n")
    answer = library.check(*QUICK, "--check", "law", "--changed-since", "main")
    assert answer.status == 1
    assert "ddim does not conform" in answer.out
    library.git("checkout", "--quiet", ".")
    library.edit(
        "kestrel/heun.py",
        "from itertools",
        "import importlib\n\nNAME = 'kestrel.extra'\nextra = importlib.import_module(NAME)\nfrom itertools",
    )
    library.commit("A computed import")
    library.write("kestrel/other.py", "X = 1\n")
    assert "1 sampler conforms" in library.check(*QUICK, "--check", "law", "--changed-since", "main").out


def test_outside_git_the_call_is_wrong(tmp_path: Path) -> None:
    place = host("single_script", tmp_path)
    (place.root / ".git").rename(tmp_path / "away")
    answer = place.check("test_sampler.py", "--changed-since", "main")
    assert answer.status == 2
    assert "is in no git repository" in answer.err


# The baseline


def test_an_old_deviation_in_the_baseline_stays_green_and_its_repair_demands_the_removal(untested: Host) -> None:
    green = untested.check(*QUICK)
    assert green.status == 0
    assert "next_frame conforms to EDM, but for 1 declared deviation" in green.out
    assert "the released weights were tuned with unscaled first noise" in green.out
    untested.edit("world/sampler.py", "*size, device=frames.device)", "*size, device=frames.device) * sigmas[0]")
    repaired = untested.check(*QUICK)
    assert repaired.status == 1
    assert "but it passes: remove 'law/initial-noise' from known.toml, line 4" in repaired.out
    untested.write("known.toml", "")
    done = untested.check(*QUICK)
    assert done.status == 0
    assert "next_frame conforms to EDM\n" in done.out


@pytest.mark.slow
def test_a_new_deviation_beside_the_old_one_is_red(untested: Host) -> None:
    line = untested.edit("world/sampler.py", "self.denoiser(x, sigma,", "self.denoiser(x, sigma_next,")
    answer = untested.check("--budget", "quick", github=True)
    assert answer.status == 1
    assert answer.annotations[0][:2] == ("world/sampler.py", line)
    assert "Already declared, and left out here" in answer.out


def test_an_entry_that_matches_nothing_is_red(untested: Host) -> None:
    untested.edit("known.toml", 'target = "checks.py:next_frame"', 'target = "checks.py:next_frames"')
    answer = untested.check(*QUICK, github=True)
    assert answer.status == 1
    assert "known.toml, line 4: checks.py:next_frames, law/initial-noise: matches no target of this run" in answer.out
    assert "(did you mean 'checks.py:next_frame'?)" in answer.out
    assert ("known.toml", 4) in {found[:2] for found in answer.annotations}


def test_who_names_one_target_is_not_asked_for_the_others(untested: Host) -> None:
    untested.write("more.py", (untested.root / "checks.py").read_text().replace("next_frame", "other"))
    assert untested.check("more.py", *QUICK, "--check", "shape/batch").status == 0
    answer = untested.check("more.py", *QUICK, "--check", "shape/batch", "--baseline", "known.toml")
    assert answer.status == 1
    assert "matches no target of this run" in answer.out


def test_a_baseline_is_written_and_then_holds(untested: Host) -> None:
    untested.edit("pyproject.toml", 'baseline = "known.toml"\n', "")
    (untested.root / "known.toml").unlink()
    assert untested.check(*QUICK).status == 1
    wrote = untested.check(*QUICK, "--baseline", "known.toml", "--write-baseline")
    assert wrote.status == 0
    assert "1 deviation stands in known.toml as seen today: say why in place of each TODO" in wrote.out
    text = (untested.root / "known.toml").read_text()
    assert 'check = "law/initial-noise"' in text
    assert "# the first model input has standard deviation 1, should be 5" in text
    assert 'reason = "TODO: say why"' in text
    held = untested.check(*QUICK, "--baseline", "known.toml")
    assert held.status == 0
    assert "known.toml: still without a reason: line 4" in held.out
    # What a person wrote stays as it is, and only what is new is added.
    untested.write("known.toml", f"# ours\n{text}")
    untested.edit("world/sampler.py", "(x - denoised) / sigma *", "(x - denoised) / sigma * 0.9 *")
    untested.check(*QUICK, "--baseline", "known.toml", "--write-baseline")
    again = (untested.root / "known.toml").read_text()
    # Of what stood there already, only what it shows is another now.
    before, now = (
        [line for line in one.splitlines() if not line.startswith("shows")] for one in (f"# ours\n{text}", again)
    )
    assert now[: len(before)] == before
    assert again.count("[[deviation]]") == 2
    assert untested.check(*QUICK, "--baseline", "known.toml").status == 0


# pytest


@pytest.mark.slow
def test_pytest_knows_the_baseline_and_the_workflow(untested: Host, tmp_path: Path) -> None:
    untested.write("test_checks.py", "from checks import next_frame\n")
    untested.git("update-ref", "refs/remotes/origin/main", "HEAD")
    untested.edit("known.toml", 'target = "checks.py:next_frame"', 'target = "*next_frame"')
    untested.commit("With a test")
    summary = tmp_path / "summary.md"
    environment = {**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:xdist", "test_checks.py"]

    def run(*more: str) -> Answer:
        given = {**environment, "GITHUB_BASE_REF": "main"}
        done = subprocess.run(
            [*command, *more], cwd=untested.root, env=given, capture_output=True, text=True, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    assert run("--sampler-no-diagnosis").status == 1
    green = run("--sampler-baseline", "known.toml")
    assert green.status == 0, green.out
    assert "conforms to EDM, but for 1 declared deviation" in green.out
    assert green.annotations == []
    assert "| conforms |" in summary.read_text()
    line = untested.edit("world/sampler.py", "/ sigma *", "/ sigma * 1.1 *")
    red = run("--sampler-baseline", "known.toml", "--sampler-no-diagnosis")
    assert red.status == 1
    assert {found[:2] for found in red.annotations} == {("world/sampler.py", line)}
    wrong = run("--sampler-baseline", "unknown.toml")
    assert wrong.status == 4
    assert "--sampler-baseline: there is no file unknown.toml" in wrong.err


CROWDED = {
    "harness/__init__.py": "",
    "harness/sampler.py": """
import torch


def euler(model, x, sigmas):
    x = x * sigmas[0]
    for sigma, sigma_next in zip(sigmas[:-1], sigmas[1:]):
        x = x + (x - model(x, sigma)) / sigma * (sigma_next - sigma)
    return x
""",
    "fixtures/__init__.py": "LEVELS = 4\n",
    "tests/__init__.py": "",
    "tests/helpers.py": "from fixtures import LEVELS\n\nTWICE = 2 * LEVELS\n",
    "tests/test_own.py": """
import harness
import pytest
from fixtures import LEVELS
from harness.sampler import euler
from tests.helpers import TWICE


@pytest.mark.parametrize("level", [1, 2])
def test_theirs(level):
    assert (LEVELS, TWICE) == (4, 8)
    assert not hasattr(harness, "sampler_harness")
    assert euler.__module__ == "harness.sampler"
""",
    "tests/test_sampler.py": """
import torch
from hypothesis import strategies as st
from harness.sampler import euler
from reference_samplers import EDM
from sampler_harness import sampler_under_test
from tests.helpers import TWICE


@sampler_under_test(EDM, solver="euler", sigma_max=5.0, num_steps=st.integers(2, TWICE), shapes=[(2, 3, 8, 8)])
def theirs(model, shape, config, *, device, dtype):
    n, rho = config.num_steps, config.rho
    high, low = config.sigma_max ** (1 / rho), config.sigma_min ** (1 / rho)
    sigmas = [(high + i / max(n - 1, 1) * (low - high)) ** rho for i in range(n)] + [0.0]
    return euler(model, torch.randn(shape, device=device, dtype=dtype), sigmas)
""",
}
#: What is in pytest's configuration file, and what is said on the command line.
STRICT = {
    "plain": ("", ()),
    "warnings are errors": ("", ("-W", "error", "-W", "error::DeprecationWarning")),
    "strict markers": ("addopts = --strict-markers --strict-config\nxfail_strict = true\n", ()),
    "strict mode": ("strict = true\nfilterwarnings = error\n", ()),
    "any order": ("", ("-p", "randomly", "-p", "no:xdist")),
    "importlib": ("addopts = --import-mode=importlib\npythonpath = .\n", ()),
}


@pytest.mark.parametrize(
    ("start", "how"),
    [*(("pytest", how) for how in STRICT), *(("python -m pytest", h) for h in ("plain", "strict mode"))],
)
@pytest.mark.sampled(every=8)
def test_a_host_with_packages_of_our_names_and_strict_settings(tmp_path: Path, start: str, how: str) -> None:
    if how == "strict mode" and pytest.version_tuple < (9, 0):
        pytest.skip("strict mode came with pytest 9")
    crowded = Host(tmp_path / "crowded")
    for file, text in CROWDED.items():
        crowded.write(file, text)
    ini, options = STRICT[how]
    crowded.write("pytest.ini", f"[pytest]\n{ini}")
    script = [str(Path(sys.executable).with_name("pytest"))]
    command = script if start == "pytest" else [sys.executable, "-m", "pytest"]
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", *options],
        cwd=crowded.root,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Their two tests, and what applies of our eighteen checks.
    assert re.search(r"\b16 passed, 4 skipped", done.stdout), done.stdout[-2000:]
    assert "theirs conforms to EDM" in done.stdout


# Several processes


COUNTED = """

def counted(run):
    def counting(*arguments, **named):
        with open(os.environ["RUNS"], "a") as file:
            file.write("run\\n")
        return run(*arguments, **named)

    counting.__name__ = run.__name__
    return counting
"""


def _pytest(place: Host, *arguments: str, count: Path) -> tuple[int, int, str]:
    """Exit status, how often a sampler was run in all processes, and what was printed."""
    count.write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *arguments],
        cwd=place.root,
        env={**os.environ, "RUNS": str(count)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, len(count.read_text().splitlines()), done.stdout + done.stderr


@pytest.mark.parametrize(("distribution", "faulty"), [("load", False), ("load", True), ("loadgroup", False)])
@pytest.mark.slow
def test_four_workers_do_the_work_of_one(library: Host, tmp_path: Path, distribution: str, faulty: bool) -> None:
    """Counted in runs of the samplers, not in seconds: those depend on the machine."""
    for name in ("heun", "ddim"):
        file = f"tests/samplers/{name}.py"
        text = (library.root / file).read_text()
        text = text.replace("import torch\n", f"import os\n\nimport torch\n{COUNTED}\n", 1)
        library.write(file, text.replace(f"def {name}(", f"@counted\ndef {name}("))
    if faulty:
        library.edit(*COEFFICIENTS["heun-weights"])
    options = () if faulty else ("--sampler-no-diagnosis",)
    serial = _pytest(library, *options, "-p", "no:xdist", count=tmp_path / "runs")
    assert serial[0] == int(faulty), serial[2]
    assert serial[1] > 100
    workers = _pytest(library, *options, "-n", "4", "--dist", distribution, count=tmp_path / "runs")
    assert workers[0] == serial[0]
    assert workers[1] <= 1.3 * serial[1], f"{workers[1]} runs with workers, {serial[1]} without"
    # The same verdicts, to the last figure but seconds.
    told = [text.partition("= samplers =")[2].partition("short test summary")[0] for _, _, text in (serial, workers)]
    assert f"checks: planned {len(check_ids())}" in told[0]
    assert sorted(told[0].splitlines()[1:-1]) == sorted(told[1].splitlines()[1:-1])


# The ways in


def _action_script() -> tuple[str, dict[str, str]]:
    action = yaml.safe_load((HERE / ".github/actions/check-sampler/action.yml").read_text())
    [step] = [step for step in action["runs"]["steps"] if step["name"] == "Check"]
    inputs = {name: str(given["default"]) for name, given in action["inputs"].items()}
    names = {variable: text.removeprefix("${{ inputs.").removesuffix(" }}") for variable, text in step["env"].items()}
    assert set(names.values()) <= set(inputs)
    return step["run"], {variable: inputs[name] for variable, name in names.items()}


def _run_action(place: Host, folder: Path, **given: str) -> Answer:
    script, environment = _action_script()
    summary = folder / "summary.md"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=place.root,
        env={
            **os.environ,
            **environment,
            "PYTHON": sys.executable,
            "RUNNER_TEMP": str(folder),
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(summary),
            **given,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr, summary.read_text() if summary.exists() else "")


@pytest.mark.slow
def test_the_action_runs_what_the_project_names(untested: Host, tmp_path: Path) -> None:
    green = _run_action(untested, tmp_path)
    assert green.status == 0, green.out + green.err
    assert (tmp_path / "check-sampler.html").read_text().startswith("<!doctype html>")
    assert "| `checks.py:next_frame` | EDM | conforms |" in green.summary
    untested.branch("pull-request")
    line = untested.edit("world/sampler.py", "/ sigma *", "/ sigma * 1.1 *")
    red = _run_action(untested, tmp_path, CHANGED_SINCE="main", TARGETS="checks.py", ARGS="--no-diagnosis --check law")
    assert red.status == 1
    assert red.annotations[0][:2] == ("world/sampler.py", line)


def test_the_commit_hook_runs_what_changed(untested: Host) -> None:
    [hook] = yaml.safe_load((HERE / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "check-sampler"
    assert untested.check(*hook["args"]).status == 0
    untested.edit("world/sampler.py", "/ sigma *", "/ sigma * 1.1 *")
    untested.git("add", "--all")
    assert untested.check(*hook["args"]).status == 1


def test_make_runs_in_somebody_elses_repository(untested: Host) -> None:
    """Their interpreter, their folders ``tests`` and ``fixtures``, and nothing left behind."""
    untested.write("tests/helper.py", "WORD = 'theirs'\n")
    untested.write("fixtures/helper.py", "WORD = 'theirs too'\n")
    untested.write("tests/__init__.py", "")
    untested.write("fixtures/__init__.py", "")
    theirs = "from fixtures.helper import WORD\nfrom tests.helper import WORD as other\n\nassert WORD + other\n"
    untested.edit("checks.py", "import torch\n", f"import torch\n{theirs}")
    untested.commit("With helpers")
    made = ["make", "check-sampler", f"PYTHON={sys.executable}", f"ROOT={untested.root}", "ARGS=--check law"]
    done = subprocess.run(made, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"as far as 7 of {len(check_ids())} checks can tell" in done.stdout
    assert untested.git("status", "--porcelain", "--ignored") == ""
    wrong = subprocess.run([*made, "SAMPLER=nothing.py"], cwd=HERE, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "there is no file nothing.py" in wrong.stderr
