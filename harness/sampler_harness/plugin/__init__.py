"""The pytest plugin: a declared sampler in a test module becomes one test per check.

Loading it imports pytest and the standard library only, and a run without samplers loads nothing else of the package.
What a check finds travels in the report's user properties, so that the summary is the same with and without workers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .summary import Summary

#: Name of the user property in which a finding travels.
PROPERTY = "sampler_harness"
#: Name under which workers are told of the folder that they share.
SHARED = "sampler_harness_shared"
BUDGETS = ("quick", "standard", "thorough")

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
        help="check this sampler too: module:name, path/file.py:name, diffusers:NAME, k_diffusion:sample_x; repeatable",
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
    options = {name: config.getoption(f"sampler_harness_{name}") for name in ("checks_as_of", "baseline", "device")}
    if options != {"checks_as_of": None, "baseline": None, "device": "cpu"}:
        from .asked import asked

        asked(config)
    for option in ("json", "report"):
        place = config.getoption(f"sampler_harness_{option}")
        if place is not None and not (config.invocation_params.dir / place).parent.is_dir():
            raise pytest.UsageError(f"--sampler-{option}: there is no folder {Path(place).parent}")
    if config.getoption("sampler_harness_report") is not None:
        from sampler_harness.report.page import MissingExtraError, require_extra

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
    found: pytest.Collector = _items(collector.config).SubjectCollector.from_parent(collector, name=name, subject=obj)
    return found


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
    return [_items(config).TargetModule.of(session, target) for target in targets]


def _below_root(target: str, config: pytest.Config) -> str:
    """File targets of the configuration file are relative to it, not to where pytest was started."""
    from sampler_harness.targets import place_of

    return f"{config.rootpath / target}" if place_of(target).endswith(".py") else target


def _items(config: pytest.Config) -> Any:
    """The module of collectors and items: only who has a sampler loads it; its own hooks are pytest's from then on."""
    from . import items

    if not config.pluginmanager.is_registered(items):
        config.pluginmanager.register(items, "sampler-harness-items")
    return items


# Summing up


class _Listener:
    """Hears of findings where the summary is written: in the only process, or in the one that leads the workers.

    Args:
        config: pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._shared: tempfile.TemporaryDirectory[str] | None = None
        self._made: Summary | None = None
        if any(config.getoption(f"sampler_harness_{option}") is not None for option in ("json", "report")):
            self._summary()  # these are written without samplers too

    def _summary(self) -> Summary:
        """What gathers them; only who has a sampler loads it."""
        from .summary import Summary

        if self._made is None:
            self._made = Summary(self._config)
            self._config.pluginmanager.register(self._made, "sampler-harness-summary")
        return self._made

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
        if any(name == PROPERTY for name, _ in report.user_properties):
            self._summary().take(report)
