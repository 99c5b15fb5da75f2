"""The schedulers of diffusers as subjects: ``diffusers:DDIMScheduler``, or all that are decided, ``diffusers:all``.

One loop (``set_timesteps``, ``scale_model_input``, ``step``) runs any of them. Twenty-five have a reference, built from
the scheduler's own options; every option that changes numbers is mapped to a field of it or refused by name. Where a
scheduler is known to differ from its paper stands in :data:`KNOWN_DEVIATIONS` and in ``FINDINGS.md``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from sampler_harness.pinned import Expected
from sampler_harness.subject import DeclarationError, Subject

from .diffusers_defaults import left_out
from .diffusers_deviations import KNOWN_DEVIATIONS, KnownDeviation
from .diffusers_loop import SchedulerLoop
from .diffusers_options import accepts, fields_from, names, parsed_settings, scheduler_class
from .diffusers_undecided import undecided, why_undecided
from .diffusers_varied import REFERENCED
from .narrowed import NothingLegal, narrowed, of_length

__all__ = ["ALL", "names", "remarks", "subject", "subjects", "unclaimed"]

#: In place of a scheduler's name.
ALL = "all"

_CHAINS = (
    "DDPMScheduler", "DDIMScheduler", "DDPMParallelScheduler", "DDIMParallelScheduler", "CogVideoXDDIMScheduler",
)  # fmt: skip
#: Options that a scheduler documents and does not read (FINDINGS).
_UNREAD = {
    "LCMScheduler": ("set_alpha_to_one", "steps_offset", "timestep_spacing"),
    "TCDScheduler": (
        "set_alpha_to_one", "steps_offset", "timestep_spacing", "timestep_scaling", "clip_sample", "clip_sample_range",
        "thresholding", "dynamic_thresholding_ratio", "sample_max_value",
    ),
    "CogVideoXDDIMScheduler": (
        "eta", "use_clipped_model_output", "clip_sample", "clip_sample_range", "sample_max_value",
    ),
    "FlowMatchEulerDiscreteScheduler": ("s_churn", "s_tmin", "s_tmax", "s_noise"),
    "LTXEulerAncestralRFScheduler": ("mu",),
}  # fmt: skip
#: Schedulers that have no forward process.
_NO_FORWARD = (
    "LTXEulerAncestralRFScheduler", "SCMScheduler", "DDIMInverseScheduler", "ScoreSdeVeScheduler",
)  # fmt: skip
#: Schedulers that draw in float32 whatever x is, and return that; or calculate in it.
_SINGLE_ONLY = ("SCMScheduler", "ScoreSdeVeScheduler")
#: Fields that make a table of betas.
_FORMULA = ("beta_schedule", "beta_start", "beta_end")
_IMAGES = ((2, 3, 16, 16), (1, 1, 1, 1), (2, 1, 7, 5), (3, 4, 8, 2), (2, 3, 11), (2, 2, 3, 4, 5), (2, 17, 3, 3))


def subject(name: str, settings: Mapping[str, Any] | None = None) -> Subject:
    """A scheduler of diffusers as a subject.

    Where the settings ask for a corner of :data:`KNOWN_DEVIATIONS`, its subject comes, with what is expected to fail.

    Args:
        name: the class, as ``DDIMScheduler``; ``DDIMScheduler[NAME]`` asks for a known deviation by its name.
        settings: options of the constructor, of ``set_timesteps`` or of ``step``, as ``--set key=value`` gives them;
            ``known=NAME`` is another way to ask for a known deviation.

    Raises:
        DeclarationError: for an unknown scheduler, an unknown option, a value of the wrong kind, or an option that
            has no reference.
        ModuleNotFoundError: where diffusers is not installed.
    """
    given = dict(settings or {})
    name, wanted = _split_known(name, given)
    scheduler_class(name)
    options = parsed_settings(name, given)
    mine = [d for d in KNOWN_DEVIATIONS if d.stands_in(name)]
    asked = [d for d in mine if (d.name == wanted if wanted is not None else d.is_asked_for(options))]
    if asked:
        return _deviating(max(asked, key=lambda d: len(d.settings)), name, options)
    if wanted is not None:
        known = ", ".join(d.name for d in mine) or "none"
        raise DeclarationError(f"{name} has no known deviation {wanted!r}; it has {known}")
    if name not in REFERENCED:
        return _unreferenced(name, options)
    reference, strategies = REFERENCED[name]()
    fields = {**strategies, **_asked(name, reference, options)}
    if "num_inference_steps" in options:  # a grid by hand would take its place
        fields = {n: None if n in ("timesteps", "sigmas") and n not in options else v for n, v in fields.items()}
    return _narrowed_subject(name, reference, _with_tables_of(fields, options), options, options)


def _without_field(name: str, reference: type[Any], unknown: list[str], options: Mapping[str, Any]) -> DeclarationError:
    """Names the options that were given, and the fields that they would be and the reference lacks."""
    given = ", ".join(f"{option}={value}" for option, value in options.items())
    what = f"{', '.join(unknown)} cannot be set: {reference.__name__} has no such field"
    return DeclarationError(f"{name} with {given}: {what}" if given else f"{name}: {what}")


def _narrowed_subject(
    name: str, reference: type[Any], fields: Mapping[str, Any], options: Mapping[str, Any], asked: Mapping[str, Any]
) -> Subject:
    """A subject of the values that go with what is asked for; all of them where nothing is.

    Raises:
        DeclarationError: names a field that the reference lacks.
        NothingLegal: where what is asked for goes with nothing.
    """
    known = {f.name for f in dataclasses.fields(reference)}
    unknown = [key for key in fields if key not in known]
    if unknown:
        raise _without_field(name, reference, unknown, options)
    try:
        legal = narrowed(reference, fields) if asked else fields
    except NothingLegal as error:
        told = ", ".join(f"{option}={value}" for option, value in asked.items())
        raise NothingLegal(f"{name} with {told}: {_in_its_words(str(error), name, asked)}") from error
    return _subject(name, reference, legal, options)


def _in_its_words(text: str, name: str, asked: Mapping[str, Any]) -> str:
    """What a reference refuses, with its fields called what was typed, where an option's value is the field's own."""
    for option, value in asked.items():
        for field, own in fields_from(name, {option: value}).items():
            if own == value and field != option:
                text = re.sub(rf"\b{field}\b", option, text)
    return text


def _asked(name: str, reference: type[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that options fix; an option that the scheduler does not read may be what it is anyway, and no other.

    Raises:
        DeclarationError: names an option that changes nothing, or has no field.
    """
    known = {f.name for f in dataclasses.fields(reference)}
    for option, value in options.items():
        if option in _UNREAD.get(name, ()) and value is not None and not left_out(name, option, value):
            raise DeclarationError(f"{name}: {option}={value} changes nothing: the scheduler does not read it")
    fixed = fields_from(name, options)
    left = {
        option: fields_from(name, {option: value}) for option, value in options.items() if left_out(name, option, value)
    }
    unread = _UNREAD.get(name, ())
    idle = {field for option, one in left.items() for field in one if option in unread or field not in known}
    derived = {f.name for f in dataclasses.fields(reference) if not f.init}
    found = {field: value for field, value in fixed.items() if field not in idle | derived}
    unknown = [field for field in found if field not in known and field != "variance_as_logarithm"]
    if unknown:
        raise _without_field(name, reference, unknown, options)
    return found


def _with_tables_of(fields: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with tables by hand that are as long as is asked for: the scheduler would visit what is not there.

    A table that is asked for leaves no formula of one to vary.
    """
    if "trained_betas" in options:
        return {n: v for n, v in fields.items() if n not in _FORMULA or n in options}
    if "num_train_timesteps" not in options or "betas" not in fields:
        return dict(fields)
    return {**fields, "betas": of_length(fields["betas"], options["num_train_timesteps"])}


def _split_known(name: str, given: dict[str, Any]) -> tuple[str, str | None]:
    """The scheduler's class, and the known deviation that is asked for; taken out of the settings."""
    wanted = given.pop("known", None)
    bare, bracket, rest = name.partition("[")
    return (bare, rest.removesuffix("]")) if bracket else (bare, wanted)


def subjects(name: str, settings: Mapping[str, Any] | None = None) -> list[Subject]:
    """The scheduler's subject, and one for each known deviation that the settings leave open.

    Args:
        name: the class, as ``DDIMScheduler``; ``all`` for each scheduler that has a reference.
        settings: as for :func:`subject`.

    Raises:
        DeclarationError: as for :func:`subject`; for settings of all, which share none.
    """
    if name == ALL:
        if settings:
            given = ", ".join(f"{key}={value}" for key, value in settings.items())
            raise DeclarationError(f"--set {given} is for one scheduler; of all, each has options of its own")
        found = [one for scheduler in REFERENCED for one in subjects(scheduler)]
        # Each under its own name: a verdict on all of them is one on none.
        return [one if one.target else dataclasses.replace(one, target=f"diffusers:{one.name}") for one in found]
    first = subject(name, settings)
    if first.deviations or first.expected_failures:
        return [first]
    options = parsed_settings(name, dict(settings or {}))
    found = [first]
    for deviation in KNOWN_DEVIATIONS:
        if deviation.stands_in(name) and deviation.leaves_room(options):
            with contextlib.suppress(NothingLegal):  # no configuration of that corner has these options
                found.append(_deviating(deviation, name, options))
    return found


def unclaimed(name: str, settings: Mapping[str, Any] | None = None) -> tuple[Subject, str]:
    """A scheduler as it runs, decided or not, with no claim of what it is.

    Args:
        name: the class.
        settings: options of the constructor, of ``set_timesteps`` or of ``step``, mapped to a field or not.

    Raises:
        DeclarationError: for an unknown scheduler or option.
        ModuleNotFoundError: where diffusers is not installed.
    """
    return _unreferenced(name, parsed_settings(name, dict(settings or {}))), ""


def remarks(name: str) -> tuple[str, ...]:
    """What is to be known of a target beside its verdicts: which schedulers are not decided, and why.

    Args:
        name: the class, or ``all``.
    """
    if name == ALL:
        return undecided()
    is_decided = _split_known(name, {})[0] in REFERENCED
    return () if is_decided else (f"diffusers:{name} has no reference: {why_undecided(name)}",)


def _paper_of(cornered: Any) -> type[Any]:
    """The reference that a scheduler's own is made of, in which no corner is refused."""
    found: type[Any] = next(kind for kind in cornered.__mro__ if kind.__module__.startswith("reference_samplers"))
    return found


def _deviating(deviation: KnownDeviation, name: str, options: Mapping[str, Any]) -> Subject:
    """The corner itself, held against what the release does there, so that nothing but the known deviation passes."""
    from hypothesis import strategies as st

    from .diffusers_released import PAPERS, RELEASED, RELEASED_COPIES

    cornered, _ = REFERENCED[name]()
    paper = PAPERS.get(deviation.name) or _paper_of(cornered)
    varied = {field: values for field, values in deviation.varied.items() if field not in options}
    asked = {**{option: v for option, v in deviation.settings.items() if option not in varied}, **options}
    fields: dict[str, Any] = {"num_steps": st.sampled_from(deviation.steps)} if deviation.steps else {}
    fields |= {field: st.sampled_from(values) for field, values in varied.items()}
    fields |= dict(deviation.fields) | fields_from(name, asked)
    fields.pop("variance_as_logarithm", None)
    fields = _with_tables_of(fields, options)
    released = RELEASED_COPIES.get((deviation.name, name), RELEASED.get(deviation.name))
    made = _narrowed_subject(name, released or paper, fields, {**deviation.pinned, **asked}, options)
    because = f"{deviation.reason} (FINDINGS.md, {deviation.name})"
    has_law, loop = released is not None, SchedulerLoop(name, {**deviation.pinned, **asked})
    return dataclasses.replace(
        made,
        name=f"{name}[{deviation.name}]",
        target=f"diffusers:{name}[{deviation.name}]",
        paper=paper if released is not None else None,
        deviations={deviation.name: because} if released is not None else {},
        expected_failures={check: Expected(because, shows=shows) for check, shows in deviation.shows.items()},
        velocity=loop.velocity if deviation.has_velocity or (has_law and name in _CHAINS) else None,
        forward=made.forward if has_law else None,
        partial=made.partial if has_law else None,
        dtypes=("float32",),
    )


def _subject(name: str, reference: type[Any], fields: Mapping[str, Any], options: Mapping[str, Any]) -> Subject:
    loop = SchedulerLoop(name, {k: v for k, v in options.items() if k != "num_inference_steps"})
    is_chain = name in _CHAINS
    # Where it is varied, a model with a second output stands ready, of which the loop takes what a configuration has.
    variance = fields.get("variance", "fixed_small")
    learned = not isinstance(variance, str) or variance in ("learned_range", "learned")
    return Subject(
        function=loop,
        reference=reference,
        fields=dict(fields),
        name=name,
        shapes=_IMAGES if is_chain else None,
        dtypes=("float32",) if name in _SINGLE_ONLY else ("float32", "float16", "bfloat16"),
        takes_generator=True,
        model_channels=2 if learned else 1,
        forward=loop.forward if name not in _NO_FORWARD else None,
        velocity=loop.velocity if is_chain else None,
        partial=loop.partial,
    )


def _unreferenced(name: str, options: Mapping[str, Any]) -> Subject:
    from hypothesis import strategies as st

    from .no_reference import NoReference

    loop = SchedulerLoop(name, {k: v for k, v in options.items() if k != "num_inference_steps"})
    steps = options.get("num_inference_steps", st.integers(2, 50))
    return Subject(
        function=loop,
        reference=NoReference,
        fields={"num_steps": steps},
        name=name,
        shapes=_IMAGES,
        takes_generator="generator" in accepts(name, "step"),
    )
