"""The pytest plugin: a declared sampler in a test module becomes one test per check.

Loading it imports pytest and the standard library only; torch comes in when the first check runs. What a check finds
travels in the report's user properties, so that the summary is the same with and without workers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import inspect
import json
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .gate.baseline import Baseline
    from .runner import Assessment
    from .subject import AnySubject
    from .verdict import Finding, Verdict

__all__ = ["CheckFailed", "CheckItem", "SubjectCollector", "TargetModule"]

#: Name of the user property in which a finding travels.
PROPERTY = "sampler_harness"
#: Name under which workers are told of the folder that they share.
SHARED = "sampler_harness_shared"
BUDGETS = ("quick", "standard", "thorough")


class CheckFailed(AssertionError):
    """A sampler did not conform; shown as the finding's own text.

    Args:
        finding: of the check.
    """

    def __init__(self, finding: Finding) -> None:
        from .report.terminal import failure_text

        super().__init__(failure_text(finding))
        self.finding = finding


@dataclasses.dataclass
class _State:
    """What one process knows of its samplers."""

    assessments: dict[tuple[int, str], tuple[AnySubject, Assessment]] = dataclasses.field(default_factory=dict)
    baseline: Baseline | None = None
    diagnosed: set[tuple[int, str]] = dataclasses.field(default_factory=set)
    device_problem: str | None = None
    checks_as_of: str = ""


_STATE = pytest.StashKey[_State]()
_COLLECTED = pytest.StashKey[set[int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all under ``--sampler``, and the ini key."""
    group = parser.getgroup("sampler-harness", "diffusion samplers")
    group.addoption(
        "--sampler",
        action="append",
        default=[],
        metavar="TARGET",
        dest="sampler_harness_targets",
        help="check this sampler too: module:name, path/file.py:name or diffusers:NAME; repeatable",
    )
    group.addoption(
        "--sampler-device",
        default="cpu",
        metavar="DEVICE",
        dest="sampler_harness_device",
        help="torch device that samplers are checked on (default: cpu)",
    )
    group.addoption(
        "--sampler-budget",
        default="quick",
        choices=BUDGETS,
        dest="sampler_harness_budget",
        help="how much is run for each sampler (default: quick)",
    )
    group.addoption(
        "--sampler-json",
        metavar="FILE",
        dest="sampler_harness_json",
        help="write the verdicts as JSON",
    )
    group.addoption(
        "--sampler-baseline",
        metavar="FILE",
        dest="sampler_harness_baseline",
        help="deviations that are known, in TOML (check-sampler --baseline FILE --write-baseline makes one)",
    )
    group.addoption(
        "--sampler-checks-as-of",
        metavar="X.Y",
        dest="sampler_harness_checks_as_of",
        help="only the checks that this version of sampler-harness had",
    )
    group.addoption(
        "--sampler-report",
        metavar="FILE",
        dest="sampler_harness_report",
        help="write the verdicts as one self-contained HTML page, with pictures",
    )
    group.addoption(
        "--sampler-no-diagnosis",
        action="store_true",
        dest="sampler_harness_no_diagnosis",
        help="do not look for what a sampler that fails does instead (it takes some seconds)",
    )
    parser.addini(
        "samplers_under_test",
        "samplers that are checked without a test file, as module:name",
        type="linelist",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what is wrong before anything runs, and listen for findings where the summary is written."""
    state = config.stash[_STATE] = _State()
    device = config.getoption("sampler_harness_device")
    if device != "cpu":
        from .targets import TargetError, device_problem

        with _own_warnings():
            try:
                state.device_problem = device_problem(device)
            except TargetError as error:
                raise pytest.UsageError(f"--sampler-device: {error}") from None
    as_of = config.getoption("sampler_harness_checks_as_of")
    if as_of is not None:
        from .catalogue import checked_version

        try:
            state.checks_as_of = checked_version(as_of)
        except ValueError as error:
            raise pytest.UsageError(f"--sampler-checks-as-of: {error}") from None
    baseline = config.getoption("sampler_harness_baseline")
    if baseline is not None:
        from .gate.baseline import BaselineError, read_baseline

        try:
            state.baseline = read_baseline(baseline)
        except BaselineError as error:
            raise pytest.UsageError(f"--sampler-baseline: {error}") from None
    for option in ("json", "report"):
        place = config.getoption(f"sampler_harness_{option}")
        if place is not None and not (config.invocation_params.dir / place).parent.is_dir():
            raise pytest.UsageError(f"--sampler-{option}: there is no folder {Path(place).parent}")
    if config.getoption("sampler_harness_report") is not None:
        from .report.figures import MissingExtraError, require_extra

        try:
            require_extra()
        except MissingExtraError as error:
            raise pytest.UsageError(f"--sampler-report: {error}") from None
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Listener(config), "sampler-harness-listener")


# Collecting


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> pytest.Collector | None:
    """Collect a declared sampler at the top of a test module, whatever its name; private names are left alone."""
    if getattr(type(obj), "is_sampler_under_test", None) is not True:
        return None
    if not isinstance(collector, pytest.Module) or name.startswith("_"):
        return None
    seen = collector.stash.setdefault(_COLLECTED, set())
    if id(obj) in seen:
        return None
    seen.add(id(obj))
    subject: Any = obj
    return SubjectCollector.from_parent(collector, name=name, subject=subject)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Add the samplers that stand in no test file to what pytest collects."""
    report = yield
    if isinstance(collector, pytest.Session) and report.passed:
        report.result = [*(report.result or []), *_declared_modules(collector)]
    return report


def _declared_modules(session: pytest.Session) -> list[pytest.Collector]:
    config = session.config
    targets: list[str] = list(config.getoption("sampler_harness_targets"))
    # Who names files wants those alone.
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        for target in config.getini("samplers_under_test"):
            if target not in targets:
                targets.append(_below_root(target, config))
    return [TargetModule.of(session, target) for target in targets]


def _below_root(target: str, config: pytest.Config) -> str:
    """File targets of the configuration file are relative to it, not to where pytest was started."""
    file, colon, name = target.rpartition(":")
    if not colon or file.endswith(".py") or target.endswith(".py"):
        path, rest = (target, "") if target.endswith(".py") else (file, f":{name}")
        if path.endswith(".py"):
            return f"{config.rootpath / path}{rest}"
    return target


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
            nodeid = target.rpartition(":")[0] or target
        node: TargetModule = cls.from_parent(session, path=path or root, name=nodeid, nodeid=nodeid)
        node.target = target
        return node

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """The samplers that the target names."""
        from .targets import TargetError, load_named

        with _own_warnings():
            try:
                found = load_named(self.target)
            except TargetError as error:
                raise self.CollectError(str(error)) from None
        self.obj = found[0].module or types.ModuleType(self.name)
        return [SubjectCollector.from_parent(self, name=one.attribute, subject=one.subject) for one in found]


def _file_of(target: str) -> Path | None:
    place = target if target.endswith(".py") else target.rpartition(":")[0] or target
    if place.endswith(".py"):
        return Path(place).resolve() if Path(place).is_file() else None
    from .targets import ADAPTERS

    if place in ADAPTERS:
        return None
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin).resolve() if spec is not None and spec.has_location and spec.origin else None


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
        from .catalogue import check_ids

        marks = _marks_of(self._original)
        if any(mark.name == "parametrize" for mark in marks):
            raise self.CollectError(
                f"{self.name} is parametrized: name the field in its declaration instead, with a strategy such as "
                "st.sampled_from([…])"
            )
        if self.config.pluginmanager.hasplugin("xdist"):
            # With --dist loadgroup one worker measures once what all checks read.
            marks.append(pytest.mark.xdist_group(self.nodeid).mark)
        as_of = self.config.stash[_STATE].checks_as_of
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
    from .subject import renamed

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
        state = self.config.stash[_STATE]
        if state.device_problem is not None:
            device = self.config.getoption("sampler_harness_device")
            self.tell({"not_run": state.device_problem})
            pytest.skip(f"device {device}: not run ({state.device_problem})")
        with _own_warnings():
            finding = self._finding(state, fixtures)
        # One script is enough: the cause's.
        self.reproduction = finding.reproduction if finding.consequence_of is None else ""
        if finding.outcome == "skipped":
            pytest.skip(f"{finding.id} does not apply: {finding.message}")
        if finding.outcome == "expected":
            pytest.xfail(finding.message)
        if finding.outcome != "passed":
            # Also what --runxfail makes of an expected one.
            raise CheckFailed(finding)

    def _finding(self, state: _State, fixtures: Mapping[str, Any]) -> Finding:
        from .report.json import finding_from

        folder = getattr(self.config, "workerinput", {}).get(SHARED)
        if folder is None or fixtures:
            told = self._judged(state, fixtures, self.check_id)
        else:
            from .sharing import Shared

            # Whichever of several workers comes first judges all of it: the others read.
            every = Shared(Path(folder)).once(self.collector.nodeid, lambda: self._judged_all(state))
            told = every.get(self.check_id) or self._judged(state, fixtures, self.check_id)
        self.tell(told)
        return finding_from(told["finding"])

    def _judged_all(self, state: _State) -> dict[str, Any]:
        return {id: self._judged(state, {}, id) for id in self.planned}

    def _judged(self, state: _State, fixtures: Mapping[str, Any], check_id: str) -> dict[str, Any]:
        """What one check says, as JSON has it."""
        from .report.json import plain
        from .runner import Assessment

        owner = self.collector
        if owner.key not in state.assessments:
            assessment = Assessment(
                owner.subject,
                budget=self.config.getoption("sampler_harness_budget"),
                device=self.config.getoption("sampler_harness_device"),
                fixtures=fixtures,
                checks_as_of=state.checks_as_of,
                expected=None if state.baseline is None else state.baseline.expected(owner.subject.target),
            )
            state.assessments[owner.key] = (owner.subject, assessment)
        elif fixtures:
            # A fixture of one test is torn down after it; the next check runs with its own.
            state.assessments[owner.key][1].evidence.fixtures.update(fixtures)
        assessment = state.assessments[owner.key][1]
        finding = assessment.run(check_id)
        sent = dataclasses.replace(finding, evidence=plain(finding.evidence))
        # Before coverage is told: what is drawn is chosen by all selected checks, which are then all covered here.
        drawn = self._portrait(assessment, check_id)
        told: dict[str, Any] = {"finding": dataclasses.asdict(sent)}
        if finding.outcome != "error":
            verdict = assessment.verdict([check_id], diagnose=False)
            told |= {"coverage": dataclasses.asdict(verdict.coverage), "versions": dict(verdict.versions)}
            told |= {"deviations": dict(verdict.deviations)}
        if finding.outcome in ("failed", "error") and not self.config.getoption("sampler_harness_no_diagnosis"):
            # Of all checks, so that it is the same whichever of them fails first, and in whichever worker.
            found = None if owner.key in state.diagnosed else assessment.diagnosis(of_all=True)
            state.diagnosed.add(owner.key)
            told |= {} if found is None else {"diagnosis": dataclasses.asdict(found)}
        answer: dict[str, Any] = plain(told) | drawn
        return answer

    def _portrait(self, assessment: Assessment, check_id: str) -> dict[str, Any]:
        """What a page draws of the sampler, told by its last selected check alone: one process measures it, once."""
        if self.config.getoption("sampler_harness_report") is None or check_id != self.planned[-1]:
            return {}
        portrait = assessment.portrait([assessment.run(id) for id in self.planned])
        return {} if portrait is None else {"portrait": portrait.to_json()}

    def tell(self, data: Mapping[str, Any]) -> None:
        """Put what is known of this item where the report takes it along."""
        kept: dict[str, Any] = {}
        for name, text in self.user_properties:
            if name == PROPERTY and isinstance(text, str):
                kept = json.loads(text)
        self.user_properties[:] = [one for one in self.user_properties if one[0] != PROPERTY]
        self.user_properties.append((PROPERTY, json.dumps({**kept, **data}, allow_nan=False)))

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
    chosen: dict[str, list[str]] = {}
    items = [item for item in session.items if isinstance(item, CheckItem)]
    for item in items:
        chosen.setdefault(item.collector.nodeid, []).append(item.check_id)
    for item in items:
        subject = item.collector.subject
        item.planned = tuple(id for id in _in_order(item) if id in chosen[item.collector.nodeid])
        item.tell(
            {
                "node": item.collector.nodeid,
                "sampler": subject.target or subject.name,
                "reference": subject.reference_name,
                "kind": subject.kind,
                "line": subject.source[1],
                "planned": chosen[item.collector.nodeid],
            }
        )


def _in_order(item: CheckItem) -> tuple[str, ...]:
    """Ids of the catalogue: the host may run its tests in any order."""
    from .catalogue import check_ids

    return check_ids(item.collector.subject.kind)


@contextlib.contextmanager
def _own_warnings() -> Generator[None, None, None]:
    """The host's ``filterwarnings`` must not turn a sampler's or torch's warning into a finding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# Summing up


def _tell_workflow(
    verdicts: Sequence[Verdict], stale: Sequence[str], terminalreporter: pytest.TerminalReporter
) -> None:
    """Annotations and the table, in a workflow of GitHub's."""
    from .report.github import in_workflow, workflow_commands, write_step_summary

    if not in_workflow():
        return
    from .gate.git import changes_of_workflow

    found = changes_of_workflow()
    root, lines = (None, None) if found is None else (found[0].root, found[1].lines)
    for line in workflow_commands(verdicts, root=root, changed=lines):
        terminalreporter.write_line(line)
    write_step_summary(verdicts, stale)


class _Listener:
    """Gathers findings where the summary is written: in the only process, or in the one that leads the workers.

    Args:
        config: pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.told: dict[str, dict[str, dict[str, Any]]] = {}
        self.problem = ""
        self._shared: tempfile.TemporaryDirectory[str] | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give pytest-xdist's workers a folder in common."""
        if self._shared is None:
            self._shared = tempfile.TemporaryDirectory(prefix="sampler-harness-", ignore_cleanup_errors=True)
        node.workerinput[SHARED] = self._shared.name

    def pytest_unconfigure(self) -> None:
        """Take it away again."""
        if self._shared is not None:
            self._shared.cleanup()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the finding out of the report, so that JUnit files stay as they were."""
        for name, text in report.user_properties:
            if name == PROPERTY and isinstance(text, str):
                data = json.loads(text)
                check = report.nodeid.partition("@")[0].rpartition("::")[2]
                self.told.setdefault(data["node"], {})[check] = data
        report.user_properties[:] = [one for one in report.user_properties if one[0] != PROPERTY]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the JSON file and the page."""
        if self.config.getoption("collectonly", False):
            return
        place = self.config.getoption("sampler_harness_json")
        if place is not None:
            from .report.json import dumps

            text = dumps(list(self.verdicts().values()))
            (self.config.invocation_params.dir / place).write_text(text, encoding="utf-8")
        page = self.config.getoption("sampler_harness_report")
        if page is not None:
            self._write_page(self.config.invocation_params.dir / page)

    def _write_page(self, place: Path) -> None:
        from .report.verdict_page import write_verdict_page

        # As the files have them: hosts shuffle their tests, and workers end when they end.
        nodes = sorted(self.told, key=self._place_of)
        verdicts = self.verdicts()
        try:
            with _own_warnings():
                write_verdict_page([_with_portrait(verdicts[node]) for node in nodes], place)
        except (ValueError, ImportError) as error:
            self.problem = f"--sampler-report: {error}"

    def _place_of(self, node: str) -> tuple[str, int, str]:
        """File and line of a sampler."""
        line = next(iter(self.told[node].values()))["line"]
        return node.rpartition("::")[0], line, node

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """A few lines per sampler."""
        if self.problem:
            terminalreporter.write_line(self.problem, red=True)
        verdicts = self.verdicts()
        if not verdicts:
            return
        from .report.terminal import summary_lines

        colors = {"good": "green", "bad": "red", "warn": "yellow", "bold": "bold"}
        terminalreporter.section("samplers")
        for verdict in verdicts.values():
            for line in summary_lines(verdict):
                markup = {colors[line.style]: True} if line.style in colors else {}
                terminalreporter.write_line(line.text, **markup)
        stale = self._stale(list(verdicts.values()))
        for text in stale:
            terminalreporter.write_line(text, yellow=True)
        _tell_workflow(list(verdicts.values()), stale, terminalreporter)

    def _stale(self, verdicts: Sequence[Verdict]) -> list[str]:
        """Entries of the baseline that excuse nothing here: told only, since a part of the tests may be selected."""
        baseline = self.config.stash[_STATE].baseline
        if baseline is None:
            return []
        found = baseline.stale([verdict.sampler for verdict in verdicts], {})
        return [f"{baseline.path}, line {entry.line}: {entry.target}, {entry.check}: {why}" for entry, why in found]

    def verdicts(self) -> dict[str, Verdict]:
        """One verdict per sampler, in the order of collection."""
        return {node: self._verdict(told) for node, told in self.told.items()}

    def _verdict(self, told: Mapping[str, Mapping[str, Any]]) -> Verdict:
        from .catalogue import check_ids
        from .portrait import Portrait
        from .report.json import coverage_from, diagnosis_from, finding_from
        from .verdict import Coverage, Verdict

        any_one = next(iter(told.values()))
        planned = [id for id in check_ids(any_one["kind"]) if id in any_one["planned"]]
        found = [told[id] for id in planned if id in told and "finding" in told[id]]
        findings = tuple(finding_from(data["finding"]) for data in found)
        # Each worker covers what its own checks needed: the widest is told.
        coverages = [coverage_from(data["coverage"]) for data in found if "coverage" in data]
        return Verdict(
            sampler=any_one["sampler"],
            reference=any_one["reference"],
            findings=findings,
            coverage=max(coverages, key=lambda one: (one.cases, one.model_calls), default=Coverage()),
            seconds=sum(finding.seconds for finding in findings),
            budget=self.config.getoption("sampler_harness_budget"),
            device=self.config.getoption("sampler_harness_device"),
            versions=next((data["versions"] for data in found if "versions" in data), {}),
            not_run=next((data["not_run"] for data in told.values() if "not_run" in data), None),
            planned=tuple(planned),
            kind=any_one["kind"],
            checks_as_of=self.config.stash[_STATE].checks_as_of,
            diagnosis=next((diagnosis_from(data["diagnosis"]) for data in told.values() if "diagnosis" in data), None),
            portrait=next((Portrait.from_json(data["portrait"]) for data in told.values() if "portrait" in data), None),
            deviations=next((data["deviations"] for data in found if "deviations" in data), {}),
        )


def _with_portrait(verdict: Verdict) -> Verdict:
    """The verdict, told why nothing is drawn of it where that is so."""
    from .portrait import Portrait

    if verdict.portrait is not None or verdict.kind != "sampler" or verdict.not_run is not None:
        return verdict
    why = "Nothing is drawn: the last of this sampler's selected checks, which does that, did not run."
    return dataclasses.replace(verdict, portrait=Portrait("", (), "", verdict.reference, missing=(why,)))
