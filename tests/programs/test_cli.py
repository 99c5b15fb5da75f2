"""``check-sampler``: what it prints and how it exits, in each way that a call can end."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import reference_samplers
from reference_samplers import DDIM, DDPMTraining, ScoreSDE
from reference_samplers.grids import ALL_GRIDS, StretchedTimes
from sampler_harness import __version__
from sampler_harness.adapters.names import ELSEWHERE
from sampler_harness.catalogue import KINDS, VERSIONS, CheckInfo, catalogue, check_ids
from sampler_harness.cli import main
from sampler_harness.importing import TargetError
from sampler_harness.kinds import KIND_OF
from sampler_harness.report.json import dumps, to_json
from sampler_harness.report.terminal import closing_line, render, summary_lines
from sampler_harness.report.words import remedy
from sampler_harness.runner import Assessment
from sampler_harness.targets import load_subject, load_subjects
from sampler_harness.verdict import Coverage, Finding, Verdict

QUICK = ["--budget", "quick"]


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in an empty folder, and forget what it held."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        if str(getattr(module, "__file__", "") or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def sound(sound_file: str) -> str:
    Path("sound_one.py").write_text(sound_file)
    return "sound_one.py:sound"


@pytest.fixture
def faulty(faulty_file: str) -> str:
    Path("faulty_one.py").write_text(faulty_file)
    return "faulty_one.py:faulty"


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a wrong call is told; nothing has run and nothing stands on standard output."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


# Verdicts


def test_a_sound_sampler_conforms(sound: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([sound, *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sound conforms to EDM"
    assert any(line.startswith(f"  checks: planned {len(check_ids())}, ran ") for line in lines)
    assert any("not varied, so not checked: sigma_min" in line for line in lines)
    assert any("margin 0." in line or "margin " in line for line in lines)
    assert lines[-1].startswith(f"1 sampler conforms: {len(check_ids())} checks planned, ")


def test_a_faulty_sampler_is_told_its_cause_first(faulty: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([faulty, *QUICK]) == 1
    text = capsys.readouterr().out
    assert text.startswith("faulty does not conform to EDM: ")
    assert text.index("FAILED  law/initial-noise") < text.index("Follows from it")
    assert "standard deviation 1, should be 5" in text
    assert "load_subject('faulty_one.py:faulty')" in text


def test_the_reproduction_runs_as_printed(faulty: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([faulty, *QUICK, "--no-diagnosis", "--check", "law/initial-noise", "--json", "-"])
    script = json.loads(capsys.readouterr().out)[0]["checks"][0]["reproduction"]
    assert 0 < len(script.splitlines()) <= 15
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "noise" in done.stdout


@pytest.mark.slow
def test_one_deviating_among_several_decides(sound: str, faulty: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = {"law/initial-noise": "pass what was asked", "law/initial-noise,law/outputs": "conform"}
    for checks, passing in told.items():
        assert main([sound, faulty, *QUICK, "--no-diagnosis", "--check", checks]) == 1
        assert capsys.readouterr().out.splitlines()[-1].startswith(f"1 of 2 samplers {passing}, 1 does not: ")


def test_where_the_page_lies_is_said(sound: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = str(tmp_path / "page.html")
    asked = [sound, *QUICK, "--no-diagnosis", "--check", "law/initial-noise", "--html", page]
    assert main(asked) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"page: {page}"
    main([*asked, "--json", "-"])
    assert "page:" not in capsys.readouterr().out.splitlines()[-1]
    assert Path(page).stat().st_size > 1000


def test_json_stands_alone_on_standard_output(sampler_file: str, capfd: pytest.CaptureFixture[str]) -> None:
    noisy = '\nprint("imported")\n@sampler_under_test(EDM, **GRID)\ndef loud(model, shape, config, *, device, dtype):\n'
    noisy += '    print("running")\n    return euler(model, shape, config, device, dtype)\n'
    Path("loud_one.py").write_text(sampler_file + noisy)
    assert main(["loud_one.py", *QUICK, "--check", "law", "--json", "-"]) == 0
    (answer,) = json.loads(capfd.readouterr().out)
    assert answer["sampler"] == "loud_one.py:loud"
    assert answer["conforms"] is True
    assert answer["schema_version"] == 1
    assert answer["diagnosis"] is None
    assert answer["coverage"]["not_varied"][0] == "sigma_min"
    assert answer["coverage"]["num_steps"] == "4/4"
    assert answer["counts"]["planned"] == len(answer["checks"]) == 7
    assert answer["counts"]["ran"] + answer["counts"]["skipped"] == 7
    assert {"id", "outcome", "message", "evidence", "margin", "consequence_of", "reproduction"} <= set(
        answer["checks"][0]
    )
    assert torch.__version__.startswith(answer["versions"]["torch"])


def test_json_goes_to_a_file_beside_the_text(sound: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([sound, *QUICK, "--check", "law/times", "--json", "out.json"]) == 0
    assert capsys.readouterr().out.startswith("sound passes 1 check of 18, none of which tells whether it is EDM")
    assert [one["conforms"] for one in json.loads(Path("out.json").read_text())] == [True]


def test_what_no_check_compares_is_not_said_to_conform(sound: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([sound, sound, *QUICK, "--check", "state/rerun"]) == 0
    text = capsys.readouterr().out
    assert text.count("none of which tells whether it is EDM") == 2
    assert "all 2 samplers pass what was asked: 2 checks planned" in text
    assert " conform" not in text
    assert main([sound, *QUICK, "--check", "law/outputs"]) == 0
    assert "1 sampler conforms: 1 check planned" in capsys.readouterr().out


def test_a_check_that_cannot_judge_is_no_pass(sampler_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    empty = "\n@sampler_under_test(EDM, **GRID)\ndef empty(model, shape, config, *, device, dtype):\n    return None\n"
    Path("empty_one.py").write_text(sampler_file + empty)
    assert main(["empty_one.py:empty", *QUICK, "--check", "law/times,noise/shape"]) == 1
    text = capsys.readouterr().out
    assert "1 check failed, 1 check could not judge it, all from one cause" in text
    assert "returned NoneType, should be a torch tensor" in text


def test_nothing_that_applies_is_no_success(sound: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([sound, *QUICK, "--check", "law/forward"]) == 3
    assert capsys.readouterr().out.startswith("sound was not judged against EDM")


def test_a_declared_deviation_conforms_and_is_told(faulty_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = faulty_file.replace("**GRID)", '**GRID, expected_failures={"law/initial-noise": "intended"})')
    Path("known_one.py").write_text(known)
    assert main(["known_one.py:faulty", *QUICK]) == 0
    text = capsys.readouterr().out
    assert "declared deviation" in text.splitlines()[0]
    assert "intended" in text


def test_a_declared_deviation_that_passes_fails(sound_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    stale = sound_file.replace("**GRID)", '**GRID, expected_failures={"law/times": "was wrong in 0.3"})')
    Path("stale_one.py").write_text(stale)
    assert main(["stale_one.py:sound", *QUICK, "--check", "law/times"]) == 1
    assert "remove 'law/times' from expected_failures" in capsys.readouterr().out


# Devices


@pytest.fixture
def absent() -> str:
    """A device that this machine lacks."""
    name = next((n for n in ("cuda", "mps", "xpu") if not _present(n)), None)
    if name is None:
        pytest.skip("every device is here")
    return name


def _present(name: str) -> bool:
    try:
        torch.ones(1, device=name)
    except (RuntimeError, AssertionError):
        return False
    return True


def test_a_missing_device_is_told_first(sound: str, absent: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([sound, *QUICK, "--device", absent]) == 3
    assert capsys.readouterr().out.splitlines()[0] == f"device {absent}: not run"


def test_a_missing_device_can_be_required(sound: str, absent: str) -> None:
    assert main([sound, *QUICK, "--device", absent, "--require-device"]) == 1


def test_a_missing_device_in_json(sound: str, absent: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([sound, *QUICK, "--device", absent, "--json", "-"]) == 3
    captured = capsys.readouterr()
    (answer,) = json.loads(captured.out)
    assert answer["conforms"] is None
    assert answer["not_run"]
    assert captured.err.startswith(f"device {absent}: not run")


def test_an_unknown_device_is_a_wrong_call(sound: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "torch knows no device 'gpu'" in refused([sound, "--device", "gpu"], capsys)
    assert "'meta' computes nothing" in refused([sound, "--device", "meta"], capsys)


# Wrong calls


def test_no_target_is_told_what_to_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert "check-sampler path/file.py:my_sampler" in refused([], capsys)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("no_such_file.py:x", "there is no file no_such_file.py"),
        ("sound_on.py:sound", "did you mean sound_one.py?"),
        ("sound_one.py:sond", "sound_one.py has no 'sond'; did you mean 'sound'?"),
        ("sound_one.py:zzz", "sound_one.py has no 'zzz'; it declares sound"),
        (
            "sound_one.py:euler",
            "is a function, not a declared sampler: put @sampler_under_test(EDM, …) above def euler",
        ),
        ("sound_one.py:euler", "; sound_one.py declares sound"),
        ("sound_one.py:GRID", "is a dict, not a declared sampler"),
        ("no_such_module_here:x", "there is no module 'no_such_module_here'"),
        ("no_such_module_here.deeper:x", "there is no module 'no_such_module_here'"),
        ("plain_one.py", "holds no declared sampler: put @sampler_under_test"),
        ("broken_one.py:x", "cannot import broken_one.py: ZeroDivisionError: division by zero (broken_one.py:3)"),
        ("grammar_one.py:x", "cannot import grammar_one.py: SyntaxError"),
        ("needy_one.py:x", "cannot import needy_one.py: No module named 'not_installed_here' (needy_one.py:2)"),
        ("exits_one.py:x", "cannot import exits_one.py: SystemExit"),
        ("declared_one.py:x", "EDM has no field 'sigma_maxx'; did you mean 'sigma_max'?"),
        ("a/folder", "is neither a Python file nor a module"),
        (":x", "is not a target"),
        ("x:", "is not a target"),
        ("some thing:x", "is not a target"),
        ("diffusers:", "is not a target"),
    ],
)
def test_a_target_that_cannot_be_had(target: str, told: str, sound: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("plain_one.py").write_text("x = 1\n")
    Path("broken_one.py").write_text("def f():\n    pass\nx = 1 / 0\n")
    Path("grammar_one.py").write_text("def f(:\n")
    Path("needy_one.py").write_text("import torch\nimport not_installed_here\n")
    Path("exits_one.py").write_text("raise SystemExit(0)\n")
    Path("declared_one.py").write_text(
        "from reference_samplers import EDM\nfrom sampler_harness import sampler_under_test\n"
        "@sampler_under_test(EDM, sigma_maxx=1.0)\ndef x(model, shape, config, *, device, dtype): ...\n"
    )
    assert told in refused([target], capsys)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--check", "law/nois"], "there is no check 'law/nois'; did you mean 'law/noise'?"),
        (["--set", "beta"], "write --set key=value"),
        (["--set", "a=1"], "is for adapters, as diffusers:DDIMScheduler"),
        (["--json", "no/such/folder/x.json"], "there is no folder no/such/folder"),
        (["--save-law", "."], "it is a folder"),
        (["--against", "git:HEAD"], "is in no git repository"),
        (["--checks-as-of", "0.3"], "--checks-as-of: there is no set of checks as of 0.3: there are those of 0.1, 0.2"),
        (["--checks-as-of", "new"], "there is no set of checks as of new"),
        (["--write-baseline"], "--write-baseline needs the file"),
        (["--baseline", "known.toml"], "there is no file known.toml"),
        (["--changed-since", "main"], "is in no git repository"),
        (["--against", "nothing.py:x"], "--against nothing.py:x: there is no file nothing.py"),
        (["--against", "nothing.json"], "--against nothing.json: cannot read"),
        (["--save-law", "x.json", "faulty_one.py"], "--save-law writes the law of one sampler, but 2 were named"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option(
    arguments: list[str], told: str, sound: str, faulty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in refused([sound, *arguments], capsys)


@pytest.mark.parametrize("arguments", [["--budget", "huge"], ["--jsn", "x"], ["--htm", "x"]])
def test_an_option_that_is_not_there(arguments: list[str], sound: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([sound, *arguments])
    assert left.value.code == 2
    assert capsys.readouterr().out == ""


def test_fixtures_need_pytest(sampler_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("needs_one.py").write_text(
        sampler_file + "\n@sampler_under_test(EDM)\ndef x(model, shape, config, *, device, dtype, net): ...\n"
    )
    assert "takes the pytest fixtures net: run it with pytest" in refused(["needs_one.py:x"], capsys)


def test_all_checks_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-checks"]) == 0
    text = capsys.readouterr().out
    assert "law/noise\n        claims:   fresh noise enters" in text
    places = [text.index(f"\n  {group}\n") for group in ("timesteps", "shapes", "noise dimensions", "the rest")]
    assert places == sorted(places)
    assert all(id in text for kind in KINDS for id in check_ids(kind))


def test_one_check_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--explain", "law/initial-noise"]) == 0
    text = capsys.readouterr().out
    assert "the first noise is not scaled" in text
    assert "fixtures/faulty_samplers/edm.py:initial_noise_unscaled" in text
    assert "did you mean law/noise?" in refused(["--explain", "law/nose"], capsys)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("nonsense", "there is no check, reference or fault 'nonsense' (--list-checks"),
        ("ddim", "did you mean DDIM?"),
        ("noise", "did you mean noise/shape or noise/generator?"),
        ("karras", "did you mean KarrasLevels?"),
        ("initial-noise-unscald", "did you mean initial-noise-unscaled?"),
    ],
)
def test_a_guess_is_what_was_probably_meant_or_none(typed: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told in refused(["--explain", typed], capsys)


def test_a_reference_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Which values a field has is what a declaration needs first; they are called otherwise in other programs."""
    for reference in (DDIM, ScoreSDE, DDPMTraining, StretchedTimes):
        assert main(["--explain", reference.__name__]) == 0
        text = capsys.readouterr().out
        for field in dataclasses.fields(reference):
            place = text.index(f"\n  {field.name}")
            meaning = text[place:].splitlines()[2]
            assert re.match(r" {6}[^ (]", meaning), field.name
    assert main(["--explain", "DDPM"]) == 0
    text = capsys.readouterr().out
    assert '"fixed_small" is the posterior' in text
    assert '"v" is v_prediction' in text
    assert "did you mean FlowEuler?" in refused(["--explain", "FlowEulr"], capsys)


@pytest.mark.parametrize("name", ["EulerAncestralDiscrete", "EulerAncestralDiscreteScheduler", "FlowMatchEuler"])
def test_the_reference_of_a_scheduler_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Verdicts name it, so that it can be asked for; the library need not be there."""
    assert main(["--explain", name]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^  num_steps", text, re.MULTILINE)
    assert re.search(r"^check-sampler diffusers:\w+Scheduler varies them", text, re.MULTILINE)
    assert "did you mean FlowMatchEuler?" in refused(["--explain", "FlowMatchEulr"], capsys)


def test_a_known_fault_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--explain", "initial-noise-unscaled"]) == 0
    text = capsys.readouterr().out
    assert "    - x: Array = self.initial_std * noise()  # line 2\n    + x: Array = noise()  # line 2\n" in text
    assert "https://github.com/eloialonso/diamond/issues/40" in text
    assert 'deviations={"initial-noise-unscaled": "why"}' in text
    assert main(["--explain", "stretched-with-its-end"]) == 0
    assert "If it is intended" not in capsys.readouterr().out  # of a grid no deviation is declared
    assert "did you mean eta-squared?" in refused(["--explain", "eta-squard"], capsys)


def test_names_elsewhere_are_of_fields_and_values_that_exist() -> None:
    found = [getattr(reference_samplers, name) for name in reference_samplers.__all__]
    classes = [one for one in (*found, *ALL_GRIDS) if dataclasses.is_dataclass(one)]
    documents = {
        field.name: "".join(inspect.getdoc(one) or "" for one in classes if field.name in one.__dataclass_fields__)
        for one in classes
        for field in dataclasses.fields(one)
    }
    for field, told in ELSEWHERE.items():
        for value in re.findall(r'(?<!=)"(\w+)"', " ".join(told)):
            assert f'"{value}"' in documents[field], (field, value)


def test_all_references_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-references"]) == 0
    text = capsys.readouterr().out
    for words in (
        "\n  DDIM\n",
        "\n  DDPMTraining\n",
        "\n  LevelsInTable\n",
        "arXiv:2206.00364, Algorithm 2",
        "num_steps=18",
    ):
        assert words in text


def without_figures(text: str) -> str:
    """Figures differ in their last digits from one machine to another."""
    return re.sub(r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?", "#", text)


ROWS = [info for kind in KINDS for info in catalogue(kind)]


@pytest.mark.sampled(every=8)
@pytest.mark.parametrize("info", ROWS, ids=[info.id for info in ROWS])
def test_an_example_is_what_that_fault_is_told(info: CheckInfo) -> None:
    finding = Assessment(load_subject(f"fixtures.{info.fault}"), budget="quick").run(info.id)
    assert finding.outcome == "failed"
    assert without_figures(finding.message).startswith(without_figures(info.example))


@pytest.mark.parametrize("info", ROWS, ids=[info.id for info in ROWS])
def test_a_row_is_whole_and_stands_with_its_kind(info: CheckInfo) -> None:
    assert all((info.claim, info.catches, info.blind_to, info.remedy, info.fault, info.example))
    assert info.group in ("timesteps", "shapes", "noise dimensions", "the rest")
    assert info in catalogue(info.kind)


@pytest.mark.parametrize("info", ROWS, ids=[info.id for info in ROWS])
def test_every_check_has_a_function_that_says_what_the_row_claims(info: CheckInfo) -> None:
    function = KIND_OF[info.kind].check_function(info)
    assert (function.__doc__ or "").split(".")[0], info.id


def test_what_to_try_is_said_where_the_check_judged_something(faulty: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([faulty, *QUICK, "--no-diagnosis"]) == 1
    assert "  try: multiply the first noise by the first noise level" in capsys.readouterr().out
    crashed = Finding("law/times", "failed", "the sampler raised ValueError", {"step": 0}, problem="raised")
    out_of_date = Finding("law/times", "failed", "declared to fail (why), but it passes")
    assert remedy(crashed) == remedy(out_of_date) == ""


# An earlier set of checks


def _later(monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    """As if these checks had come with the last version, and all others with the first."""
    infos = tuple(dataclasses.replace(i, since=VERSIONS[-1 if i.id in ids else 0]) for i in catalogue())
    monkeypatch.setitem(KINDS, "sampler", infos)


def test_a_pinned_set_leaves_out_what_came_later(
    faulty: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _later(monkeypatch, "law/initial-noise", "shape/any", "steps/any", "precision/dtype")
    assert main([faulty, *QUICK, "--no-diagnosis"]) == 1
    capsys.readouterr()
    assert main([faulty, *QUICK, "--no-diagnosis", "--checks-as-of", "0.1.7", "--json", "-"]) == 0
    [verdict] = json.loads(capsys.readouterr().out)
    assert verdict["checks_as_of"] == "0.1"
    assert verdict["counts"]["planned"] == len(check_ids()) - 4
    assert main([faulty, *QUICK, "--no-diagnosis", "--checks-as-of", "0.1"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == "faulty conforms to EDM (checks as of 0.1)"
    assert "left out: 4 checks that came after 0.1" in text


def test_every_check_says_since_when() -> None:
    assert {info.since for kind in KINDS for info in catalogue(kind)} <= set(VERSIONS)
    assert VERSIONS[-1] == ".".join(__version__.split(".")[:2])
    assert len(catalogue("sampler", "0.1")) == 18
    assert catalogue("training", "0.1") == ()


# Targets


def test_a_file_gives_every_public_sampler_once(sound_file: str) -> None:
    more = "\nalias = sound\n_hidden = sampler_under_test(EDM)(lambda model, shape, config, device, dtype: None)\n"
    Path("several_one.py").write_text(
        sound_file + sound_file.partition("\n\n@")[2].join(("\n\n@", "")).replace("def sound", "def second") + more
    )
    names = [subject.target for subject in load_subjects("several_one.py")]
    assert names == ["several_one.py:sound", "several_one.py:second"]
    with pytest.raises(TargetError, match="holds 2 samplers: name one of them"):
        load_subject("several_one.py")


def test_a_file_in_a_package_keeps_its_relative_imports(sampler_file: str, sound_file: str) -> None:
    package = Path("my_pkg_one")
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "loop.py").write_text(sampler_file)
    declared = sound_file.replace(sampler_file, "from .loop import *\nfrom .loop import euler\n")
    (package / "declared.py").write_text(declared)
    by_file = load_subject("my_pkg_one/declared.py:sound")
    by_module = load_subject("my_pkg_one.declared:sound")
    assert by_file.function is by_module.function
    assert by_module.target == "my_pkg_one.declared:sound"


def test_a_file_may_be_named_like_a_module_of_pythons(sound_file: str) -> None:
    import random

    Path("random.py").write_text(sound_file)
    assert load_subject("random.py:sound").name == "sound"
    assert sys.modules["random"] is random


# Against


def test_a_sampler_is_held_against_another(sound: str, faulty: str) -> None:
    assert main([sound, *QUICK, "--check", "law/initial-noise", "--against", sound]) == 0
    assert main([faulty, *QUICK, "--check", "law/initial-noise", "--against", sound]) == 1


def test_a_saved_law_is_what_it_was(sound: str, faulty: str) -> None:
    checks = ["--check", "law/initial-noise", "--check", "law/outputs"]
    assert main([sound, *QUICK, *checks, "--save-law", "law.json"]) == 0
    assert main([sound, *QUICK, *checks, "--against", "law.json"]) == 0
    assert main([faulty, *QUICK, *checks, "--against", "law.json"]) == 1


# The text


def made(*findings: Finding, **more: Any) -> Verdict:
    return Verdict("f.py:mine", "EDM", findings, Coverage(), 0.5, "quick", "cpu", **more)


def test_chains_of_consequences_stand_under_their_root() -> None:
    verdict = made(
        Finding("law/times", "failed", "grid is wrong\nsmallest: n=1", margin=50.0, reproduction="print(1)"),
        Finding("law/outputs", "failed", "so are steps", consequence_of="law/times"),
        Finding("clip/replay", "failed", "so is the clamp", consequence_of="law/outputs"),
        Finding("noise/generator", "failed", "generator ignored", margin=2.0),
    )
    text = "\n".join(line.text for line in render(verdict))
    assert text.startswith("mine does not conform to EDM: 4 checks failed, all from 2 causes")
    assert "2 separate causes; begin with the first." in text
    assert text.index("FAILED  law/times") < text.index("    law/outputs: so are") < text.index("    clip/replay")
    assert text.index("    clip/replay") < text.index("FAILED  noise/generator") < text.index("    print(1)")


def test_fewer_than_planned_is_not_decided() -> None:
    verdict = made(Finding("law/times", "passed", "fine", margin=0.1), planned=("law/times", "law/noise"))
    assert not verdict.conforms
    assert render(verdict)[0].text == "mine is not decided: 1 of 2 checks did not run"
    assert to_json(verdict)["counts"]["not_run"] == 1
    assert "not run 1" in "\n".join(line.text for line in summary_lines(verdict))
    assert closing_line([verdict]).text.startswith("1 sampler was not decided: 2 checks planned, 1 ran")


def test_a_cause_that_was_not_run_is_named() -> None:
    verdict = made(Finding("law/outputs", "failed", "wrong", consequence_of="law/times"))
    assert "follows from law/times" in "\n".join(line.text for line in render(verdict))


def test_json_has_no_infinity() -> None:
    import numpy as np

    evidence = {"got": float("nan"), "array": np.arange(2), "scalar": np.float32(0.5), "shape": (1, 2), "odd": object}
    (answer,) = json.loads(dumps([made(Finding("law/times", "failed", "x", evidence, margin=float("inf")))]))
    assert answer["margin"] == "inf"
    assert answer["checks"][0]["evidence"]["got"] == "nan"
    assert answer["checks"][0]["evidence"]["array"] == [0, 1]
    assert answer["checks"][0]["evidence"]["scalar"] == 0.5
