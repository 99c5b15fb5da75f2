"""What the draws of a sampler come from: the generator that it was given, the global one, or a seed of its own.

Told by running twice, with another seed in the generator that should feed them: a draw whose generator is in the same
state both times is not fed by it, however it was made; one made from that generator's numbers, or from its seed, is.
"""

from __future__ import annotations

import numpy as np

from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.observe.tape import Draw
from sampler_harness.observe.trace import GENERATOR_SEED, OTHER_SEED, Following, Problem

__all__ = ["always_alike", "are_seeds", "not_fed"]


def not_fed(bundle: Bundle) -> list[int]:
    """Draws that the given generator does not feed.

    Args:
        bundle: of a sampler that takes one.
    """
    alike = _alike(bundle, Following(keep_others=True, given_seed=OTHER_SEED))
    unknown = [
        i for i, d in enumerate(bundle.draws.run.draws) if d.stretch is None and d.generator_seed != GENERATOR_SEED
    ]
    return sorted({*alike, *unknown})


def always_alike(bundle: Bundle) -> list[int]:
    """Draws that torch's global seed does not change: a seed is set inside of the run.

    Args:
        bundle: of a sampler that takes no generator.
    """
    return _alike(bundle, Following(keep_others=True, global_seed=OTHER_SEED))


def _alike(bundle: Bundle, other: Following) -> list[int]:
    first, second = bundle.draws.run, bundle.draws.again(other)
    if first.problem is not None or second.problem is not None or len(first.draws) != len(second.draws):
        return []  # another run of it draws other noise: bundle.draws.untold says so
    pairs = enumerate(zip(first.draws, second.draws, strict=True))
    return [index for index, (one, two) in pairs if _is_alike(one, two)]


def _is_alike(one: Draw, two: Draw) -> bool:
    if one.stretch is None or two.stretch is None or one.stretch.is_empty:
        return False
    return one.stretch.before == two.stretch.before


#: Where draws lie that may be seeds: lowest, highest, and between them, so that a branch goes both ways.
_PLACES = (0.0, 1.0, 0.03, 0.25, 0.75, 0.97)


def are_seeds(bundle: Bundle) -> bool:
    """Whether draws that are not Gaussian reach nothing but other generators: other numbers change no digit.

    A number that a branch asks changes nothing as long as it stays on its side: the lowest and the highest values of
    each draw are tried, and some between them.

    Args:
        bundle: of a sampler that makes such draws.
    """
    plain = bundle.dense
    seeds = (Following(keep_others=True).global_seed, OTHER_SEED)
    ways = [Following(keep_others=True, global_seed=one, given_seed=one) for one in seeds]
    ways += [Following(others_at=share) for share in _PLACES]
    return isinstance(plain, DenseRun) and all(_is_the_same(plain, bundle.run_dense(following=one)) for one in ways)


def _is_the_same(plain: DenseRun, other: DenseRun | Problem) -> bool:
    if isinstance(other, Problem) or other.rows.shape != plain.rows.shape:
        return False
    drawn = [[draw.shape for draw in run.run.draws] for run in (plain, other)]
    return drawn[0] == drawn[1] and np.array_equal(other.rows, plain.rows)
