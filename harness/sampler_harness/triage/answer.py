"""One decision: which cause there is evidence for, what each part is then said to be, and what to do next."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import t as student

from .clue import clamped
from .experiment import Experiment
from .telling import kept_text
from .verdict import DETAIL, Cause, Stage, Step

__all__ = ["Answer", "answer"]

#: A sampler that keeps less than this share of an octave's power fades it; 1 dB, which a person sees side by side.
FADED = 10 ** (-1 / 10)
#: Two samplers differ for a person where an octave's power differs by this much (1 dB).
DIFFERS = 10 ** (1 / 10)
#: An octave is judged where other frames would say the same with this probability.
SURE = 0.999
#: Up to this share of the data's spread two runs on the same draws are alike; half precision stays below it.
ALIKE = 0.02
#: What a few frames cannot decide may still be too much to pass over: a factor of four in power (6 dB).
GROSS = 4.0


@dataclass(frozen=True)
class Answer:
    """What is decided.

    Attributes:
        cause: the part that is named.
        summary: a few sentences.
        steps: the parts, as the decision leaves them.
        advice: what to do next.
    """

    cause: Cause
    summary: str
    steps: tuple[Step, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Seen:
    """What both samplers keep, and what may be said of it."""

    own: Sequence[float] | None
    reference: Sequence[float] | None
    possible: Sequence[float]
    error: Sequence[float]
    count: int

    def factors(self, kept: Sequence[float]) -> list[float]:
        """By what factor another choice of as many frames may move each share of detail.

        A share is a ratio of powers: its logarithm is spread evenly, the share itself is not, and where it is 27 a
        standard error of 7 does not bring it near 1.
        """
        if self.count < 2:
            return [math.inf] * DETAIL
        wide = float(student.ppf(SURE, self.count - 1))
        found = []
        for share, error in zip(kept[:DETAIL], self.error, strict=False):
            exponent = wide * error / share if share > 0 else (0.0 if error == 0 else math.inf)
            found.append(math.exp(min(exponent, 700.0)))
        return found

    def spoiled(self, kept: Sequence[float] | None, *, sure: bool = False, by: float = DIFFERS) -> tuple[bool, bool]:
        """Whether detail is lost, and whether noise is left, beside what data and steps allow.

        Args:
            kept: of one side.
            sure: whether other frames would have to say the same.
            by: the factor in power that counts.
        """
        if kept is None:
            return True, False
        factors = self.factors(kept) if sure else [1.0] * DETAIL
        rows = list(zip(kept[:DETAIL], [*self.possible, *[1.0] * len(kept)], factors, strict=False))
        loses = any(not share * factor >= min(1.0, most) / by for share, most, factor in rows)
        return loses, any(share / factor > by * max(1.0, most) for share, most, factor in rows)

    def limited(self) -> bool:
        """Whether an octave is off for certain, and in the direction in which a perfect model would be off too."""
        if self.own is None or self.reference is None:
            return False
        factors = [self.factors(kept) for kept in (self.own, self.reference)]
        for n, most in enumerate(self.possible[:DETAIL]):
            shares = [(kept[n], wide[n]) for kept, wide in zip((self.own, self.reference), factors, strict=True)]
            fades = most < FADED and all(share * wide < FADED for share, wide in shares)
            if fades or (most > DIFFERS and all(share / wide > DIFFERS for share, wide in shares)):
                return True
        return False

    def differ(self) -> bool:
        """Whether the two sides' detail differs for a person."""
        if self.own is None or self.reference is None:
            return True
        pairs = zip(self.own[:DETAIL], self.reference[:DETAIL], strict=True)
        return any(not 1 / DIFFERS <= (a / b if b > 0 else math.inf) <= DIFFERS for a, b in pairs)


def answer(
    steps: Sequence[Step],
    stage: Stage,
    names: Sequence[str],
    possible: Sequence[float],
    *,
    equal: str = "",
    configuration: str = "",
    target: str = "",
) -> Answer:
    """Decide.

    Args:
        steps: data, training, sampler and capacity, as each was found alone.
        stage: the checkpoint that the question is about.
        names: of the octaves, the finest first.
        possible: share of each octave that the steps allow; empty where it is not known.
        equal: what is the same in checkpoints that should differ; empty where all differ.
        configuration: that ran, in words.
        target: of the sampler, for advice.
    """
    experiment = stage.experiment
    assert experiment is not None
    seen = _seen(experiment, possible)
    both = f"Your sampler keeps {kept_text(seen.own, names)}; the reference, with the same model, "
    both += f"{kept_text(seen.reference, names)}."
    parts = {step.name: step for step in steps}
    data, training, sampler = steps[:3]
    for step in (data, training):
        if step.state == "at fault":
            told = f"The {_title(step.name)} is at fault: {_sentence(step.headline)} {_clue(step)}{both}"
            after = "then train again: what this training made of the weights, no sampler repairs."
            return _answer(step.name, told, parts, [_mend(step), f"Mend it, {after}"])
    costs = seen.differ() or (experiment.apart or 0.0) > ALIKE
    if sampler.state == "at fault" and (costs or not any(seen.spoiled(seen.reference, sure=True))):
        said = "clamp" in f"{sampler.headline} {sampler.clue}"
        piled = "" if said else _spaced(clamped(experiment))
        told = f"The sampler is at fault: {_sentence(sampler.headline)} {piled}{_clue(sampler)}{both}"
        if not costs:
            told += " In this run it cost no detail."
        check = f"check-sampler {target}" if target else "check-sampler"
        again = f"Run {check} until it conforms; then sample this checkpoint again, which needs no new training."
        after = "With this model the reference spoils detail as well: ask again once the sampler conforms."
        more = [after] if any(seen.spoiled(seen.reference, sure=True)) else []
        return _answer("sampler", told, parts, [_mend(sampler), again, *more])
    if experiment.own.problem is not None and experiment.reference.problem is None:
        told = f"The sampler does not get through: {experiment.own.problem}. The reference, with the same model, does."
        return _answer(
            "sampler", told, parts, ["Look at that line, with this model: the checks run a stand-in for it."]
        )
    deviates = sampler.state == "at fault"
    if deviates:
        parts["sampler"] = dataclasses.replace(
            sampler, state="remark", headline=f"deviates, which costs no detail here: {sampler.headline}"
        )
    if experiment.reference.problem is not None:
        return _no_answers(experiment.reference.problem, parts, experiment)
    sure = [any(seen.spoiled(kept, sure=True)) for kept in (seen.own, seen.reference)]
    if not deviates and seen.differ() and (experiment.same_draws or sure[0] != sure[1]):
        judged = sampler.state == "sound"
        what = "conforms as declared" if judged else f"could not be judged by its checks ({sampler.headline})"
        told = (
            f"Cannot tell yet: the sampler {what}, but with your model it keeps other detail than the reference. "
            f"{_spaced(clamped(experiment))}{both} Does the run that fades use the declared configuration, dtype and "
            "model?"
        )
        if judged:
            headline = f"{sampler.headline}; with your model it does something else"
            parts["sampler"] = dataclasses.replace(sampler, state="cannot tell", headline=headline)
        advice = ["Look at what your function does with config, device and dtype, and with what the model returns."]
        return _answer("unknown", told, parts, advice)
    if equal:
        parts["training"] = dataclasses.replace(training, state="at fault", headline=equal)
        told = f"Training does not reach the model that is sampled: {equal}. {both}"
        return _answer(
            "training",
            told,
            parts,
            ["Compare two checkpoints' weights in the training loop, before and after a step, as they are saved."],
        )
    if not any(sure):
        return _kept(seen, names, parts, both, configuration)
    return _model_or_before(seen, parts, both)


def _seen(experiment: Experiment, possible: Sequence[float]) -> _Seen:
    side = experiment.reference if experiment.reference.sample is not None else experiment.own
    count = 0 if side.sample is None else len(side.sample)
    return _Seen(experiment.kept_own, experiment.kept_reference, possible, experiment.error, count)


def _answer(cause: str, told: str, parts: dict[str, Step], advice: Sequence[str]) -> Answer:
    """With the rows that no decision is about left as they were found, and none that contradicts it."""
    capacity = parts["capacity"]
    if cause != "capacity" and capacity.state == "suspect":
        state = "remark" if cause == "none" else "cannot tell"
        headline = f"{capacity.headline}, which costs no detail here" if cause == "none" else capacity.headline
        parts["capacity"] = dataclasses.replace(capacity, state=state, headline=headline)  # type: ignore[arg-type]
    found: Cause = cause  # type: ignore[assignment]
    return Answer(found, told, tuple(parts.values()), tuple(one for one in advice if one))


def _no_answers(problem: str, parts: dict[str, Step], experiment: Experiment) -> Answer:
    """The reference could not be run to its end on the model."""
    parts["capacity"] = dataclasses.replace(parts["capacity"], state="cannot tell", headline=problem)
    unseen = _unseen(parts)
    told = f"Cannot tell yet: {problem}."
    if not unseen and experiment.own.problem is not None:
        parts["capacity"] = dataclasses.replace(parts["capacity"], state="suspect")
        told = f"The model is at fault: {problem}, and under your sampler as well."
        return _answer(
            "capacity", told, parts, ["Look for NaN in the checkpoint's weights, and at what the model is told there."]
        )
    return _answer("unknown", told, parts, [*_declare(unseen), "A model that answers at every level would tell."])


def _kept(seen: _Seen, names: Sequence[str], parts: dict[str, Step], both: str, configuration: str) -> Answer:
    """No octave is off for certain."""
    limits = seen.possible[:DETAIL]
    even = f"with {configuration} even a perfect model, of Gaussian frames with your frames' spectrum, would keep "
    even += kept_text(limits, names)
    if seen.limited():
        advice = ["Take more steps, or a grid that spends more of them at low noise, and ask again."]
        return _answer("configuration", f"It is the configuration: {even}. {both}", parts, advice)
    failed = [step for step in parts.values() if step.state == "cannot tell" and step.name != "capacity"]
    if failed:
        which = "; ".join(f"{step.name}: {step.headline}" for step in failed)
        return _answer(
            "unknown", f"Cannot tell yet: detail is kept, but not all could be judged ({which}). {both}", parts, []
        )
    sides = (seen.own, seen.reference)
    if any(any(seen.spoiled(kept)) for kept in sides):
        few = f"{seen.count} frames do not say" if seen.count > 1 else "one frame does not say"
        if seen.count < 2 or any(any(seen.spoiled(kept, by=GROSS)) for kept in sides):
            told = f"Cannot tell yet: {few} how far others would be from them. {both}"
            return _answer("unknown", told, parts, ["Give more frames: 16 or more, of different scenes."])
        wide = ", ".join(f"{error:.0%}".replace("%", " %") for error in seen.error[:DETAIL])
        told = f"no octave is off by more than another choice of frames would move it (standard errors {wide})"
    else:
        told = "detail is kept"
    where = " in what was looked at" if _unseen(parts) else ""
    told = f"Nothing found{where}: no check fails, and {told}. {both}"
    plain = dataclasses.replace(seen, possible=())
    off = any(any(plain.spoiled(kept)) for kept in (seen.own, seen.reference))
    if off and any(not FADED <= share <= DIFFERS for share in limits):
        told += f" But {even}: more steps may show more."
    advice = [*_declare(_unseen(parts)), "If your own run does fade: does it use this configuration, model and dtype?"]
    return _answer("none", told, parts, advice)


def _model_or_before(seen: _Seen, parts: dict[str, Step], both: str) -> Answer:
    """Both samplers spoil detail alike: the model, or what made it."""
    capacity = parts["capacity"]
    lose = "lose detail" if seen.spoiled(seen.reference, sure=True)[0] else "leave noise in place of detail"
    unseen = _unseen(parts)
    first = f"Both samplers {lose}"
    if unseen:
        which = " and ".join(f"the {_title(name)}" for name in unseen)
        told = (
            f"Cannot tell yet: look at {which}. {first}, so it is not the sampler but the model, its training or the "
            f"data, of which {'neither was' if len(unseen) > 1 else f'{which} was not'} looked at: declare it. "
        )
        if capacity.state == "suspect":
            told += f"The model alone: {capacity.headline}. "
        return _answer("unknown", told + both, parts, _declare(unseen))
    if capacity.state == "suspect":
        told = f"{first}, and the model is to blame: {capacity.headline}: {capacity.details}. {both}"
    else:
        parts["capacity"] = dataclasses.replace(
            capacity, state="suspect", headline=f"{first.lower()} with it, while {capacity.headline}"
        )
        told = (
            f"{first} although data, training path and sampler are sound: it is the model, too small or trained too "
            f"little ({capacity.headline}). {both}"
        )
    advice = [
        "Train longer first; where the denoising error has stopped falling, try a larger model: capacity_probe() from "
        "sampler_harness.detail.capacity compares two."
    ]
    return _answer("capacity", told, parts, advice)


def _unseen(parts: dict[str, Step]) -> list[str]:
    return [name for name in ("data", "training") if parts[name].state in ("not looked at", "cannot tell")]


def _declare(unseen: Sequence[str]) -> list[str]:
    """How to have looked at what was not."""
    how = {
        "data": "Declare your batches with @data_under_test, and the way from a frame to the model's input with "
        "@preprocess_under_test.",
        "training": "Declare your training step with @training_under_test, with sampler= what you sample with.",
    }
    return [how[name] for name in unseen]


def _title(name: str) -> str:
    return {"training": "training path", "capacity": "model"}.get(name, name)


def _mend(step: Step) -> str:
    """What to try, with the line."""
    where = step.clue.rpartition("Look at ")[2] if "Look at " in step.clue else ""
    tried = f"{step.remedy[:1].upper()}{step.remedy[1:]}" if step.remedy else ""
    where = where.partition(": ")[0]
    if where and tried:
        return f"At {where}: {tried}"
    return f"Look at {where}." if where else tried


def _clue(step: Step) -> str:
    return _spaced(_sentence(step.clue)) if step.clue else ""


def _spaced(text: str) -> str:
    return f"{text} " if text else ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "…", "?")) else f"{text}."
