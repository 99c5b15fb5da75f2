"""A candidate: a reference, with fields or lines changed, whose law may be the sampler's."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sampler_harness.law.law import Law
from sampler_harness.law.program import Program
from sampler_harness.law.response import Array, Response
from sampler_harness.law.rounding import ROUNDING_NUMPY, rounding
from sampler_harness.law.tolerance import PRECISIONS, Tolerance, derived_tolerance, reference_response
from sampler_harness.observe.learned_variance import learned_variance

from .forms import text_as
from .observation import Observation, Outcome
from .target import BEYOND, Lawless, Target, limits_of, run_program
from .where import Where

__all__ = ["Explanation", "Kind", "SameAs", "Shift", "searched_as"]

#: What is changed, the simplest first; of two explanations with one law the simpler one is told.
Kind = Literal["configuration", "reference", "known", "edit", "pair"]
KINDS: tuple[Kind, ...] = ("configuration", "reference", "known", "edit", "pair")


#: Random roundings in which a program may make NaN of what is a number without them: rounding to nearest may be lucky.
ROUNDINGS = 4


@dataclass(frozen=True)
class Shift:
    """A whole number that is off by so much from what was declared."""

    by: int


@dataclass(frozen=True)
class SameAs:
    """The value that was declared for another field."""

    field: str


@dataclass(frozen=True, eq=False)
class Explanation:
    """What may have been run in place of the reference.

    Attributes:
        kind: what is changed.
        reference: the class whose source is run.
        fields: fields that have another value than was declared; a :class:`Shift` is added to the declared
            one, :class:`SameAs` is that of another.
        texts: files with edits in them, by name.
        faults: names of the known faults among the edits.
        where: in which configurations; None for all. Elsewhere it is the declared reference.
        digits: of numbers in it that were solved for; 0 where there are none.
        form: in which form of the reference the texts are edited; empty for its own.
    """

    kind: Kind
    reference: type
    fields: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    where: Where | None = None
    digits: int = 0
    form: str = ""

    @functools.cached_property
    def program(self) -> Program:
        """The source, compiled."""
        return _program(self.reference, tuple(sorted(self.texts.items())))

    @functools.cached_property
    def rounding_program(self) -> Program:
        """The same in arithmetic that rounds."""
        return Program(self.reference, texts=self.texts, numpy=ROUNDING_NUMPY)

    def tolerance(self, law: Law, response: Response, config: Any, dtype: str) -> Tolerance:
        """Tolerances of its law, derived from its own source in arithmetic that rounds.

        Args:
            law: of this in a configuration.
            response: that the law is of.
            config: of this reference.
            dtype: ``"float32"`` or ``"float64"``.
        """
        return derived_tolerance(
            law,
            dtype,
            lambda: self.rounding_program.configured(config),
            (response.noise.shape[1], response.num_calls),
            learned_variance=learned_variance(config),
            reference=config,
        )

    @property
    def size(self) -> int:
        """How many things are changed: fields, and lines of the text."""
        return len(self.fields) + sum(_changed(file, text, self.form) for file, text in self.texts.items())

    @property
    def is_changed(self) -> bool:
        """Whether anything differs from the reference in that form."""
        return bool(self.fields or self.faults) or self.size > 0

    def part_for(self, declared: Any) -> Explanation:
        """What is run in a configuration: this, or the reference where this is another part's.

        Args:
            declared: of the sampler's own reference.
        """
        if self.where is None or self.where.holds(declared):
            return self
        return Explanation("edit", searched_as(type(declared)))

    def config(self, declared: Any) -> Any | None:
        """The configuration that this runs where another was declared; None where there is none.

        Args:
            declared: of the sampler's own reference.
        """
        given = declared.values()
        values = {name: _value(name, value, given) for name, value in self.fields.items()}
        try:
            if self.reference is type(declared):
                own: Any = declared
                return dataclasses.replace(own, **values)
            names = {f.name for f in dataclasses.fields(self.reference) if f.init}
            shared = {name: value for name, value in given.items() if name in names}
            return self.reference(**{**shared, **values})
        except (ValueError, TypeError, OverflowError):
            return None

    def outcome(self, target: Observation, *, stop: bool = True) -> Outcome:
        """How far it goes along with the sampler in a case.

        Args:
            target: the sampler's case.
            stop: whether to give up at the first difference.

        Raises:
            SyntaxError: when its texts are no program.
        """
        here = self.part_for(target.config)
        if here is not self:
            return here.outcome(target, stop=stop)
        config = self.config(target.config)
        if config is None:
            return Outcome(0)
        with np.errstate(all="ignore"):
            return target.run(self.program.configured(config), config, stop=stop)

    def response(self, target: Observation, *, stop: bool = True) -> Any:
        """What it does in a case; None where it has no law there, or (with ``stop``) another one than the sampler.

        Args:
            target: the sampler's case.
            stop: whether to give up at the first difference.
        """
        return self.outcome(target, stop=stop).response

    def off(self, target: Observation, *, exactly: bool = False) -> float:
        """How far what this does is from what the sampler does in a case, over the tolerance; infinity without a law.

        Args:
            target: the sampler's case.
            exactly: over the tolerance that is derived from this program, not the one that is used while searching,
                which is narrower where small differences of large numbers are taken.
        """
        return target.off(self, exactly=exactly)

    def fits(self, target: Observation, *, exactly: bool = False) -> bool:
        """Whether the sampler does in a case what this does.

        Args:
            target: the sampler's case.
            exactly: as for :meth:`off`.
        """
        return self.off(target, exactly=exactly) <= 1.0

    def explains(self, target: Observation) -> bool:
        """Whether the sampler does in a case what this does: the quick tolerance or the derived one says so.

        Args:
            target: the sampler's case.
        """
        return self.fits(target) or self.fits(target, exactly=True)

    def closeness(self, target: Observation) -> float:
        """How far it is off by the tolerance that has more room, the derived one or that of the search: 1 explains.

        Args:
            target: the sampler's case.
        """
        quickly = self.off(target)
        return quickly if quickly <= 1.0 else self.off(target, exactly=True)

    def has_none_either(self, lawless: Lawless) -> bool:
        """Whether this has no law where the sampler has none: one may refuse what the other makes NaN of.

        Context: a second fault must not hide behind the first. Choice: an error that no number makes, a name that is
        not there, stands for itself alone; NaN is none, and it is no NaN. Reversed by: errors that are compared.

        Args:
            lawless: where.
        """
        here = self.part_for(lawless.config)
        if here is not self:
            return here.has_none_either(lawless)
        config = self.config(lawless.config)
        if config is None:
            return False
        calls, draws = limits_of(lawless.calls)
        with np.errstate(all="ignore"):
            outcome = run_program(
                self.program.configured(config),
                max_calls=calls,
                max_draws=draws,
                learned_variance=learned_variance(config),
            )
        if lawless.is_of_code:
            return outcome.ending == "broken"
        if lawless.is_error or outcome.response is None:
            return outcome.ending in ("error", "not-finite")
        return _is_beyond(outcome.response, lawless.config) or self._is_lost(lawless, config)

    def _is_lost(self, lawless: Lawless, config: Any) -> bool:
        """Whether float32 has no numbers where float64 has some: a difference of nearly equal ones becomes 0, say.

        Args:
            lawless: where the sampler has none.
            config: of this there.
        """
        calls, draws = limits_of(lawless.calls)
        for seed in (None, *range(ROUNDINGS)):
            with rounding(PRECISIONS["float32"].bits, seed), np.errstate(all="ignore"):
                outcome = run_program(
                    self.rounding_program.configured(config),
                    max_calls=calls,
                    max_draws=draws,
                    learned_variance=learned_variance(config),
                )
            if outcome.ending == "not-finite":
                return True
        return False

    def rows(self, target: Target) -> Array | None:
        """What it makes of the sampler's large outputs, where the reference clamps; None elsewhere."""
        here = self.part_for(target.config)
        if here is not self:
            return here.rows(target)
        response = None if target.dense is None else self.response(target, stop=False)
        config = self.config(target.config)
        if response is None or config is None:
            return None
        return target.replay(self.program.configured(config), response)

    def law(self, target: Target) -> Law | None:
        """Its law in a case, whatever the sampler's is."""
        response = self.response(target, stop=False)
        return None if response is None else Law.of(response)


def _is_beyond(response: Response, declared: Any) -> bool:
    """Whether what a program says next to a division by 0 is so large that rounding alone decides if there is one."""
    should_be = reference_response(declared, learned_variance(declared))
    largest = max(float(np.abs(part).max(initial=1.0)) for part in (should_be.outputs, should_be.noise))
    return any(float(np.abs(part).max(initial=0.0)) > BEYOND * largest for part in (response.outputs, response.noise))


def _value(name: str, value: Any, given: Mapping[str, Any]) -> Any:
    """A field's value where others were declared."""
    if isinstance(value, Shift):
        return (given[name] or 0) + value.by
    return given[value.field] if isinstance(value, SameAs) else value


def searched_as(reference: type) -> type:
    """The class whose source is searched: of a reference that only refuses some of its corners, the one below.

    Args:
        reference: as declared.

    Raises:
        ValueError: for a reference of the user's own, whose source is not searched.
    """
    for base in reference.__mro__:
        if base.__module__.partition(".")[0] == "reference_samplers" and dataclasses.is_dataclass(base):
            return base
        if "sample" in vars(base):
            break
    raise ValueError(f"{reference.__qualname__} is none of the references whose source is searched")


@functools.lru_cache(maxsize=256)
def _program(reference: type, texts: tuple[tuple[str, str], ...]) -> Program:
    return Program(reference, texts=dict(texts))


@functools.lru_cache(maxsize=4096)
def _changed(file: str, text: str, form: str) -> int:
    """How many lines of a file are not the package's."""
    before, after = text_as(file, form).splitlines(), text.splitlines()
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in blocks if tag != "equal")
