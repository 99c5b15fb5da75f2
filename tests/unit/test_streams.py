"""Which random numbers a draw is made of: read off states, held against what torch really draws."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sampler_harness.observe.probes import RunStopped
from sampler_harness.observe.streams import Overlap, State, Stretch, overlaps, state_of
from sampler_harness.observe.tape import Draw, NoiseTap
from sampler_harness.observe.torch_private import default_generator


def drawn_in(function: Callable[[], object]) -> list[Draw]:
    tap = NoiseTap(lambda index, shape: None, lambda: 0, 1000, RunStopped, follow=True)
    with tap:
        function()
    return tap.draws


def found_in(function: Callable[[], object]) -> tuple[Overlap, ...]:
    return overlaps(drawn_in(function))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def copied(generator: torch.Generator) -> torch.Generator:
    copy = torch.Generator()
    copy.set_state(generator.get_state())
    return copy


@pytest.mark.parametrize("before", [0, 1, 3, 16, 623, 624, 625, 5000])
@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 400, 2000])
def test_two_draws_of_torch_are_equal_where_their_states_are(before: int, size: int) -> None:
    """The bytes that are read decide all that torch draws next: one number at a time, and in blocks."""
    one, other = seeded(5), seeded(5)
    torch.randn(before, generator=one)
    torch.randn(before, generator=other)
    states = [state_of(g.get_state().numpy().tobytes()) for g in (one, other)]
    assert states[0] == states[1]
    assert torch.equal(torch.randn(size, generator=one), torch.randn(size, generator=other))
    torch.randn(1, generator=one)
    torch.randn(1, generator=one)
    assert state_of(one.get_state().numpy().tobytes()) != state_of(other.get_state().numpy().tobytes())


def test_the_seed_that_a_generator_remembers_is_no_part_of_its_state() -> None:
    one, other = seeded(5), seeded(6)
    raw = bytearray(one.get_state().numpy().tobytes())
    raw[:8] = other.get_state().numpy().tobytes()[:8]
    assert state_of(bytes(raw)) == state_of(one.get_state().numpy().tobytes())


def test_the_tap_lets_generators_advance() -> None:
    """What a draw returns is replaced; where its generator stands afterwards is not."""
    tapped, free = seeded(3), seeded(3)
    drawn_in(lambda: [torch.randn(n, generator=tapped) for n in (1, 7, 40)])
    for n in (1, 7, 40):
        torch.randn(n, generator=free)
    assert torch.equal(tapped.get_state(), free.get_state())


def test_draws_one_after_the_other_overlap_nothing() -> None:
    one, other = seeded(1), seeded(2)
    assert not found_in(lambda: [torch.randn(n, generator=g) for n in (1, 3, 900, 20, 0) for g in (one, other)])


def test_global_draws_are_followed_and_seeds_told() -> None:
    def reseeding() -> None:
        for _ in range(2):
            torch.manual_seed(0)
            torch.randn(5)
            torch.zeros(5).normal_()

    with torch.random.fork_rng(devices=[]):
        assert found_in(reseeding) == (Overlap(2, 0, True), Overlap(3, 1, True))


@pytest.mark.parametrize(
    ("again", "whole"),
    [
        (lambda g: torch.randn(4, 6, generator=g), True),
        (lambda g: torch.randn(24, generator=g), True),
        (lambda g: torch.empty(4, 6).normal_(generator=g), True),
        (lambda g: torch.normal(1.0, 2.0, (4, 6), generator=g), True),
        (lambda g: torch.empty(6, 4).t().normal_(generator=g), False),
        (lambda g: torch.randn(4, 6, dtype=torch.float64, generator=g), False),
        (lambda g: torch.randn(4, 5, generator=g), False),
        (lambda g: torch.randn(40, 6, generator=g), False),
    ],
)
def test_draws_from_one_state_are_one_or_share_a_part(again: Callable[[torch.Generator], object], whole: bool) -> None:
    first, second = seeded(1), seeded(1)
    assert found_in(lambda: (torch.randn(4, 6, generator=first), again(second))) == (Overlap(1, 0, whole),)
    values, others = torch.randn(4, 6, generator=seeded(1)), again(seeded(1))
    assert isinstance(others, torch.Tensor)
    if whole and others.dtype == torch.float32 and others.mean() < 0.5:
        assert torch.equal(values.reshape(-1), others.reshape(-1))


@pytest.mark.parametrize("skipped", [32, 624, 1000, 6000])
def test_a_draw_that_begins_inside_of_another_is_told(skipped: int) -> None:
    """A copy that has thrown away less than the other one takes; one that has thrown away as much is new."""
    first = seeded(1)
    later = copied(first)
    inside = found_in(
        lambda: (
            torch.randn(skipped, generator=later),
            torch.randn(skipped + 64, generator=first),
            torch.randn(16, generator=later),
        )
    )
    assert inside[-1] == Overlap(2, 1, False)
    first = seeded(1)
    later = copied(first)
    draws = drawn_in(
        lambda: (
            torch.randn(skipped, generator=later),
            torch.randn(skipped, generator=first),
            torch.randn(16, generator=later),
        )
    )
    assert overlaps(draws, {1, 2}) == ()


def test_a_draw_that_runs_into_another_one_s_stretch_is_told() -> None:
    """The later start was drawn from first."""
    ahead = seeded(1)
    torch.randn(3000, generator=ahead)
    late, early = copied(ahead), seeded(1)
    assert found_in(lambda: (torch.randn(16, generator=late), torch.randn(5000, generator=early))) == (
        Overlap(1, 0, False),
    )


def test_a_state_put_back_to_where_a_draw_ended_goes_on() -> None:
    generator = seeded(1)

    def handed_over() -> None:
        torch.randn(20, generator=generator)
        other = copied(generator)
        torch.randn(20, generator=other)

    assert not found_in(handed_over)


def philox(seed: int, start: int, end: int) -> Draw:
    """A draw on CUDA, whose generator's state is a seed and an offset."""
    before, after = (state_of(seed.to_bytes(8, "little") + at.to_bytes(8, "little")) for at in (start, end))
    stretch = Stretch(before, after, strides=(1,))
    return Draw("randn", (100,), "float32", "cuda:0", True, None, 0, stretch=stretch)


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ([(7, 0, 4), (7, 4, 8), (8, 0, 4)], ()),
        ([(7, 0, 4), (7, 4, 8), (7, 0, 4)], (Overlap(2, 0, True),)),
        ([(7, 0, 8), (7, 4, 12)], (Overlap(1, 0, False),)),
        ([(7, 4, 12), (7, 0, 8)], (Overlap(1, 0, False),)),
        ([(7, 0, 4), (7, 0, 8)], (Overlap(1, 0, False),)),
        ([(7, 4, 8), (7, 0, 4), (7, 8, 12)], ()),
    ],
)
def test_states_of_cuda_are_a_seed_and_an_offset(
    draws: list[tuple[int, int, int]], expected: tuple[Overlap, ...]
) -> None:
    assert overlaps([philox(*one) for one in draws]) == expected


def test_of_an_unknown_generator_equal_states_are_told_and_no_more() -> None:
    one, other = state_of(b"abc"), state_of(b"abd")
    assert one.kind == "other"
    first, second = Stretch(one, other, strides=(1,)), Stretch(other, State("other", b"x"), strides=(1,))
    draws = [Draw("randn", (3,), "float32", "xpu:0", True, None, 0, stretch=s) for s in (first, second, first)]
    assert overlaps(draws) == (Overlap(2, 0, True),)


def test_draws_of_no_generator_that_torch_shows_are_left_out() -> None:
    assert default_generator(torch.device("cpu")) is torch.default_generator
    assert default_generator(torch.device("meta")) is None
