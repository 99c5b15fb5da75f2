"""A declared grid in a stranger's repository: collected by pytest, and run by the command, like a sampler."""

from __future__ import annotations

import json
import sys

import pytest

from sampler_harness.catalogue import check_ids
from sampler_harness.cli import main

GRIDS = """
import torch
from hypothesis import strategies as st
from reference_samplers.grids import EvenTimes
from sampler_harness import grid_under_test


@grid_under_test(EvenTimes, num_steps=st.integers(1, 12), shift=st.floats(1.5, 5.0))
def right(config):
    times = torch.linspace(1, 0, config.num_steps + 1)
    return config.shift * times / (1 + (config.shift - 1) * times)


@grid_under_test(EvenTimes, num_steps=st.integers(1, 12), shift=st.floats(1.5, 5.0))
def unshifted(config):
    return torch.linspace(1, 0, config.num_steps + 1)


@grid_under_test(
    EvenTimes, num_steps=st.integers(1, 12), shift=st.floats(1.5, 5.0), expected_failures={"grid/levels": "issue 12"}
)
def known(config):
    return torch.linspace(1, 0, config.num_steps + 1)
"""


@pytest.fixture(autouse=True)
def host(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A repository with three grids; runs in this process forget the host's modules only."""

    def restore(snapshot: object) -> None:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(pytester.path)):
                del sys.modules[name]

    monkeypatch.setattr("_pytest.pytester.SysModulesSnapshot.restore", restore)
    monkeypatch.setenv("PYTEST_ADDOPTS", f"--rootdir={pytester.path}")
    monkeypatch.chdir(pytester.path)
    pytester.makepyfile(test_grids=GRIDS)
    return pytester


def test_pytest_has_an_item_for_each_check(host: pytest.Pytester) -> None:
    result = host.runpytest_inprocess("-p", "no:randomly", "-p", "no:xdist", "-q", "--sampler-no-diagnosis")
    count = len(check_ids("grid"))
    result.assert_outcomes(passed=3 * count - 2, failed=1, xfailed=1)
    result.stdout.fnmatch_lines(["*grid/levels: level 1 of 2 (model call 1) is 0.5, should be 0.666667"])
    assert "unshifted does not conform to EvenTimes" in result.stdout.str()


def test_the_command_runs_it_by_name(host: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test_grids.py:right", "--budget", "quick"]) == 0
    assert capsys.readouterr().out.startswith("right conforms to EvenTimes")
    assert main(["test_grids.py:known", "--budget", "quick"]) == 0
    capsys.readouterr()
    assert main(["test_grids.py:unshifted", "--budget", "quick", "--json", "-", "--no-diagnosis"]) == 1
    [verdict] = json.loads(capsys.readouterr().out)
    assert (verdict["kind"], verdict["reference"], verdict["conforms"]) == ("grid", "EvenTimes", False)
    [check] = [one for one in verdict["checks"] if one["outcome"] == "failed"]
    assert check["evidence"]["should_be"] == pytest.approx(2 / 3)
    assert check["evidence"]["configuration"] == "EvenTimes(num_steps=2, shift=2.0)"


def test_what_is_for_samplers_alone_is_refused(host: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test_grids.py:right", "--save-law", "law.json"]) == 2
    assert "law" in capsys.readouterr().err


def test_the_printed_script_shows_it(host: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    main(["test_grids.py:unshifted", "--budget", "quick", "--no-diagnosis", "--json", "-"])
    [verdict] = json.loads(capsys.readouterr().out)
    [script] = [check["reproduction"] for check in verdict["checks"] if check["id"] == "grid/levels"]
    exec(script, {})
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "[1.0, 0.5, 0.0]"
    assert out[1].startswith("should be [")
