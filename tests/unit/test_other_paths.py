"""A sampler of another path than the declared one is told as that, and on the straight path as a rectified flow."""

from __future__ import annotations

import pytest

from reference_samplers import FlowEuler, Reference
from reference_samplers.processes.interpolant import Interpolant
from sampler_harness.diagnosis.configuration import other_references


class _Case:
    """What a search asks of a case."""

    def __init__(self, config: Reference) -> None:
        self.config = config


@pytest.mark.parametrize("config", [FlowEuler(6), FlowEuler(6, data_at_one=True, prediction="reversed_flow")])
def test_other_paths_are_tried_and_the_straight_one_is_not(config: Reference) -> None:
    tried = [one for one, _ in other_references(type(config), [_Case(config)])]  # type: ignore[list-item]
    paths = {one.fields["path"] for one in tried if issubclass(one.reference, Interpolant)}
    assert paths == {"gvp", "vp"}
