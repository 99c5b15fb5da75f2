"""The search for what was run in place of the reference: fields, other references, known faults, edits, then pairs.

A candidate is stopped at the first model call at which it differs from the sampler. What goes further than the
reference does, explains something: pairs are built on that alone.

Context: a diagnosis must be the same on every machine, and a person waits for it.
Choice: the budget counts measured programs, about 3,000 a second on one core, not seconds.
Reversed by: machines on which that is off by more than a few times.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from sampler_harness.law.program import Function, Trace
from sampler_harness.law.response import Array
from sampler_harness.law.same import SCREEN, TERMS

from .answers import Answer, grouped, laws_of, same_laws
from .configuration import other_references, other_values, solved_values
from .edits import Edits, is_of_form, of_form, single, with_deviations, with_fault, written
from .everywhere import everywhere
from .explanation import KINDS, Explanation, Kind, searched_as
from .forms import AS_SCHEDULERS, forms_of, in_all_lines, text_as
from .found import Found, Lead, Near
from .known_faults import KNOWN_FAULTS, KnownFault
from .observation import Observation
from .solved_edits import solved_edits
from .target import Lawless
from .undecided import settled_by
from .where import wheres

__all__ = ["BUDGET", "Answer", "Found", "Near", "Search"]

#: What pairs are built upon, where several go as far: pairs in which one is known come first.
_BUILT_UPON: tuple[Kind, ...] = ("known", "reference", "configuration", "edit", "pair")
#: Fields that say at which levels noise is renewed, and whether it is.
_WINDOW = frozenset({"s_tmin", "s_tmax", "s_churn"})
#: Programs that are measured at most, by budget: about 5 and 30 seconds.
BUDGET = {"quick": 16_000, "standard": 80_000, "thorough": 80_000}
#: Model calls that the budget takes for granted.
USUAL_LENGTH = 20
#: Programs that could be measured in the time in which a text is compiled.
COMPILED = 3
#: Explanations that are built upon, at most.
PROMISING = 60
#: Explanations of the smallest case that are tried as mistakes of one branch, at most.
IN_PART = 200
#: Explanations of a part of the first case that are held to their own tolerance, at most.
BY_OWN_TOLERANCE = 40
#: Explanations of a part that are told, at most.
NEAR = 3
#: Further configurations in which the sampler is run to tell answers apart.
SEPARATING = 8


class Search:
    """One search.

    Args:
        reference: the declared reference's class.
        targets: the sampler's cases, the one that is explained first at the head.
        others: further cases of it, which an answer must explain too.
        lawless: configurations in which the sampler has no law: a candidate must have none there either.
        further: configurations in which the sampler may be run to tell answers apart.
        measure: runs the sampler in one of them; None where that fails.
        hypothetical: a case as it would be if the sampler were sound, to see whether answers differ there.
        budget: programs that may be measured.
        faults: the bank.
        forms: whether the reference's lines have other forms that people write them in.
        deviations: known faults that the sampler is declared to have: everything is searched beside them.
    """

    def __init__(
        self,
        reference: type,
        targets: Sequence[Observation],
        *,
        others: Sequence[Observation] = (),
        lawless: Sequence[Lawless] = (),
        further: Sequence[Any] = (),
        measure: Callable[[Any], Observation | None] = lambda config: None,
        hypothetical: Callable[[Any], Observation | None] = lambda config: None,
        budget: int = BUDGET["quick"],
        faults: Sequence[KnownFault] = KNOWN_FAULTS,
        forms: bool = True,
        deviations: Sequence[str] = (),
    ) -> None:
        self.reference = searched_as(reference)
        self._start = with_deviations(Explanation("edit", self.reference), faults, deviations)
        self.targets = list(targets)
        self._others = list(others)
        self._lawless = list(lawless)
        self._but_lawless: list[Explanation] = []
        #: What explains everything, but for what rounding may do to entries that grow.
        self._loose: list[Explanation] = []
        self._in_part: list[Explanation] = []
        self._further = list(further)
        self._measure = measure
        self._hypothetical = hypothetical
        self._budget = budget
        self._faults = faults
        self._has_forms = forms
        self.programs = 0
        self._ended = True

    def run(self) -> Found:
        """Search until something explains every case, or there is nothing left, or the budget is spent."""
        # An edit may overflow anywhere; what is not finite has no law.
        with np.errstate(all="ignore"):
            return self._run()

    def _run(self) -> Found:
        start = self._start
        reference_terms, _ = self._outcome(start)
        fitting: list[Explanation] = []
        promising: list[Lead] = []
        for lead in self._from(start):
            if lead.terms > reference_terms and lead.is_ground:
                promising.append(lead)
            fitting += self._whole(lead)
        if not fitting and not self._but_lawless:
            for lead in self._edited(start, self.targets[0], everywhere):
                fitting += self._whole(lead)
        if not fitting and self._has_forms:  # a form may be NaN where the sampler is, and the reference's lines not
            for form in self._forms(start):
                for lead in self._edited(form, self.targets[0], functools.partial(of_form, start.program)):
                    promising += [lead] if lead.terms > reference_terms else []
                    fitting += self._whole(lead)
        if not fitting and self._has_forms:
            fitting = list(self._in_all_lines(start))
        if not fitting and not self._but_lawless:
            fitting = self._by_own_tolerance(promising)
        if not fitting:
            fitting = list(self._in_one_branch())
        seen = len(self._in_part)
        leading = frozenset(name for lead in promising if lead.kind == "known" for name in lead.make().faults)
        if not fitting and not self._but_lawless and leading:
            fitting = self._known_pairs(start, leading)
        # What has the law wherever there is one is all that numbers tell: two changes would be one that shows in them,
        # and another of which nothing is known but that it makes NaN, as many do.
        if not fitting and not self._but_lawless:
            for lead in self._numbers(start, self.targets[0]):
                fitting += self._whole(lead)
        if not fitting and not self._but_lawless and self._has_forms:
            for form in self._forms(start):
                for lead in self._numbers(form, self.targets[0], functools.partial(is_of_form, start.program)):
                    fitting += self._whole(lead)
        if not fitting and not self._but_lawless and not start.texts:
            for lead in self._of_other_references():
                promising += [lead] if lead.terms > reference_terms and lead.is_ground else []
                fitting += self._whole(lead)
        if not fitting and not self._but_lawless:
            fitting = list(self._in_one_branch(seen))
        if not fitting and not self._but_lawless:
            fitting = self._known_pairs(start)
        if not fitting and not self._but_lawless:
            fitting = self._pairs(promising)
        answers = grouped(fitting or self._loose, self.targets)
        exact = self._told_apart(answers) and bool(fitting)
        near = [] if answers else self._near(promising)
        cases = len(self.targets) + len(self._others) + len(self._lawless)
        settled = settled_by(answers, [target.config for target in self.targets], self._hypothetical)
        return Found(answers, exact, near, self.programs, self._ended, cases, settled)

    # One change at a time

    def _whole(self, lead: Lead) -> list[Explanation]:
        """The lead's explanation, if it explains every case."""
        if not lead.whole:
            return []
        explanation = lead.make()
        if self._fits_all(explanation):
            return [explanation]
        if explanation.kind != "pair" and explanation.where is None:
            self._in_part.append(explanation)
        return []

    def _by_own_tolerance(self, promising: Sequence[Lead]) -> list[Explanation]:
        """What the screen stops though rounding explains it: an edit may leave a law of small differences."""
        first = self.targets[0]
        fitting: list[Explanation] = []
        for lead in sorted(promising, key=lambda lead: -lead.terms)[:BY_OWN_TOLERANCE]:
            if lead.whole or not self._room():
                continue
            explanation = lead.make()
            self.programs += COMPILED
            if explanation.fits(first, exactly=True):
                fitting += self._whole(dataclasses.replace(lead, whole=True, make=_made(explanation)))
        return fitting

    def _from(self, base: Explanation, target: Observation | None = None) -> Iterator[Lead]:
        """Everything that is one change away.

        Args:
            base: what is changed.
            target: the case; None for the first.
        """
        target = target or self.targets[0]
        ordered = [target, *(t for t in self.targets if t is not target)]
        if base.reference is self.reference and not base.fields:
            for one in other_values(base.reference, ordered):
                fields = {**base.fields, **one.fields}
                yield self._lead(
                    dataclasses.replace(base, kind=self._kind(base, "configuration"), fields=fields), target
                )
            if not base.texts:
                for one, _ in other_references(base.reference, ordered):
                    yield self._lead(one, target)
        for solved in self._solved(dataclasses.replace(base, kind=self._kind(base, "configuration")), ordered):
            yield self._lead(solved, target)
        yield from self._known(base, target)
        yield from self._edits(base, target)

    def _of_other_references(self) -> Iterator[Lead]:
        """Numbers of other references, solved for.

        Context: a reference on noise levels has ten others beside it, each with ten numbers: two thirds of the budget,
        spent before the first line was looked at. Choice: they come where no line explains everything. Reversed by: a
        sampler that is another paper's at a number of its own, and an edit of the declared one as well.
        """
        for one, is_solved in other_references(self.reference, self.targets):
            for solved in self._solved(one, self.targets) if is_solved else ():
                yield self._lead(solved, self.targets[0])

    def _solved(self, base: Explanation, ordered: Sequence[Observation]) -> Iterator[Explanation]:
        if self._room():
            yield from solved_values(base, ordered, self._count)

    def _count(self) -> None:
        """A program that is run to its end: a long chain counts for several."""
        self.programs += 1 + self.targets[0].length // USUAL_LENGTH

    def _lead(self, explanation: Explanation, target: Observation) -> Lead:
        is_ground = not explanation.fields or not set(explanation.fields) <= _WINDOW
        return Lead(*self._outcome(explanation, target), explanation.kind, lambda: explanation, is_ground)

    def _known(self, base: Explanation, target: Observation) -> Iterator[Lead]:
        files = {function.place.file for function in base.program.functions.values()}
        for fault in self._faults:
            if fault.name in base.faults or not {one.file for one in fault.replacements} <= files:
                continue
            texts = with_fault(base.texts, fault)
            if texts is None:
                continue
            found = dataclasses.replace(
                base, kind=self._kind(base, "known"), texts=texts, faults=(*base.faults, fault.name)
            )
            yield self._lead(found, target)

    def _edits(self, base: Explanation, target: Observation) -> Iterator[Lead]:
        """One edit of one line."""
        yield from self._edited(base, target, single)

    def _edited(self, base: Explanation, target: Observation, edits: Edits) -> Iterator[Lead]:
        config = base.config(target.config)
        if config is None or not self._room():
            return
        program, kind = base.program, self._kind(base, "edit")
        trace = Trace()
        with np.errstate(all="ignore"):
            program.traced(lambda: target.run(program.configured(config), config, stop=False), trace)
            for edit in edits(program, trace):
                if not self._room():
                    return
                self.programs += 1
                with ExitStack() as applied:
                    for mutation in edit:
                        applied.enter_context(mutation.applied())
                    try:
                        for mutation in edit:
                            applied.enter_context(program.edited(mutation.function))
                        outcome = target.run(program.configured(config), config)
                    except (SyntaxError, ValueError, TypeError, AttributeError):
                        continue  # no program
                whole = outcome.response is not None
                yield Lead(
                    outcome.terms,
                    whole,
                    kind,
                    functools.partial(written, dataclasses.replace(base, kind=kind), program, edit),
                )

    def _in_one_branch(self, seen: int = 0) -> Iterator[Explanation]:
        """What explains the smallest case, as a mistake of one branch: elsewhere the sampler is right."""
        fields = {field.name for field in dataclasses.fields(self.reference)}
        everything = [*self.targets, *self._others]
        wrong = [t.config for t in everything if t.reference_ratio > 1] + [one.config for one in self._lawless]
        right = [t.config for t in everything if t.reference_ratio <= 1]
        for where in wheres(wrong, right, fields):
            for one in self._in_part[seen:][:IN_PART]:
                restricted = dataclasses.replace(one, where=where)
                if self._fits_all(restricted):
                    yield restricted

    def _in_all_lines(self, start: Explanation) -> Iterator[Explanation]:
        """What explains the smallest case, and edits, with all other lines as schedulers write them: these decide."""
        files = {function.place.file for function in start.program.functions.values()}
        for one in [*self._but_lawless, *self._in_part][:IN_PART]:
            texts = in_all_lines(one.texts, one.form, files) if not one.fields and self._room() else None
            if texts is not None and texts != one.texts:
                self.programs += COMPILED
                joined = dataclasses.replace(one, texts=texts, form=AS_SCHEDULERS.name)
                if self._fits_all(joined):
                    yield joined
        if texts := in_all_lines(start.texts, "", files):
            base = dataclasses.replace(start, texts=texts, form=AS_SCHEDULERS.name)
            for lead in self._edited(base, self.targets[0], functools.partial(of_form, start.program)):
                yield from self._whole(lead)

    def _forms(self, start: Explanation) -> Iterator[Explanation]:
        """The reference in the other forms that people write it in."""
        files = {function.place.file for function in start.program.functions.values()}
        for form in forms_of(files):
            texts = {one.file: text_as(one.file, form.name) for one in form.replacements}
            bare = Explanation("edit", self.reference, texts=texts, form=form.name)
            declared = with_deviations(bare, self._faults, start.faults)
            if declared.faults == start.faults:  # a deviation whose lines this form has not cannot be put in
                yield declared

    def _numbers(
        self,
        base: Explanation,
        target: Observation,
        is_asked: Callable[[Function], bool] = lambda function: True,
    ) -> Iterator[Lead]:
        """Edits with a number in them, where nothing simpler explains everything."""
        config = base.config(target.config)
        if config is None or not self._room():
            return
        program, trace = base.program, Trace()
        with np.errstate(all="ignore"):
            program.traced(lambda: base.response(target, stop=False), trace)
            for one in solved_edits(program, config, target, trace, self._count, is_asked):
                texts = {**base.texts, **one.texts}
                explanation = dataclasses.replace(base, kind=self._kind(base, "edit"), texts=texts, digits=one.digits)
                yield self._lead(explanation, target)
                if not self._room():
                    return

    def _outcome(self, explanation: Explanation, target: Observation | None = None) -> tuple[int, bool]:
        """Terms of a case that an explanation shares with the sampler, and whether these are all."""
        target = target or self.targets[0]
        self.programs += 1
        try:
            outcome = explanation.outcome(target)
        except (SyntaxError, ValueError):
            return 0, False
        return outcome.terms, outcome.response is not None

    def _room(self) -> bool:
        if self.programs >= self._budget:
            self._ended = False
        return self.programs < self._budget

    def _kind(self, base: Explanation, kind: Kind) -> Kind:
        """A change of something changed is a pair; what is declared counts for none."""
        return kind if base is self._start or not base.is_changed else "pair"

    # All cases

    def _fits_all(self, explanation: Explanation) -> bool:
        everything = (*self.targets, *self._others)
        try:
            strictly = True
            for target in everything:
                closeness = explanation.closeness(target)
                if closeness > SCREEN:
                    return False
                strictly = strictly and closeness <= 1.0
        except (SyntaxError, TypeError, AttributeError, ValueError):  # no program, or none in arithmetic that rounds
            return False
        if not all(explanation.has_none_either(one) for one in self._lawless):
            self._but_lawless.append(explanation)
        elif not strictly:
            self._loose.append(explanation)
        else:
            return True
        return False

    def _pairs(self, promising: Sequence[Lead]) -> list[Explanation]:
        """Two changes, the first of which explains something by itself."""
        ranked = sorted(promising, key=lambda lead: (-lead.terms, _BUILT_UPON.index(lead.kind)))
        tried: list[list[Array]] = []
        fitting: list[Explanation] = []
        for lead in ranked:
            if not self._room() or len(tried) >= PROMISING:
                self._ended = False
                break
            base = lead.make()
            laws = laws_of(base, self.targets[:4])
            if any(same_laws(laws, others) for others in tried):
                continue  # another way to write what was built upon already
            tried.append(laws)
            target = next((target for target in self.targets if not base.explains(target)), None)
            if target is None:
                continue
            for candidate in self._from(base, target):
                fitting += self._whole(candidate)
            if fitting:
                break
        return fitting

    def _known_pairs(self, start: Explanation, leading: frozenset[str] = frozenset()) -> list[Explanation]:
        """All pairs of known faults: two that spoil one term of one row explain nothing alone.

        Args:
            start: what they are put in.
            leading: names of faults, one of which is in each pair; empty for all pairs.
        """
        sample = self.targets[:4]
        sound = laws_of(start, sample)
        target = self.targets[0]
        fitting: list[Explanation] = []
        singles = [lead.make() for lead in self._known(start, target)]
        effective = [one for one in singles if not same_laws(laws_of(one, sample), sound)]
        for place, first in enumerate(effective):
            for second in effective[place + 1 :]:
                if not self._room():
                    return fitting
                if leading and not leading & {first.faults[-1], second.faults[-1]}:
                    continue
                fault = next(fault for fault in self._faults if fault.name == second.faults[-1])
                texts = with_fault(first.texts, fault)
                if texts is None:
                    continue
                both = dataclasses.replace(first, kind="pair", texts=texts, faults=(*first.faults, fault.name))
                fitting += self._whole(self._lead(both, target))
                self.programs += COMPILED
        return fitting

    # Answers

    def _told_apart(self, answers: list[Answer]) -> bool:
        """Run the sampler where answers differ until one is left; keep those that still explain everything."""
        used = 0
        # Variants that agree so far may differ elsewhere: what is compared there are all of them.
        for config in self._further:
            everyone = [variant for answer in answers for variant in answer.variants]
            if used >= SEPARATING or len(everyone) < 2:
                break
            case = self._hypothetical(config)
            if case is None:
                continue
            laws = [laws_of(one, [case]) for one in everyone]
            if all(same_laws(laws[0], other) for other in laws[1:]):
                continue
            target = self._measure(config)
            if target is None:
                continue
            used += 1
            kept = [one for one in everyone if one.explains(target)]
            if not kept:
                continue  # it shows something else that is wrong
            self.targets.append(target)
            answers[:] = grouped(kept, self.targets)
        everything = [*self.targets, *self._others]
        held = [answer for answer in answers if all(answer.first.fits(t, exactly=True) for t in everything)]
        if held:
            answers[:] = held
        return len(answers) == 1 and bool(held)

    def _near(self, promising: Sequence[Lead]) -> list[Near]:
        """The furthest, each law once."""
        if self._but_lawless:
            best = grouped(self._but_lawless, self.targets)[:NEAR]
            return [self._measured(answer.first, TERMS * self.targets[0].rows, of_all=True) for answer in best]
        ranked = sorted(promising, key=lambda lead: (-lead.terms, KINDS.index(lead.kind)))
        found: list[Near] = []
        seen: list[list[Array]] = []
        for lead in ranked[:PROMISING]:
            one = lead.make()
            laws = laws_of(one, self.targets[:4])
            if any(same_laws(laws, others) for others in seen):
                continue
            seen.append(laws)
            found.append(self._measured(one, lead.terms))
            if len(found) == NEAR:
                break
        return found

    def _measured(self, one: Explanation, terms: int, *, of_all: bool = False) -> Near:
        first = self.targets[0]
        cases = len(self.targets) if of_all else sum(one.explains(target) for target in self.targets)
        return Near(one, cases, len(self.targets), terms // TERMS, first.rows, first.config, of_all)


def _made(explanation: Explanation) -> Callable[[], Explanation]:
    return lambda: explanation
