"""The pytest plugin in a stranger's repository, run as they would run it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from sampler_harness.catalogue import check_ids

NUM_CHECKS = len(check_ids())
FAST = ("-p", "no:randomly", "-p", "no:xdist")
#: Where what is done instead is not asked.
UNDIAGNOSED = (*FAST, "--sampler-no-diagnosis")


@pytest.fixture(autouse=True)
def modules_stay(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process forget the host's modules only: torch cannot be loaded twice."""

    def restore(snapshot: object) -> None:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(pytester.path)):
                del sys.modules[name]

    monkeypatch.setattr("_pytest.pytester.SysModulesSnapshot.restore", restore)


@pytest.fixture
def host(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A repository with one unrelated test; what lies in the folders above it does not matter."""
    monkeypatch.setenv("PYTEST_ADDOPTS", f"--rootdir={pytester.path}")
    pytester.makepyfile(test_other="def test_other():\n    assert True\n")
    return pytester


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    return dict(result.parseoutcomes())


def node_ids(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line and " " not in line]


# Collecting


def test_one_item_per_check_whatever_the_name(host: pytest.Pytester, sound_file: str) -> None:
    host.makepyfile(test_sampler=sound_file)
    result = host.runpytest_inprocess(*FAST, "--collect-only", "-q", "test_sampler.py")
    assert node_ids(result) == [f"test_sampler.py::sound::{id}" for id in check_ids()]


def test_a_sampler_is_collected_once_and_private_names_are_not(host: pytest.Pytester, sound_file: str) -> None:
    host.makepyfile(
        test_sampler=sound_file
        + "\nalias = sound\n_private = sampler_under_test(EDM)(euler_like)\n".replace(
            "euler_like", "lambda model, shape, config, device, dtype: None"
        )
    )
    result = host.runpytest_inprocess(*FAST, "--collect-only", "-q", "test_sampler.py")
    assert len(node_ids(result)) == NUM_CHECKS


def test_an_imported_sampler_is_collected(host: pytest.Pytester, sound_file: str) -> None:
    host.makepyfile(my_adapters=sound_file, test_sampler="from my_adapters import sound as mine\n")
    host.syspathinsert()
    result = host.runpytest_inprocess(*FAST, "--collect-only", "-q", "test_sampler.py")
    assert node_ids(result)[0] == "test_sampler.py::mine::law/times"


def test_verdict_of_a_sound_sampler(host: pytest.Pytester, sound_file: str) -> None:
    host.makepyfile(test_sampler=sound_file)
    result = host.runpytest_inprocess(*FAST)
    counts = outcomes(result)
    assert result.ret == 0
    assert "failed" not in counts
    assert counts["passed"] + counts["skipped"] == NUM_CHECKS + 1
    result.stdout.fnmatch_lines(
        [
            "*= samplers =*",
            "sound conforms to EDM",
            f"  checks: planned {NUM_CHECKS}, ran *; margin *",
            "  not varied: *",
        ]
    )
    assert len([line for line in result.outlines if "= samplers =" in line]) == 1


def test_a_failure_is_the_finding_and_no_traceback(host: pytest.Pytester, faulty_file: str) -> None:
    host.makepyfile(test_sampler=faulty_file)
    result = host.runpytest_inprocess(*UNDIAGNOSED, "-k", "initial-noise or other")
    assert result.ret == 1
    assert outcomes(result) == {"failed": 1, "passed": 1, "deselected": NUM_CHECKS - 1}
    result.stdout.fnmatch_lines(
        [
            "*_ faulty::law/initial-noise _*",
            "law/initial-noise: the first model input has standard deviation 1, should be 5*",
            "smallest configuration: EDM(num_steps=1*",
            "*To see it yourself*",
            "subject = load_subject('test_sampler.py:faulty')",
            "faulty does not conform to EDM: 1 check failed",
            "FAILED test_sampler.py::faulty::law/initial-noise - law/initial-noise: *",
        ]
    )
    assert not any(own in result.stdout.str() for own in ("plugin/", "items.py", "runner.py"))
    assert "Traceback" not in result.stdout.str()


def test_a_skip_names_the_reason_and_the_samplers_own_line(host: pytest.Pytester, sound_file: str) -> None:
    host.makepyfile(test_sampler=sound_file)
    result = host.runpytest_inprocess(*FAST, "-k", "law/forward", "-rs")
    assert outcomes(result) == {"skipped": 1, "deselected": NUM_CHECKS}
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]] test_sampler.py:*: law/forward does not apply: *"])


def test_a_declared_deviation_is_an_expected_failure(host: pytest.Pytester, faulty_file: str) -> None:
    known = faulty_file.replace("**GRID)", '**GRID, expected_failures={"law/initial-noise": "intended, see 12"})')
    host.makepyfile(test_sampler=known)
    arguments = (*FAST, "-k", "initial-noise", "-rx")
    result = host.runpytest_inprocess(*arguments)
    assert result.ret == 0
    assert outcomes(result) == {"xfailed": 1, "deselected": NUM_CHECKS}
    result.stdout.fnmatch_lines(["*intended, see 12*"])
    assert host.runpytest_inprocess(*arguments, "--runxfail").ret == 1


def test_a_sampler_that_returns_nothing_never_passes(host: pytest.Pytester, sampler_file: str) -> None:
    empty = "\n@sampler_under_test(EDM, **GRID)\ndef empty(model, shape, config, *, device, dtype):\n    pass\n"
    host.makepyfile(test_sampler=sampler_file + empty)
    result = host.runpytest_inprocess(*FAST, "test_sampler.py")
    assert "passed" not in outcomes(result)
    result.stdout.fnmatch_lines(["*the sampler returned NoneType, should be a torch tensor*"])
    assert "Traceback" not in result.stdout.str()


def test_a_wrong_declaration_is_a_collection_error_without_our_lines(host: pytest.Pytester, sound_file: str) -> None:
    host.makepyfile(test_sampler=sound_file.replace("**GRID", "sigma_maxx=1.0"))
    result = host.runpytest_inprocess(*FAST, "test_sampler.py")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*EDM has no field 'sigma_maxx'; did you mean 'sigma_max'?*"])
    assert "raise DeclarationError" not in result.stdout.str()


# Selecting, marks, fixtures


def test_selection_and_last_failed(host: pytest.Pytester, faulty_file: str) -> None:
    host.makepyfile(test_sampler=faulty_file)
    first = host.runpytest_inprocess(*UNDIAGNOSED, "-k", "law/initial-noise or law/times")
    assert outcomes(first) == {"failed": 1, "passed": 1, "deselected": NUM_CHECKS - 1}
    again = host.runpytest_inprocess(*UNDIAGNOSED, "--lf")
    assert outcomes(again)["failed"] == 1
    assert "passed" not in outcomes(again)
    by_id = host.runpytest_inprocess(*FAST, "test_sampler.py::faulty::law/times")
    assert outcomes(by_id) == {"passed": 1}
    assert host.runpytest_inprocess(*FAST, "test_sampler.py::faulty::law/tims").ret == 4


@pytest.mark.parametrize("below", [False, True], ids=["above", "below"])
def test_marks_reach_every_item(host: pytest.Pytester, sound_file: str, below: bool) -> None:
    host.makeini("[pytest]\nmarkers = slow: takes long\n")
    declaration = "@sampler_under_test(EDM, **GRID)\n"
    marked = f"{declaration}@pytest.mark.slow\n" if below else f"@pytest.mark.slow\n{declaration}"
    host.makepyfile(test_sampler=sound_file.replace(declaration, marked))
    result = host.runpytest_inprocess(*FAST, "-m", "slow", "--collect-only", "-q", "--strict-markers")
    assert len(node_ids(result)) == NUM_CHECKS
    assert outcomes(host.runpytest_inprocess(*FAST, "-m", "not slow")) == {"passed": 1, "deselected": NUM_CHECKS}


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ('skip(reason="by the host")', {"skipped": NUM_CHECKS}),
        ('skipif(True, reason="by the host")', {"skipped": NUM_CHECKS}),
        ('xfail(run=False, reason="by the host")', {"xfailed": NUM_CHECKS}),
    ],
)
def test_the_hosts_own_outcomes_hold(
    host: pytest.Pytester, sound_file: str, mark: str, expected: dict[str, int]
) -> None:
    host.makepyfile(test_sampler=sound_file.replace("@sampler_under_test", f"@pytest.mark.{mark}\n@sampler_under_test"))
    result = host.runpytest_inprocess(*FAST, "test_sampler.py")
    assert outcomes(result) == expected
    result.stdout.fnmatch_lines(["sound was not judged against EDM*", f"*ran 0,*not run {NUM_CHECKS}*"])


def test_parametrize_is_refused_with_what_to_write(host: pytest.Pytester, sound_file: str) -> None:
    host.makepyfile(
        test_sampler=sound_file.replace(
            "@sampler_under_test", '@pytest.mark.parametrize("n", [1, 2])\n@sampler_under_test'
        )
    )
    result = host.runpytest_inprocess(*FAST, "test_sampler.py")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*sound is parametrized: name the field in its declaration instead*"])


def test_fixtures_after_the_star_are_the_hosts(host: pytest.Pytester, sampler_file: str) -> None:
    host.makeconftest(
        "import pytest\n"
        "@pytest.fixture\n"
        "def factor():\n"
        "    alive = [1.0]\n"
        "    yield alive\n"
        "    alive.clear()  # torn down after every test\n"
        "@pytest.fixture(autouse=True)\n"
        "def seen(request):\n"
        "    request.node.was_seen = True\n"
    )
    host.makepyfile(
        test_sampler=sampler_file
        + "\n@sampler_under_test(EDM, **GRID)\n"
        + "def fed(model, shape, config, *, device, dtype, factor, other=1):\n"
        + "    return euler(model, shape, config, device, dtype) * factor[0]\n"
    )
    result = host.runpytest_inprocess(*FAST, "test_sampler.py")
    assert result.ret == 0, result.stdout.str()
    assert "failed" not in outcomes(result)
    result.stdout.fnmatch_lines(["fed conforms to EDM"])


def test_a_fixture_that_is_not_there_is_pytests_error(host: pytest.Pytester, sampler_file: str) -> None:
    host.makepyfile(
        test_sampler=sampler_file
        + "\n@sampler_under_test(EDM)\ndef fed(model, shape, config, *, device, dtype, nowhere): ...\n"
    )
    result = host.runpytest_inprocess(*FAST, "-k", "law/times")
    assert outcomes(result)["errors"] == 1
    result.stdout.fnmatch_lines(["*fixture 'nowhere' not found*", "fed was not judged against EDM*"])


# Without a test file


@pytest.mark.parametrize("target", ["my_repo.adapters:sound", "my_repo/adapters.py:sound", "my_repo/adapters.py"])
def test_declared_in_the_configuration(host: pytest.Pytester, sound_file: str, target: str) -> None:
    package = host.mkpydir("my_repo")
    (package / "adapters.py").write_text(sound_file)
    host.makepyprojecttoml(f'[tool.pytest.ini_options]\nsamplers_under_test = ["{target}"]\n')
    collected = host.runpytest_inprocess(*FAST, "--collect-only", "-q")
    assert node_ids(collected) == [
        "test_other.py::test_other",
        *(f"my_repo/adapters.py::sound::{id}" for id in check_ids()),
    ]
    chosen = host.runpytest_inprocess(*FAST, "-k", "law/times")
    assert outcomes(chosen) == {"passed": 1, "deselected": NUM_CHECKS}
    # Who names a file wants that file.
    assert outcomes(host.runpytest_inprocess(*FAST, "test_other.py")) == {"passed": 1}
    # The id that was printed can be typed.
    assert outcomes(host.runpytest_inprocess(*FAST, "my_repo/adapters.py::sound::law/times")) == {"passed": 1}


@pytest.mark.slow
def test_the_only_thing_in_the_repository(pytester: pytest.Pytester, faulty_file: str) -> None:
    pytester.makepyfile(adapters=faulty_file)
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\nsamplers_under_test = ["adapters:faulty"]\n')
    assert outcomes(pytester.runpytest_inprocess(*UNDIAGNOSED, "-k", "initial-noise or law/times")) == {
        "failed": 1,
        "passed": 1,
        "deselected": NUM_CHECKS - 2,
    }
    again = pytester.runpytest_inprocess(*UNDIAGNOSED, "--lf")
    assert outcomes(again) == {"failed": 1, "deselected": NUM_CHECKS - 1}


def test_named_on_the_command_line(host: pytest.Pytester, sound_file: str) -> None:
    host.makepyfile(adapters=sound_file)
    result = host.runpytest_inprocess(*FAST, "--sampler", "adapters.py:sound", "test_other.py", "-k", "times or other")
    assert outcomes(result) == {"passed": 2, "deselected": NUM_CHECKS - 1}


def test_module_fixtures_work_without_a_test_file(host: pytest.Pytester, sampler_file: str) -> None:
    host.makeconftest("import pytest\n@pytest.fixture(scope='module')\ndef net():\n    return 1.0\n")
    host.makepyfile(
        adapters=sampler_file
        + "\n@sampler_under_test(EDM, **GRID)\ndef fed(model, shape, config, *, device, dtype, net):\n"
        + "    return euler(model, shape, config, device, dtype) * net\n"
    )
    result = host.runpytest_inprocess(*FAST, "--sampler", "adapters.py:fed", "-k", "law/times or law/noise")
    assert outcomes(result) == {"passed": 2, "deselected": NUM_CHECKS - 1}


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("no_such_repo:x", "there is no module 'no_such_repo'"),
        ("adapters:sond", "adapters has no 'sond'; did you mean 'sound'?"),
        ("adapters:euler", "is a function, not a declared sampler"),
    ],
)
def test_a_wrong_target_is_one_sentence(host: pytest.Pytester, sound_file: str, target: str, told: str) -> None:
    host.makepyfile(adapters=sound_file)
    result = host.runpytest_inprocess(*FAST, "--sampler", target)
    assert result.ret == 2
    assert told in result.stdout.str()
    assert "Traceback" not in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str()


# What the run leaves


def test_json_and_junit(host: pytest.Pytester, faulty_file: str) -> None:
    host.makepyfile(test_sampler=faulty_file)
    host.runpytest_inprocess(*UNDIAGNOSED, "--sampler-json", "out.json", "--junitxml", "out.xml", "-k", "law or other")
    (answer,) = json.loads(Path("out.json").read_text())
    assert answer["sampler"] == "test_sampler.py:faulty"
    assert answer["conforms"] is False
    assert answer["counts"]["planned"] == len(answer["checks"]) == 7
    assert [check["id"] for check in answer["checks"]] == list(check_ids())[:7]
    assert answer["coverage"]["num_steps"] == "4/4"
    assert torch.__version__.startswith(answer["versions"]["torch"])
    assert "sampler_harness" not in {p.get("name") for p in ElementTree.parse("out.xml").iter("property")}


def test_json_of_a_run_without_samplers_is_empty(host: pytest.Pytester) -> None:
    assert host.runpytest_inprocess(*FAST, "--sampler-json", "out.json").ret == 0
    assert json.loads(Path("out.json").read_text()) == []


def test_wrong_options_are_usage_errors(host: pytest.Pytester) -> None:
    for arguments, told in [
        (("--sampler-json", "no/folder/x.json"), "there is no folder no/folder"),
        (("--sampler-device", "gpu"), "torch knows no device 'gpu'"),
        (("--sampler-budget", "huge"), "invalid choice: 'huge'"),
    ]:
        result = host.runpytest_inprocess(*FAST, *arguments)
        assert result.ret == 4
        assert told in result.stderr.str()


def test_a_missing_device_is_told_and_not_passed(host: pytest.Pytester, sound_file: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("cuda is here")
    host.makepyfile(test_sampler=sound_file)
    result = host.runpytest_inprocess(*FAST, "--sampler-device", "cuda", "test_sampler.py")
    assert outcomes(result) == {"skipped": NUM_CHECKS}
    result.stdout.fnmatch_lines(["device cuda: not run"])


def test_checks_that_never_ran_show(host: pytest.Pytester, faulty_file: str) -> None:
    host.makepyfile(test_sampler=faulty_file)
    result = host.runpytest_inprocess(*UNDIAGNOSED, "-x", "test_sampler.py")
    result.stdout.fnmatch_lines([f"  checks: planned {NUM_CHECKS}, ran 2, *not run {NUM_CHECKS - 2}*"])


# The host's settings change nothing


def figures(text: str) -> list[str]:
    """What the summary says of a sampler, apart from time."""
    return re.findall(r"(?:conforms? to|checks: planned|cause: ).*", text)


HOSTILE_INI = """
[pytest]
addopts = --strict-markers --strict-config
xfail_strict = true
filterwarnings = error
"""

HOSTILE_CONFTEST = """
import random
import numpy
from hypothesis import HealthCheck, Phase, settings

settings.register_profile("hostile", max_examples=1, deadline=1, derandomize=False, phases=[Phase.explicit])
settings.load_profile("hostile")
random.seed(1)
numpy.random.seed(1)
"""


@pytest.mark.slow
def test_the_hosts_settings_change_nothing(
    pytester: pytest.Pytester, sound_file: str, faulty_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    both = sound_file + faulty_file.partition("@sampler_under_test")[2].join(("\n@sampler_under_test", ""))
    warns = both.replace("    n, rho =", '    import warnings; warnings.warn("old", DeprecationWarning)\n    n, rho =')
    pytester.makepyfile(test_sampler=warns)
    plain = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:xdist")
    assert len(figures(plain.stdout.str())) >= 5
    pytester.makeini(HOSTILE_INI)
    pytester.makeconftest(HOSTILE_CONFTEST)
    seeded = ("--hypothesis-seed=7", "-p", "randomly", "-p", "no:xdist")
    hostile = pytester.runpytest_subprocess(*seeded)
    assert outcomes(hostile) == outcomes(plain)
    assert sorted(figures(hostile.stdout.str())) == sorted(figures(plain.stdout.str()))
    for dist in ("load", "loadgroup"):
        shared = pytester.runpytest_subprocess("-n", "2", "--dist", dist, "--sampler-json", "out.json")
        assert outcomes(shared) == outcomes(plain)
        assert sorted(figures(shared.stdout.str())) == sorted(figures(plain.stdout.str()))
        answers = json.loads(Path("out.json").read_text())
        assert sorted(answer["conforms"] for answer in answers) == [False, True]


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="strict mode came with pytest 9")
def test_pytests_strict_mode_is_met(host: pytest.Pytester, sound_file: str) -> None:
    host.makeini("[pytest]\nstrict = true\nfilterwarnings = error\n")
    host.makepyfile(test_sampler=sound_file)
    assert host.runpytest_inprocess(*FAST, "-k", "law/times").ret == 0


# What it costs where it is not used


UNUSED = """
import sys

def test_unrelated():
    heavy = {name for name in ("torch", "scipy", "numpy", "hypothesis", "reference_samplers") if name in sys.modules}
    ours = {name for name in sys.modules if name.startswith("sampler_harness")}
    assert not heavy, heavy
    assert ours == {"sampler_harness", "sampler_harness.plugin"}, ours
"""


@pytest.mark.parametrize("arguments", [(), ("-W", "error")], ids=["plain", "warnings"])
def test_an_unused_plugin_loads_nothing(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    pytester.makepyfile(UNUSED)
    without = ("-p", "no:hypothesispytest", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:anyio")
    result = pytester.runpytest_subprocess(*without, *arguments)
    assert result.ret == 0, result.stdout.str()
    assert "samplers" not in result.stdout.str()


def test_a_package_called_harness_is_the_hosts(pytester: pytest.Pytester) -> None:
    package = pytester.mkpydir("harness")
    (package / "mine.py").write_text("VALUE = 1\n")
    pytester.makepyfile("from harness.mine import VALUE\n\ndef test_value():\n    assert VALUE == 1\n")
    assert pytester.runpython_c("import sys, pytest; sys.exit(pytest.main(['-q']))").ret == 0


def test_collecting_imports_no_torch_of_its_own(pytester: pytest.Pytester) -> None:
    """A module that declares a sampler but imports torch late stays light while it is only listed."""
    pytester.makepyfile(
        test_sampler=(
            "import sys\nfrom reference_samplers import EDM\nfrom sampler_harness import sampler_under_test\n"
            "@sampler_under_test(EDM)\ndef mine(model, shape, config, *, device, dtype):\n    ...\n"
            "def test_light():\n    assert 'torch' not in sys.modules\n"
        )
    )
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-k", "light")
    assert outcomes(result) == {"passed": 1, "deselected": NUM_CHECKS}


# An earlier set of checks


def test_a_pinned_set_of_checks(host: pytest.Pytester, sound_file: str) -> None:
    host.makepyfile(test_sampler=sound_file)
    collected = host.runpytest_inprocess(
        *FAST, "--collect-only", "-q", "--sampler-checks-as-of", "0.1", "test_sampler.py"
    )
    assert node_ids(collected) == [f"test_sampler.py::sound::{id}" for id in check_ids(as_of="0.1")]
    wrong = host.runpytest_inprocess(*FAST, "--sampler-checks-as-of", "9.0")
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    assert "--sampler-checks-as-of: there is no set of checks as of 9.0" in "\n".join(wrong.errlines)


def test_a_kind_that_the_pinned_set_does_not_know(host: pytest.Pytester) -> None:
    host.makepyfile(
        test_step=(
            "from reference_samplers import DDPMTraining\nfrom sampler_harness import training_under_test\n\n\n"
            "@training_under_test(DDPMTraining)\ndef step(model, x0, config):\n    return None\n"
        )
    )
    result = host.runpytest_inprocess(*FAST, "--sampler-checks-as-of", "0.1")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "no check of 0.1 is for step: a training is checked since later" in "\n".join(result.outlines)
