"""The rows ``law/*``: the measured law against the one that it should be, entry by entry."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from sampler_harness.law.comparison import Deviation, Term
from sampler_harness.law.places import PlaceMap
from sampler_harness.observe.trace import Case
from sampler_harness.verdict import Finding

from .evidence import Evidence
from .judging import Judged, conclude, nothing_seen, skipped
from .replayed import NOT_AFFINE, where
from .resolution import resolution
from .told_times import cast_of_times, time_shape_problem

__all__ = [
    "NO_LAW",
    "cause_of",
    "check_initial_noise",
    "check_noise",
    "check_offset",
    "check_outputs",
    "check_times",
    "first_difference",
    "in_words",
    "nothing_compared",
    "told_of",
    "where",
]

#: Which check speaks of which term, in the order of cause and effect within a row.
CHECK_OF: dict[Term, str] = {
    "count": "law/times",
    "time": "law/times",
    "initial-noise": "law/initial-noise",
    "outputs": "law/outputs",
    "noise": "law/noise",
    "offset": "law/offset",
}
#: Terms that a draw takes part in, or its mean.
_OF_DRAWS: tuple[Term, ...] = ("initial-noise", "noise", "offset")
#: Why nothing is compared.
NO_LAW = "what it is held against has no law of any configuration that was run"
#: Why rows are not compared.
OTHER_COUNT = "the number of model calls differs, so the rows cannot be compared"
_ORDER: tuple[Term, ...] = ("count", "time", "initial-noise", "outputs", "noise", "offset")


def first_difference(deviations: tuple[Deviation, ...]) -> Deviation | None:
    """The first difference: earliest row, and in a row times before outputs before noise."""
    real = [d for d in deviations if d.ratio > 1.0 and not d.consequence]
    return min(real, key=lambda d: (d.term != "count", d.row, _ORDER.index(d.term)), default=None)


def cause_of(evidence: Evidence, case: Case) -> str | None:
    """The check that speaks of a case's first difference; None where there is none."""
    if not evidence.bundle(case).is_affine:
        if evidence.bundle(case).problem is not None:
            return "law/times"
        return evidence.held(case).cause if evidence.standard.reference else None
    cause = first_difference(evidence.compared(case))
    if cause is None:
        return None
    if evidence.is_mapped(case) and cause.term not in ("count", "time"):
        return "law/outputs"
    return _missing_in(evidence, case, cause) or CHECK_OF[cause.term]


def _missing_in(evidence: Evidence, case: Case, deviation: Deviation) -> str | None:
    """The check that a difference in noise follows from where what is drawn is not normal: no law holds that noise."""
    return "noise/shape" if deviation.term in _OF_DRAWS and evidence.not_normal(case) else None


def number(value: float) -> str:
    """A figure as it is printed, to six digits."""
    return f"{value:.6g}"


def in_words(deviation: Deviation, calls: int) -> str:
    """A difference as a person sees it who knows of model calls and steps alone.

    Args:
        deviation: of a law.
        calls: of the model, in a run.
    """
    got, should_be = number(deviation.got), number(deviation.should_be)
    place = where(deviation.row, calls)
    match deviation.term:
        case "count":
            return f"the model is called {int(deviation.got)} times in a run, should be {int(deviation.should_be)}"
        case "time":
            return f"model call {deviation.row} is told time {got}, should be {should_be}"
        case "initial-noise":
            hint = ""
            if deviation.got and math.isclose(deviation.got, 1.0, rel_tol=1e-6):
                hint = ": the first noise is not scaled"
            return f"the first model input has standard deviation {got}, should be {should_be}{hint}"
        case "outputs":
            if deviation.column < 0:
                return (
                    f"step {deviation.row - 1}: {place} holds {got} times the first noise, should be {should_be} times"
                )
            return (
                f"step {deviation.row - 1}: {place} holds {got} times what the model returned in call "
                f"{deviation.column}, should be {should_be} times"
            )
        case "noise":
            if deviation.column == deviation.row:
                return (
                    f"step {deviation.row - 1}: fresh noise of standard deviation {got} enters {place}, "
                    f"should be {should_be}"
                )
            return (
                f"step {deviation.row - 1}: {place} holds {got} times the noise that was added before call "
                f"{deviation.column}, should be {should_be} times"
            )
        case "offset":
            return f"{place} holds the constant {got}, should be {should_be}"


def told_of(evidence: Evidence, case: Case, deviation: Deviation) -> str:
    """A difference in words; where weights differ from place to place, it is that of one place.

    Args:
        evidence: of the sampler.
        case: whose law it is of.
        deviation: of it.
    """
    text = in_words(deviation, evidence.bundle(case).num_calls)
    is_of_all = deviation.term in ("count", "time") or not evidence.is_mapped(case)
    return text if is_of_all else f"at one place, {text}"


def _only_grid(evidence: Evidence, case: Case, cause: Deviation, terms: tuple[Term, ...]) -> bool:
    """Whether a wrong grid explains everything that is off."""
    if "time" in terms or CHECK_OF[cause.term] != "law/times" or not evidence.standard.reference:
        return False
    return evidence.only_the_grid_differs(case)


def _one_cause(evidence: Evidence) -> str | None:
    """The check that speaks first, where one line of the sampler's makes all that is wrong; else None."""
    if evidence.mending is None:
        return None
    found = {
        CHECK_OF[d.term]
        for case in evidence.affine_cases
        for d in evidence.compared(case)
        if d.ratio > 1.0 and not d.consequence
    }
    return next((id for id in dict.fromkeys(CHECK_OF[term] for term in _ORDER) if id in found), None)


def _takes_itself_away(evidence: Evidence) -> bool:
    """Whether noise that is drawn before the first call is nothing there, in a case that draws less than is needed.

    Context: a draw that is used again, negated, takes itself away, so that each place where it stands looks as if its
    noise had been forgotten. Choice: noise that is missing further on is told as one with it. Reversed by: following a
    draw from use to use.
    """
    return any(
        _draws_too_little(evidence, case) and any(draw.calls_before == 0 for draw in evidence.bundle(case).zero.draws)
        for case in evidence.affine_cases
        if any(d.term == "initial-noise" and d.ratio > 1.0 and d.got == 0.0 for d in evidence.compared(case))
    )


def _draws_too_little(evidence: Evidence, case: Case) -> bool:
    layout, should_be = evidence.bundle(case).layout, evidence.standard.law(evidence.side_of(case))
    return layout is not None and should_be is not None and len(layout.fields) < len(should_be.opened)


def _judge(evidence: Evidence, case: Case, terms: tuple[Term, ...]) -> list[Judged]:
    deviations = evidence.compared(case)
    cause = first_difference(deviations)
    mine = [d for d in deviations if d.term in terms]
    if not mine:
        return []
    failing = [d for d in mine if d.ratio > 1.0]
    if not failing:
        return [Judged(max(d.ratio for d in mine), case=case)]
    first = min(failing, key=lambda d: (d.consequence, d.term != "count", d.row, -d.ratio))
    consequence_of = None
    if first.consequence and cause is not None and CHECK_OF[cause.term] not in {CHECK_OF[t] for t in terms}:
        consequence_of = CHECK_OF[cause.term]
    elif cause is not None and _only_grid(evidence, case, cause, terms):
        consequence_of = "law/times"
    elif first.term == "noise" and _draws_too_little(evidence, case) and _takes_itself_away(evidence):
        consequence_of = "law/initial-noise"
    elif not first.consequence and (root := _one_cause(evidence)) not in {CHECK_OF[t] for t in terms}:
        consequence_of = root
    text = told_of(evidence, case, first)
    if evidence.is_mapped(case) and "time" not in terms:
        consequence_of = "law/outputs"
    elif (cause_of_noise := _missing_in(evidence, case, first)) is not None:
        consequence_of = consequence_of or cause_of_noise
        text += f" (normal noise alone is counted, and none of what {evidence.not_normal(case)!r} draws)"
    return [
        Judged(
            max(d.ratio for d in mine),
            text,
            case,
            {
                "step": first.row,
                "term": first.term,
                "column": first.column,
                "got": first.got if math.isfinite(first.got) else repr(first.got),
                "should_be": first.should_be,
            },
            consequence_of,
        )
    ]


def _by_replay(evidence: Evidence, case: Case, id: str, ratio: str) -> list[Judged]:
    """What a check of the law can say of a case that has none: from the reference's replay of its dense run."""
    if evidence.bundle(case).problem is not None or not evidence.standard.reference:
        return []
    held = evidence.held(case)
    if held.cause == id:
        return [held.judged(case)]
    return [Judged(getattr(held, ratio), case=case)] if held.cause in (None, "clip/replay") else []


def _other_counts(evidence: Evidence) -> bool:
    """Whether the model is called another number of times than it should be."""
    return any(d.term == "count" for case in evidence.cases for d in evidence.compared(case))


def _could_be_measured(evidence: Evidence) -> bool:
    return all(evidence.bundle(case).problem is None for case in evidence.cases)


def nothing_compared(id: str, evidence: Evidence) -> Finding | None:
    """Says that no case could be laid beside what the sampler is held against; None where one could.

    Args:
        id: of a check that had nothing else to go by.
        evidence: of the sampler.
    """
    if evidence.standard.reference or not evidence.cases:
        return None
    if not evidence.affine_cases:
        return skipped(id, NOT_AFFINE.partition(":")[0])
    return None if any(evidence.compared(case) for case in evidence.cases) else nothing_seen(id, NO_LAW)


def _law_check(id: str, evidence: Evidence, terms: tuple[Term, ...], passed: str, notes: Sequence[str] = ()) -> Finding:
    if evidence.cases and not evidence.affine_cases:
        return skipped(id, NOT_AFFINE)
    judged = [j for case in evidence.cases for j in _judge(evidence, case, terms)]
    if not judged and _other_counts(evidence):
        return nothing_seen(id, OTHER_COUNT, consequence_of="law/times")
    if not judged and _could_be_measured(evidence) and (nothing := nothing_compared(id, evidence)) is not None:
        return nothing
    rest = len(evidence.cases) - len(evidence.affine_cases)
    note = f" ({rest} of {len(evidence.cases)} cases are not affine: clip/replay decides them)" if rest else ""
    return conclude(
        id, evidence, judged, passed=passed + note, shrink=lambda case: _judge(evidence, case, terms), notes=notes
    )


def check_times(evidence: Evidence) -> Finding:
    """The model is called at the reference's times, in number and order.

    A run that cannot be measured at all (a crash, a wrong return, NaN) is told here.
    """

    def judge(case: Case) -> list[Judged]:
        bundle = evidence.bundle(case)
        if bundle.problem is not None:
            problem = bundle.problem
            details = {"problem": problem.kind, "step": problem.step}
            return [Judged(math.inf, problem.message, case, details, problem=problem.kind)]
        wrong = time_shape_problem(bundle.zero, evidence.subject.time_shape, case.shape[0])
        if wrong is not None:
            return [Judged(math.inf, wrong, case)]
        if not bundle.is_affine:
            held = _by_replay(evidence, case, "law/times", "times_ratio")
            return held or ([Judged(0.0, case=case)] if evidence.standard.reference else [])
        found = _judge(evidence, case, ("count", "time"))
        cast = cast_of_times(evidence) if any(one.fails for one in found) else None
        why = "" if cast is None else f": the time was rounded by a cast to {cast}"
        return [dataclasses.replace(one, message=one.message + why) for one in found]

    judged = [j for case in evidence.cases for j in judge(case)]
    if not judged and (nothing := nothing_compared("law/times", evidence)) is not None:
        return nothing
    return conclude("law/times", evidence, judged, passed="every model call is told the reference's time", shrink=judge)


def check_initial_noise(evidence: Evidence) -> Finding:
    """The first model input has the reference's scale."""
    terms: tuple[Term, ...] = ("initial-noise",)

    def judge(case: Case) -> list[Judged]:
        if not evidence.bundle(case).is_affine:
            return _by_replay(evidence, case, "law/initial-noise", "first_ratio")
        return _judge(evidence, case, terms)

    if len(evidence.affine_cases) == len(evidence.cases):
        return _law_check("law/initial-noise", evidence, terms, "the first model input has the reference's scale")
    judged = [j for case in evidence.cases for j in judge(case)]
    if not judged:
        return _undecided(evidence, "law/initial-noise")
    return conclude(
        "law/initial-noise",
        evidence,
        judged,
        passed="the first model input is the reference's, on the same draw",
        shrink=judge,
    )


def _mapped(found: PlaceMap, calls: int) -> str:
    """Weights that differ from place to place, in words."""
    what = f"the model's output of call {found.output}" if found.draw is None else "a drawn unit normal"
    shares = ", ".join(f"{weight:.4g} at {share:.0%} of the places" for weight, share in found.weights)
    return (
        f"{where(found.row, calls)} weighs {what} by place: {shares}, alike in every item: a fixed map over places (a "
        "mask, a window, a channel of its own), affine, where the reference weighs all places alike"
    )


def check_outputs(evidence: Evidence) -> Finding:
    """Each update weighs the state and the model's outputs as the reference does."""
    found = evidence.place_map
    if found is not None and not evidence.standard.reference:
        why = "weights differ from place to place, so what is read at one place says nothing about the others"
        return nothing_seen("law/outputs", why)
    if found is not None:

        def judge(case: Case) -> list[Judged]:
            if not evidence.is_mapped(case):
                return _judge(evidence, case, ("outputs",))
            details = {"step": found.row, "by_place": True}
            return [Judged(math.inf, _mapped(found, evidence.bundle(case).num_calls), case, details)]

        judged = [j for case in evidence.affine_cases for j in judge(case)]
        return conclude("law/outputs", evidence, judged, passed="", shrink=judge)
    passed = "every update weighs state and outputs as the reference does"
    return _law_check("law/outputs", evidence, ("outputs",), passed, resolution(evidence))


def _undecided_edges(evidence: Evidence) -> list[str]:
    """Ends of windows of which no case tells whether they belong to it."""
    named = evidence.subject.fields
    seen = [one for case in evidence.cases for one in case.config.window_ends.items() if one[0] in named]
    decided = {name for name, is_exact in seen if is_exact}
    return [
        f"whether a level on {name} is in the window ({name} {sign} sigma, or {sign.strip('=')}) is not decided: "
        "rounding moves levels to either side. Give sigmas with a level of few binary digits (0.5, 2.0), and a "
        f"{name} that equals it"
        for name, sign in (("s_tmin", "<="), ("s_tmax", ">="))
        if name in {one for one, _ in seen} - decided
    ]


def check_noise(evidence: Evidence) -> Finding:
    """Fresh noise enters with the right strength at each step, and where the paper has none, none."""
    if len(evidence.affine_cases) < len(evidence.cases):
        return _numbers_of_draws(evidence)
    judged = [j for case in evidence.cases for j in _judge(evidence, case, ("noise",))]
    if not judged and _other_counts(evidence):
        return nothing_seen("law/noise", OTHER_COUNT, consequence_of="law/times")
    if not judged and _could_be_measured(evidence):
        if (nothing := nothing_compared("law/noise", evidence)) is not None:
            return nothing
        # Neither side adds noise after the first: both were looked at, and agree that there is none.
        judged = [Judged(0.0, case=case) for case in evidence.cases if evidence.compared(case)]
        return conclude("law/noise", evidence, judged, passed="no noise enters after the first, as in the reference")
    return conclude(
        "law/noise",
        evidence,
        judged,
        passed="fresh noise enters with the reference's strength at every step",
        shrink=lambda case: _judge(evidence, case, ("noise",)),
        notes=_undecided_edges(evidence),
    )


def _numbers_of_draws(evidence: Evidence) -> Finding:
    """Where cases have no law: as many draws as the reference's; their strength is for clip/replay to decide."""

    def judge(case: Case) -> list[Judged]:
        if not evidence.bundle(case).is_affine:
            return [
                Judged(j.ratio if j.message else 0.0, j.message, case, j.evidence)
                for j in _by_replay(evidence, case, "law/noise", "ratio")
            ]
        return _judge(evidence, case, ("noise",))

    judged = [j for case in evidence.cases for j in judge(case)]
    if not judged:
        return _undecided(evidence, "law/noise")
    return conclude(
        "law/noise",
        evidence,
        judged,
        passed="as many draws reach the samples as the reference makes; how strongly, clip/replay decides",
        shrink=judge,
    )


def _undecided(evidence: Evidence, id: str) -> Finding:
    """No case could be laid beside the reference: told by the check that says why."""
    if _could_be_measured(evidence) and (nothing := nothing_compared(id, evidence)) is not None:
        return nothing
    causes = [cause for case in evidence.cases if (cause := cause_of(evidence, case)) is not None]
    why = "the run cannot be laid beside the reference's"
    return nothing_seen(id, why, consequence_of=causes[0] if causes and causes[0] != id else None)


def check_offset(evidence: Evidence) -> Finding:
    """Nothing constant is added."""
    return _law_check("law/offset", evidence, ("offset",), "no constant is added anywhere")
