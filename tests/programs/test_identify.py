"""``check-sampler --identify`` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sampler_harness.cli import main
from sampler_harness.cli.identify import named
from sampler_harness.handing import handed
from sampler_harness.importing import TargetError

PLAIN = "fixtures/undeclared.py"
WRITTEN = "fixtures/as_written"


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


def test_what_calls_its_model_where_a_method_does_is_told_what_to_be_held_against(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Heun's method with a wrong level in its second slope has next to none of Heun's weights."""
    assert main(["--identify", f"{PLAIN}:second_slope_over_first_level"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "is none of the references It calls its model at the levels of Heun's method (EDM), on the Karras grid" in out
    )
    assert "hold it against that: @sampler_under_test(EDM, sigma_min=0.01, sigma_max=40.0" in out
    assert "(falling)" in out
    assert main(["--identify", f"{WRITTEN}/none_of_ours.py:sample_dpmpp_2m", f"{PLAIN}:momentum"]) == 1
    assert "hold it against" not in capsys.readouterr().out


def test_no_name_is_told_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--identify", f"{WRITTEN}/noise_levels.py:euler_of_stable_diffusion"]) == 0
    others = " ".join(capsys.readouterr().out.partition("The same law")[2].split())
    assert others.count("Euler's method (EDM)") == 1


@pytest.mark.parametrize("target", ["", "k_diffusion:"])
def test_what_is_of_a_flow_is_given_times_where_it_is_nothing_on_noise_levels(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """``sigmas`` are noise levels to one function and times to the next: both are tried, and what was given is told."""
    assert main(["--identify", f"{target}{WRITTEN}/flows.py:sample_euler_ancestral_rf"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "is Euler ancestral on a flow (FlowAncestral), eta 0.7, on even times" in out
    assert "It was given even times from 1 to 0" in out
    assert "it could not be run" in out


def test_times_that_may_run_either_way_are_told_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--identify", f"{WRITTEN}/otherwise_called.py:sample_cnf"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "even times from 1 to 0 as t_span; given" in out
    assert "even times from 0 to 1 as t_span it is Euler's method on a flow (FlowEuler)" in out
    assert "a model that is told 1 - t and predicts x0 - epsilon." in out


def test_what_is_wrong_on_high_levels_alone_is_no_method_of_low_ones(tmp_path: Path) -> None:
    """Euler's method on levels below 1 is that of a flow too: a mistake above 1 must not be hidden by that."""
    file = tmp_path / "mine.py"
    file.write_text(
        "def sample(model, x, sigmas):\n"
        "    for a, b in zip(sigmas[:-1], sigmas[1:]):\n"
        "        slope = (x - model(x, a)) / a * (1.1 if a > 2 else 1.0)\n"
        "        x = x + (b - a) * slope\n"
        "    return x\n",
        encoding="utf-8",
    )
    sampler = handed(f"{file}:sample")
    assert sampler.otherwise
    assert named("mine", sampler)[0].outcome != "exact"


def test_what_was_given_to_arguments_of_other_names_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--identify", f"{WRITTEN}/flows.py:groot_actions"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "rounded down" in out
    assert "It was given the model as action_head, the number of steps as num_inference_timesteps." in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what to identify"),
        ([f"{PLAIN}:ancestral_loop", "--html", "page.html"], "decides nothing: leave --html out"),
        ([f"{PLAIN}:ancestral_loop", "--set", "etta=1"], "takes no 'etta'; it takes model, x, sigmas, eta"),
        ([f"{PLAIN}:nothing"], "has no 'nothing'"),
        ([f"{WRITTEN}/otherwise_called.py:policy_rollout"], "needs obs: say --set obs=…"),
        ([f"{WRITTEN}/flows.py"], "names a file: write fixtures/as_written/flows.py:NAME with one of time_shift, "),
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
