"""A declared sampler as pytest sees it: one item per check; imported when the first one is collected.

Torch comes in when the first check runs.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sampler_harness.catalogue import check_ids
from sampler_harness.importing import TargetError, module_file
from sampler_harness.report.terminal import failure_text
from sampler_harness.runner import Assessment
from sampler_harness.sharing import Shared
from sampler_harness.subject import AnySubject, renamed
from sampler_harness.targets import ADAPTERS, load_named, place_of
from sampler_harness.verdict import Finding, Verdict

from . import PROPERTY, SHARED
from .asked import asked, own_warnings
from .told import Told

__all__ = ["CheckFailed", "CheckItem", "SubjectCollector", "TargetModule"]

_MEASURED = pytest.StashKey["dict[tuple[int, str], _Measured]"]()


class CheckFailed(AssertionError):
    """A sampler did not conform; shown as the finding's own text.

    Args:
        finding: of the check.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(failure_text(finding))
        self.finding = finding


@dataclasses.dataclass
class _Measured:
    """A sampler that one process judges.

    Attributes:
        assessment: of it.
        diagnosed: whether a check has told already what it does instead.
    """

    assessment: Assessment
    diagnosed: bool = False


class TargetModule(pytest.Module):
    """The module of a target that pytest itself would not have visited.

    Attributes:
        target: as it was written.
    """

    target: str

    @classmethod
    def of(cls, session: pytest.Session, target: str) -> TargetModule:
        """The node of a target; nothing is imported yet but the packages above it."""
        root = session.config.rootpath
        if str(root) not in sys.path:
            sys.path.append(str(root))
        path = _file_of(target)
        if path is not None and path.is_relative_to(root):
            nodeid = path.relative_to(root).as_posix()
        else:
            nodeid = place_of(target)
        node: TargetModule = cls.from_parent(session, path=path or root, name=nodeid, nodeid=nodeid)
        node.target = target
        return node

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """The samplers that the target names."""
        with own_warnings():
            try:
                found = load_named(self.target)
            except TargetError as error:
                raise self.CollectError(str(error)) from None
        self.obj = found[0].module or types.ModuleType(self.name)
        return [SubjectCollector.from_parent(self, name=one.attribute, subject=one.subject) for one in found]


def _file_of(target: str) -> Path | None:
    place = place_of(target)
    if place.endswith(".py"):
        return Path(place).resolve() if Path(place).is_file() else None
    return None if place in ADAPTERS else module_file(place)


class SubjectCollector(pytest.Collector):
    """A declared sampler: one item per check.

    Args:
        subject: the declaration.
        kwargs: pytest's.
    """

    def __init__(self, *, subject: AnySubject, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.subject = _named_as(subject, self.name, self.path)
        self.key = (id(subject), self.subject.target)
        self._original = subject  # keeps the id from being given to another object

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """One item per check of the catalogue."""
        marks = _marks_of(self._original)
        if any(mark.name == "parametrize" for mark in marks):
            raise self.CollectError(
                f"{self.name} is parametrized: name the field in its declaration instead, with a strategy such as "
                "st.sampled_from([…])"
            )
        if self.config.pluginmanager.hasplugin("xdist"):
            # With --dist loadgroup one worker measures once what all checks read.
            marks.append(pytest.mark.xdist_group(self.nodeid).mark)
        as_of = asked(self.config).checks_as_of
        ids = check_ids(self.subject.kind, as_of)
        if not ids:
            raise self.CollectError(
                f"no check of {as_of} is for {self.name}: a {self.subject.kind} is checked since later"
            )
        return [CheckItem.from_parent(self, name=id, check_id=id, callobj=_callable_for(self, id, marks)) for id in ids]


def _named_as(subject: AnySubject, name: str, path: Path) -> AnySubject:
    """The subject under the name that the module gives it, so that what is printed can be typed again."""
    if subject.name == name:
        return subject
    file = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return renamed(subject, name, f"{file.as_posix()}:{name}")


def _marks_of(subject: AnySubject) -> list[pytest.Mark]:
    """Marks above the declaration and below it."""
    given: list[Any] = []
    for holder in (subject, subject.function):
        found = getattr(holder, "pytestmark", [])
        given += found if isinstance(found, (list, tuple)) else [found]
    return [getattr(mark, "mark", mark) for mark in given]


def _callable_for(collector: SubjectCollector, id: str, marks: list[pytest.Mark]) -> Callable[..., None]:
    """What pytest calls for an item: a function that asks for the fixtures that the sampler asks for."""
    holder: list[CheckItem] = []

    def check(**fixtures: Any) -> None:
        holder[0].run_check(fixtures)

    names = collector.subject.fixture_names
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    described: Any = check
    described.__signature__ = inspect.Signature(parameters)
    described.__name__ = described.__qualname__ = id
    described.__module__ = collector.subject.function.__module__
    described.__doc__ = None
    described.pytestmark = list(marks)
    described.holder = holder
    return check


class CheckItem(pytest.Function):
    """One check of one sampler.

    Args:
        check_id: of the catalogue.
        kwargs: pytest's.

    Attributes:
        planned: all checks of the sampler that were selected.
    """

    planned: tuple[str, ...] = ()

    def __init__(self, *, check_id: str, callobj: Any, **kwargs: Any) -> None:
        super().__init__(callobj=callobj, **kwargs)
        callobj.holder.append(self)
        self.check_id = check_id
        self.reproduction = ""

    @property
    def collector(self) -> SubjectCollector:
        """The sampler that it belongs to."""
        assert isinstance(self.parent, SubjectCollector)
        return self.parent

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The sampler's own file and line: there is where a failure is mended."""
        file, line = self.collector.subject.source
        path = Path(file).resolve() if file else self.path
        return path, max(line - 1, 0), f"{self.collector.name}::{self.name}"

    def run_check(self, fixtures: Mapping[str, Any]) -> None:
        """Run the check and turn its finding into pytest's outcome."""
        problem = asked(self.config).problem
        if problem is not None:
            self.tell(dataclasses.replace(self._nothing(), not_run=problem))
            pytest.skip(f"device {self.config.getoption('sampler_harness_device')}: not run ({problem})")
        with own_warnings():
            told = self._told(fixtures)
        self.tell(told)
        (finding,) = told.findings
        # One script is enough: the cause's.
        self.reproduction = finding.reproduction if finding.consequence_of is None else ""
        if finding.outcome == "skipped":
            pytest.skip(f"{finding.id} does not apply: {finding.message}")
        if finding.outcome == "expected":
            pytest.xfail(finding.message)
        if finding.outcome != "passed":
            # Also what --runxfail makes of an expected one.
            raise CheckFailed(finding)

    def _told(self, fixtures: Mapping[str, Any]) -> Verdict:
        folder = getattr(self.config, "workerinput", {}).get(SHARED)
        if folder is None or fixtures:
            return self._judged(fixtures, self.check_id)
        # Whichever of several workers comes first judges all of it: the others read.
        every = Shared(Path(folder)).once(self.collector.nodeid, self._judged_all)
        text = every.get(self.check_id)
        return self._judged(fixtures, self.check_id) if text is None else Told.from_text(text).verdict

    def _judged_all(self) -> dict[str, str]:
        return {id: Told(self.collector.nodeid, id, self._judged({}, id)).as_text() for id in self.planned}

    def _judged(self, fixtures: Mapping[str, Any], check_id: str) -> Verdict:
        """What one check says, and what else is known since it ran."""
        measured = self._measured()
        assessment = measured.assessment
        if fixtures:
            # A fixture of one test is torn down after it; the next check runs with its own.
            assessment.fixtures.update(fixtures)
            assessment.evidence.fixtures.update(fixtures)
        finding = assessment.run(check_id)
        # Before coverage is told: what is drawn is chosen by all selected checks, which are then all covered here.
        portrait = None
        if self.config.getoption("sampler_harness_report") is not None and check_id == self.planned[-1]:
            # Told by the last selected check alone: one process measures it, once.
            portrait = assessment.portrait([assessment.run(id) for id in self.planned])
        told = dataclasses.replace(self._nothing(), findings=(finding,), portrait=portrait)
        if finding.outcome != "error":
            verdict = assessment.verdict([check_id], diagnose=False)
            told = dataclasses.replace(
                told, coverage=verdict.coverage, versions=verdict.versions, deviations=verdict.deviations
            )
        if check_id == "training/forward-backward-consistent":
            told = dataclasses.replace(told, beside=self._beside())
        if finding.outcome in ("failed", "error") and not measured.diagnosed:
            # Of all checks, so that it is the same whichever of them fails first, and in whichever worker.
            measured.diagnosed = True
            told = dataclasses.replace(told, diagnosis=assessment.diagnosis(of_all=True))
        return told

    def _beside(self) -> tuple[str, ...]:
        """What this declaration says together with the others of the session."""
        from sampler_harness.across import beside_others

        collectors = dict.fromkeys(item.collector for item in self.session.items if isinstance(item, CheckItem))
        try:
            return beside_others(self.collector.subject, [one.subject for one in collectors])
        except ValueError:
            return ()  # a declaration that cannot be built is told where it is judged

    def _measured(self) -> _Measured:
        every, owner = self.config.stash.setdefault(_MEASURED, {}), self.collector
        if owner.key not in every:
            chosen = asked(self.config)
            assessment = Assessment(
                owner.subject,
                budget=self.config.getoption("sampler_harness_budget"),
                device=self.config.getoption("sampler_harness_device"),
                diagnose=not self.config.getoption("sampler_harness_no_diagnosis"),
                checks_as_of=chosen.checks_as_of,
                expected=chosen.baseline.expected(owner.subject.target),
            )
            every[owner.key] = _Measured(assessment)
        return every[owner.key]

    def _nothing(self) -> Verdict:
        """What is known before the check has run."""
        return dataclasses.replace(self._measured().assessment.unjudged(), planned=self.planned)

    def tell(self, verdict: Verdict | None = None) -> None:
        """Put what is known of this item where the report takes it along."""
        told = Told(self.collector.nodeid, self.check_id, verdict or self._nothing())
        self.user_properties[:] = [one for one in self.user_properties if one[0] != PROPERTY]
        self.user_properties.append((PROPERTY, told.as_text()))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *rest: Any, **named: Any) -> Any:
        """A finding as its own text, without a traceback of the harness."""
        # By name: what is declared wrongly is the harness's to tell, and its module need not be loaded for others.
        if not isinstance(excinfo.value, CheckFailed) and excinfo.typename != "DeclarationError":
            return super().repr_failure(excinfo, *rest, **named)
        shown: Any = excinfo.getrepr(style="value")
        try:
            entry, crash = shown.reprtraceback.reprentries[-1], shown.reprcrash
            entry.lines[:] = str(excinfo.value).splitlines()
            crash.message = str(excinfo.value).splitlines()[0]
            path, line, _ = self.reportinfo()
            crash.path, crash.lineno = str(path), (line or 0) + 1
        except AttributeError:
            return str(excinfo.value)
        return shown


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the script under a failure, and the sampler's place, not the plugin's, beside a skip."""
    report = yield
    if not isinstance(item, CheckItem) or call.when != "call":
        return report
    if report.failed and item.reproduction:
        report.sections.append(("To see it yourself, save this as a file and run it", item.reproduction))
    if report.skipped and isinstance(report.longrepr, tuple):
        path, line, _ = item.reportinfo()
        report.longrepr = (str(path), (line or 0) + 1, report.longrepr[2])
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell each item which checks of its sampler were selected: fewer that ran than that must show."""
    chosen: dict[str, set[str]] = {}
    items = [item for item in session.items if isinstance(item, CheckItem)]
    for item in items:
        chosen.setdefault(item.collector.nodeid, set()).add(item.check_id)
    for item in items:
        # In the catalogue's order: the host may run its tests in any.
        known = check_ids(item.collector.subject.kind)
        item.planned = tuple(id for id in known if id in chosen[item.collector.nodeid])
        item.tell()
