"""A loss that is no square, and a weight that is drawn: each said for what it is, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fixtures.faulty_training import ddpm, flow
from reference_samplers import FlowTraining
from sampler_harness import training_under_test
from sampler_harness.runner import check_sampler
from sampler_harness.subject.training import TrainingSubject
from sampler_harness.verdict import Verdict


def judged(subject: TrainingSubject) -> Verdict:
    return check_sampler(subject, budget="quick")


def stepping(weigh: Any) -> TrainingSubject:
    """A sound step whose loss is weighed by ``weigh(x0, t)``, and whose labels are dropped at random."""

    def step(model: Any, x0: Any, config: Any) -> Any:
        t, noise = torch.rand(x0.shape[0]), torch.randn_like(x0)
        along = t.view(-1, 1, 1, 1)
        dropped = torch.rand(x0.shape[0]) < 0.1
        off = model((1 - along) * x0 + along * noise, t, dropped) - (noise - x0)
        return (weigh(x0) * off**2).mean()

    return training_under_test(FlowTraining, shapes=[(4, 3, 4, 4), (1, 2, 3, 3)])(step)


def test_a_loss_that_is_no_square_is_said_to_be_none() -> None:
    verdict = judged(ddpm.loss_squared_again)
    assert [finding.id for finding in verdict.causes] == ["training/target"]
    assert "the loss is not the squared error of the model's output: it is no square" in verdict.causes[0].message
    assert not [finding for finding in verdict.bad if "count differently" in finding.message]


@pytest.mark.parametrize(
    ("subject", "operator"),
    [
        (flow.weight_drawn_anew, "rand"),
        (stepping(lambda x0: torch.normal(0.0, 1.0, (x0.shape[0],)).sigmoid().view(-1, 1, 1, 1)), "normal"),
        (stepping(lambda x0: 1 + torch.randint(0, 2, (1,))), "randint"),
    ],
)
def test_a_weight_that_is_drawn_is_said_to_be_random(subject: TrainingSubject, operator: str) -> None:
    verdict = judged(subject)
    assert [finding.id for finding in verdict.bad] == ["training/weight"]
    assert f"the weight is random: {operator}" in verdict.bad[0].message


def test_what_else_is_drawn_weighs_nothing() -> None:
    verdict = judged(stepping(lambda x0: 1.0))
    assert verdict.conforms, [(finding.id, finding.message) for finding in verdict.bad]
