"""The parts of the gate by themselves: baseline files, the project's table, the walk, GitHub's commands."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fixtures.faulty_samplers import diamond as released
from reference_samplers import EDM
from sampler_harness import sampler_under_test
from sampler_harness.cli.options import UsageError
from sampler_harness.cli.project import project
from sampler_harness.gate.baseline import BaselineError, Entry, entries_of, read_baseline, written
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import walk
from sampler_harness.pinned import Expected
from sampler_harness.report.github import step_summary, workflow_commands, write_step_summary
from sampler_harness.runner import Assessment, check_sampler
from sampler_harness.verdict import Coverage, Finding, Place, Verdict
from tests import small_samplers

ENTRY = '[[deviation]]\ntarget = "a.py:b"\ncheck = "law/noise"\nreason = "meant"\n'

#: Text that can stand in a file; a lone surrogate cannot.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: bool(text.strip()))


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# The file


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[deviation", "known.toml is no TOML"),
        ('deviation = "x"', "write [[deviation]] with two brackets"),
        ("[deviation]\ntarget = 'a'", "write [[deviation]] with two brackets"),
        ("deviation = [3]", "write [[deviation]] tables"),
        ("[[failure]]", "known.toml holds 'failure', should hold [[deviation]] tables alone"),
        (ENTRY.replace("reason", "reasons"), "line 1: there is no key 'reasons'; did you mean 'reason'?"),
        (ENTRY.replace('"meant"', "3"), "line 1: reason must be text, got 3"),
        (ENTRY.replace('"meant"', '"  "'), "line 1: reason must be text"),
        (ENTRY.replace('reason = "meant"\n', ""), "line 1: reason is missing: say why it is lived with"),
        (ENTRY.replace('target = "a.py:b"\n', ""), "line 1: target is missing"),
        (ENTRY.replace("law/noise", "law/noises"), "there is no check 'law/noises'; did you mean 'law/noise'?"),
        (f"# twice\n{ENTRY}\n{ENTRY}", "line 7: the same target and check stand in line 2"),
        (f'{ENTRY}until = "0.45"\n', "until must name a package and a version, as \"diffusers 0.45\", got '0.45'"),
        (f'{ENTRY}until = "diffusers soon"\n', "until must name a package and a version"),
    ],
)
def test_a_wrong_baseline_is_told_where(away: Path, text: str, told: str) -> None:
    Path("known.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BaselineError) as caught:
        read_baseline("known.toml")
    assert told in str(caught.value)


def test_a_baseline_that_is_not_there(away: Path) -> None:
    with pytest.raises(BaselineError, match=r"there is no file known\.toml: --write-baseline makes one"):
        read_baseline("known.toml")


@given(target=TEXT, reason=TEXT, old=st.sampled_from(["", "# mine\n", f"# mine\n\n{ENTRY}"]))
def test_whatever_is_written_is_read_back(
    target: str, reason: str, old: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("baseline") / "known.toml"
    entry = Entry(target, "law/times", reason)
    text = written(old, [entry], path.name)
    assert text.startswith(old.rstrip("\n"))
    path.write_text(text, encoding="utf-8", newline="")
    found = read_baseline(str(path)).entries[-1]
    assert found.matches(target)
    assert (found.check, found.reason) == (entry.check, reason)
    assert (
        text.splitlines()[found.line - 1] == "[[deviation]]"
        or "\r" in text
        or len(text.splitlines()) != text.count("\n")
    )


def test_a_target_with_brackets_means_itself(away: Path) -> None:
    name = "diffusers:DDIMScheduler[trailing-next-entry]"
    Path("known.toml").write_text(written("", [Entry(name, "law/times", "why")], "known.toml"), encoding="utf-8")
    baseline = read_baseline("known.toml")
    assert baseline.expected(name) == {"law/times": Expected("why", "known.toml, line 4")}
    assert baseline.expected("diffusers:DDIMScheduler") == {}
    assert Entry("diffusers:*", "law/times", "why").matches(name)


def test_until_a_version(away: Path) -> None:
    past, coming = 'until = "torch 1.0"\n', 'until = "torch 999.0"\n'
    Path("known.toml").write_text(ENTRY + past, encoding="utf-8")
    over = read_baseline("known.toml")
    assert over.expected("a.py:b") == {}
    [(entry, why)] = over.stale(["a.py:b"], {})
    assert entry.line == 1
    assert why.startswith("was to hold until torch 1.0, and torch ")
    Path("known.toml").write_text(ENTRY + coming, encoding="utf-8")
    holds = read_baseline("known.toml")
    assert set(holds.expected("a.py:b")) == {"law/noise"}
    assert holds.stale(["a.py:b"], {}) == []


def test_what_a_declaration_says_itself_needs_no_entry(away: Path) -> None:
    Path("known.toml").write_text(ENTRY, encoding="utf-8")
    [(_, why)] = read_baseline("known.toml").stale(["a.py:b"], {"a.py:b": {"law/noise": "meant"}})
    assert why == "is declared by a.py:b itself (expected_failures): remove one of the two"


@pytest.mark.slow
def test_entries_are_the_causes() -> None:
    verdict = check_sampler(released.diamond, budget="quick", diagnose=False)
    assert verdict.count("failed") > 2
    assert [entry.check for entry in entries_of([verdict])] == ["law/times", "law/initial-noise"]


@pytest.mark.slow
def test_an_expected_failure_that_passes_says_where_to_remove_it() -> None:
    expected = {
        "law/initial-noise": Expected("long ago", "known.toml, line 9"),
        "law/noise": Expected("never", "known.toml, line 14"),
    }
    assessment = Assessment(small_samplers.unscaled, budget="quick", diagnose=False, expected=expected)
    assert assessment.run("law/initial-noise").outcome == "expected"
    passed = assessment.run("law/noise")
    assert passed.outcome == "failed"
    assert passed.message == "declared to fail (never), but it passes: remove 'law/noise' from known.toml, line 14"


# The project


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("target = ['a.py']", "has no key 'target'; did you mean 'targets'?"),
        ("targets = 'a.py'", 'targets must be a list such as ["checks.py:my_sampler"]'),
        ("targets = [1]", "targets must be a list"),
        ("baseline = 3", "baseline must be the name of a file, got 3"),
        ("baseline =", "is no TOML"),
    ],
)
def test_a_wrong_project_table(away: Path, table: str, told: str) -> None:
    Path("pyproject.toml").write_text(f"[tool.sampler-harness]\n{table}\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        project()
    assert told in str(caught.value)


def test_a_project_without_a_table(away: Path) -> None:
    assert project().targets == ()
    Path("pyproject.toml").write_text("[tool.other]\nx = 1\n", encoding="utf-8")
    assert project().baseline == ""


# The walk


def _at(sampler: Any, row: int | None, term: str = "") -> str:
    config = EDM(num_steps=3, sigma_max=5.0, solver="euler")
    line = walk(sampler, Case(config, (2, 1, 4, 4))).place(row, term)
    assert line is not None
    assert Path(line.file) == Path(__file__)
    return line.text.partition("#")[2].strip()


def _declared(run: Callable[..., torch.Tensor]) -> Any:
    @sampler_under_test(EDM, num_steps=3, sigma_max=5.0, solver="euler")
    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
        levels = [*EDM(num_steps=3, sigma_max=5.0).sigma_grid]
        return run(model, torch.randn(shape, device=device, dtype=dtype), levels)

    return sampler


def _loop(model: Any, x: torch.Tensor, levels: list[float]) -> torch.Tensor:
    x = x * levels[0]  # start
    for now, after in pairwise(levels):
        denoised = model(x, now)  # call
        slope = (x - denoised) / now  # slope
        ahead = x + (after - now) * slope  # step
        x = ahead
    return x


def _through_a_closure(model: Any, x: torch.Tensor, levels: list[float]) -> torch.Tensor:
    def denoise(given: torch.Tensor, level: float) -> torch.Tensor:
        answer: torch.Tensor = model(given, level)  # call
        return answer

    x.mul_(levels[0])  # start
    for now, after in pairwise(levels):
        x = x + (after - now) * (x - denoise(x, now)) / now  # step
    return x


def _with_a_known_part(model: Any, x: torch.Tensor, levels: list[float]) -> torch.Tensor:
    known = torch.zeros(x.shape, dtype=torch.bool)
    x = x * levels[0]  # start
    for now, after in pairwise(levels):
        x[known] = 0.0
        denoised = model(x, now)  # call
        x = x + (after - now) * (x - denoised) / now  # step
    x[known] = 0.0
    return x


class _Held:
    def __init__(self, model: Any) -> None:
        self.model = model

    def step(self, x: torch.Tensor, now: float, after: float) -> torch.Tensor:
        denoised = self.model(x, now)  # call
        x = x + (after - now) * (x - denoised) / now  # step
        return x


def _in_a_class(model: Any, x: torch.Tensor, levels: list[float]) -> torch.Tensor:
    held = _Held(model)
    x = x * levels[0]  # start
    for now, after in pairwise(levels):
        x = held.step(x, now, after)  # loop
    return x


@pytest.mark.parametrize(
    ("run", "row", "term", "comment"),
    [
        (_loop, 0, "initial-noise", "start"),
        (_loop, 1, "time", "call"),
        (_loop, 1, "outputs", "step"),
        (_loop, 3, "outputs", "step"),
        (_loop, None, "", "call"),
        (_through_a_closure, 0, "initial-noise", "start"),
        (_through_a_closure, 2, "outputs", "step"),
        (_through_a_closure, 2, "time", "call"),
        (_with_a_known_part, 0, "initial-noise", "start"),
        (_with_a_known_part, 2, "outputs", "step"),
        (_with_a_known_part, 3, "outputs", "step"),
        (_in_a_class, 0, "initial-noise", "start"),
        (_in_a_class, 2, "outputs", "step"),
        (_in_a_class, 2, "time", "call"),
    ],
)
def test_the_line_to_look_at(run: Callable[..., torch.Tensor], row: int | None, term: str, comment: str) -> None:
    assert _at(_declared(run), row, term) == comment


def test_the_walk_leaves_a_tracer_as_it_was() -> None:
    def mine(frame: Any, event: str, argument: Any) -> Any:
        return None

    before = sys.gettrace()
    sys.settrace(mine)
    try:
        _at(_declared(_loop), 1, "outputs")
        assert sys.gettrace() is mine
    finally:
        sys.settrace(before)


@pytest.mark.slow
def test_what_a_walk_tells_is_the_same_every_time() -> None:
    first, second = (check_sampler(released.diamond, budget="quick", diagnose=False) for _ in range(2))
    assert [f.message for f in first.findings] == [f.message for f in second.findings]
    cause = next(f for f in first.findings if f.id == "law/initial-noise")
    assert cause.evidence["file"] == "fixtures/faulty_samplers/diamond.py"
    assert "torch.randn" in cause.evidence["text"]


# What GitHub shows


def _verdict(*findings: Finding) -> Verdict:
    return Verdict("a.py:b", "EDM", findings, Coverage(), 0.1, "quick", "cpu", source=("a.py", 3))


def test_commands_are_escaped(away: Path) -> None:
    text = "100% off, see: a|b\nsecond line\r"
    [line] = workflow_commands([_verdict(Finding("law/times", "failed", text))])
    assert line == ("::error file=a.py,line=3,title=law/times%3A b is not EDM::100%25 off, see: a|b%0Asecond line%0D")
    table = step_summary([_verdict(Finding("law/times", "failed", text))])
    assert "| `law/times`: 100% off, see: a\\|b |" in table


def test_a_file_outside_of_the_repository_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    finding = Finding("law/times", "failed", "off", place=Place("../a.py", 3, "b", "x = 0", {"../a.py": [3]}))
    verdict = dataclasses.replace(_verdict(finding), source=("../a.py", 3))
    [line] = workflow_commands([verdict])
    assert line.startswith("::error title=law/times")
    two = dataclasses.replace(verdict, findings=(finding, dataclasses.replace(finding, id="law/outputs")))
    assert all(line.startswith("::error title=law/") for line in workflow_commands([two]))


def test_a_changed_line_that_ran_comes_before_the_best_guess(away: Path) -> None:
    place = Place("a.py", 9, "b", "x = 0", {"a.py": [7, 8, 9]}, {"a.py": [2, 7, 8, 9]})
    finding = Finding("law/outputs", "failed", "off", place=place)
    for changed, expected in (({8}, 8), ({2}, 2), ({2, 7}, 7), ({40}, 9), (set(), 9)):
        [line] = workflow_commands([_verdict(finding)], changed={"a.py": frozenset(changed)})
        assert f"file=a.py,line={expected}," in line


def test_the_table_is_appended(away: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n", encoding="utf-8")
    write_step_summary([_verdict(Finding("law/times", "passed", "fine"))], ["a remark"])
    text = Path("summary.md").read_text(encoding="utf-8")
    assert text.startswith("before\n### ")
    assert "| `a.py:b` | EDM | passes what was asked | 1/1 |" in text
    assert text.rstrip().endswith("a remark")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    write_step_summary([])
    assert Path("summary.md").read_text(encoding="utf-8") == text
