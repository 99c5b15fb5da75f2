"""What the draws of a sampler come from: the generator that it was given, the global one, or a seed of its own.

Told by running twice, with another seed in the generator that should feed them: a draw whose generator is in the same
state both times is not fed by it, however it was made; one made from that generator's numbers, or from its seed, is.
"""

from __future__ import annotations

import numpy as np

from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.observe.tape import Draw
from sampler_harness.observe.trace import GENERATOR_SEED, OTHER_SEED, Following

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
    pairs = enumerate(zip(first.draws, second.draws, strict=False))
    return [index for index, (one, two) in pairs if _is_alike(one, two)]


def _is_alike(one: Draw, two: Draw) -> bool:
    if one.stretch is None or two.stretch is None or one.stretch.is_empty:
        return False
    return one.stretch.before == two.stretch.before


def are_seeds(bundle: Bundle) -> bool:
    """Whether draws that are not Gaussian reach nothing but other generators: other numbers change no digit.

    Args:
        bundle: of a sampler that makes such draws.
    """
    plain = bundle.dense
    seeds = (Following(keep_others=True).global_seed, OTHER_SEED)
    others = [bundle.run_dense(following=Following(keep_others=True, global_seed=one, given_seed=one)) for one in seeds]
    return isinstance(plain, DenseRun) and all(
        isinstance(one, DenseRun) and one.rows.shape == plain.rows.shape and np.array_equal(one.rows, plain.rows)
        for one in others
    )
