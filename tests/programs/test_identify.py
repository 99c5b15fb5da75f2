"""``check-sampler --identify`` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sampler_harness.cli import main
from sampler_harness.handing import handed
from sampler_harness.importing import TargetError

PLAIN = "fixtures/undeclared.py"


def test_a_loop_is_named_with_its_numbers_and_its_grid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--identify", f"{PLAIN}:ancestral_loop"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "is Euler ancestral (EulerAncestral), eta 0.8, on the Karras grid from 14.6146 to 0.0292, rho 7" in out
    assert "@sampler_under_test(EulerAncestral, sigma_min=0.0292, sigma_max=14.6146, eta=0.8" in out


def test_what_is_none_of_the_references_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--identify", f"{PLAIN}:adams_bashforth"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "is none of the references" in out
    assert "a multistep method" in out
    assert "it is deterministic from there" in out


def test_a_declaration_says_how_a_sampler_is_run_and_not_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--identify", "fixtures/faulty_samplers/ddim_step.py:eta_not_read", "--set", "eta=0.7"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "is DDIM (DDIM), eta 0" in out
    assert "It was run with" in out


def test_several_targets_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--identify", f"{PLAIN}:robot", f"{PLAIN}:momentum", "--json", "-"]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert (first["outcome"], first["names"][0]["reference"]) == ("exact", "FlowEuler")
    assert first["names"][0]["fields"] == {"data_at_one": True, "prediction": "reversed_flow"}
    assert second["outcome"] in ("nearest", "none")
    assert second["like"]


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def broken(model, shape, steps):\n    raise KeyError('weights')\n", encoding="utf-8")
    assert main(["--identify", f"{file}:broken"]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "could not be identified" in out
    assert "weights" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what to identify"),
        ([f"{PLAIN}:ancestral_loop", "--html", "page.html"], "decides nothing: leave --html out"),
        ([f"{PLAIN}:ancestral_loop", "--set", "etta=1"], "takes no 'etta'; it takes model, x, sigmas, eta"),
        ([f"{PLAIN}:nothing"], "has no 'nothing'"),
        (["fixtures/torch_samplers/under_test.py:edm", "--set", "etta=1"], "EDM, by which"),
        (["k_diffusion:fixtures/torch_samplers/idiom.py:sample_adaptive"], "is not in the idiom"),
    ],
)
def test_a_wrong_call_is_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--identify", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_an_argument_that_nobody_knows_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def sample(model, x, guidance):\n    return x\n", encoding="utf-8")
    with pytest.raises(TargetError, match="needs guidance: say --set guidance=…"):
        handed(f"{file}:sample")
