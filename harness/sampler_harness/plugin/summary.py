"""What a pytest run with samplers ends with: verdicts joined from what each item told, as text, JSON and a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from sampler_harness.gate.git import changes_of_workflow
from sampler_harness.portrait import Portrait
from sampler_harness.report.github import in_workflow, tell_workflow
from sampler_harness.report.json import dumps
from sampler_harness.report.terminal import summary_lines
from sampler_harness.verdict import Coverage, Verdict

from .asked import asked, own_warnings
from .told import Told

__all__ = ["Summary"]

_COLORS = {"good": "green", "bad": "red", "warn": "yellow", "bold": "bold"}


class Summary:
    """Gathers findings where the summary is written: in the only process, or in the one that leads the workers.

    Args:
        config: pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._told: dict[str, dict[str, Verdict]] = {}
        self._problem = ""

    def take(self, report: pytest.TestReport) -> None:
        """Keep what a report says."""
        told = Told.taken_from(report)
        self._told.setdefault(told.node, {})[told.check] = told.verdict

    def verdicts(self) -> dict[str, Verdict]:
        """One verdict per sampler, in the order of collection."""
        return {node: _joined(parts) for node, parts in self._told.items()}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the JSON file and the page."""
        if self._config.getoption("collectonly", False):
            return
        folder = self._config.invocation_params.dir
        place = self._config.getoption("sampler_harness_json")
        if place is not None:
            (folder / place).write_text(dumps(list(self.verdicts().values())), encoding="utf-8")
        page = self._config.getoption("sampler_harness_report")
        if page is not None:
            self._write_page(folder / page)

    def _write_page(self, place: Path) -> None:
        """What keeps the page from being written is told in the summary."""
        from sampler_harness.report.verdict_page import write_verdict_page

        # As the files have them: hosts shuffle their tests, and workers end when they end.
        verdicts = sorted(
            self.verdicts().items(), key=lambda one: (one[0].rpartition("::")[0], one[1].source[1], one[0])
        )
        try:
            with own_warnings():
                write_verdict_page([_with_portrait(verdict) for _, verdict in verdicts], place)
        except (ValueError, ImportError) as error:
            self._problem = f"--sampler-report: {error}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """A few lines per sampler, and what a workflow of GitHub's shows."""
        if self._problem:
            terminalreporter.write_line(self._problem, red=True)
        verdicts = list(self.verdicts().values())
        if not verdicts:
            return
        terminalreporter.section("samplers")
        for verdict in verdicts:
            for line in summary_lines(verdict):
                markup = {_COLORS[line.style]: True} if line.style in _COLORS else {}
                terminalreporter.write_line(line.text, **markup)
        # Told only, since a part of the tests may be selected.
        baseline = asked(self._config).baseline
        stale = [baseline.sentence(one) for one in baseline.stale([verdict.sampler for verdict in verdicts], {})]
        for text in stale:
            terminalreporter.write_line(text, yellow=True)
        if in_workflow():
            found = changes_of_workflow()
            root, changed = (None, None) if found is None else (found[0].root, found[1].lines)
            tell_workflow(verdicts, terminalreporter.write_line, root=root, changed=changed, remarks=stale)


def _joined(parts: Mapping[str, Verdict]) -> Verdict:
    """The verdict of a sampler whose checks ran one by one, perhaps in several processes."""
    any_one = next(iter(parts.values()))
    found = [parts[id] for id in any_one.planned if id in parts]
    findings = tuple(finding for part in found for finding in part.findings)
    return dataclasses.replace(
        any_one,
        findings=findings,
        # Each worker covers what its own checks needed: the widest is told.
        coverage=max((one.coverage for one in found), key=lambda one: (one.cases, one.model_calls), default=Coverage()),
        seconds=sum(finding.seconds for finding in findings),
        versions=next((one.versions for one in found if one.versions), {}),
        not_run=next((one.not_run for one in parts.values() if one.not_run is not None), None),
        diagnosis=next((one.diagnosis for one in parts.values() if one.diagnosis is not None), None),
        portrait=next((one.portrait for one in parts.values() if one.portrait is not None), None),
        deviations=next((one.deviations for one in found if one.deviations), {}),
        beside=tuple(dict.fromkeys(note for one in found for note in one.beside)),
    )


def _with_portrait(verdict: Verdict) -> Verdict:
    """The verdict, told why nothing is drawn of it where that is so."""
    if verdict.portrait is not None or verdict.kind != "sampler" or verdict.not_run is not None:
        return verdict
    why = "Nothing is drawn: the last of this sampler's selected checks, which does that, did not run."
    return dataclasses.replace(verdict, portrait=Portrait("", (), "", verdict.reference, missing=(why,)))
