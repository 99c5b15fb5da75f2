"""How much detail a sampler keeps, in closed form from its law: no sample is drawn, no network is trained.

The data is taken as Gaussian and stationary with power P(f) at spatial frequency f. The perfect denoiser then scales
each frequency by ``P / (P + sigma^2)``, so that a sample is a weighted sum of the sampler's own unit normals, and the
weights follow from the law ``X_k = m_k + (L z)_k + sum_j B_kj D_j`` by substitution.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.checks.evidence import Evidence
from sampler_harness.detail.frame_law import RetentionUnavailable, measured_law
from sampler_harness.detail.spectrum import Array, Spectrum, octaves, radial_spectrum, retained
from sampler_harness.law.law import Law
from sampler_harness.law.tolerance import reference_law
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.subject import Subject

__all__ = [
    "DetailRetention",
    "Retention",
    "RetentionUnavailable",
    "beside_reference",
    "detail_retention",
    "measured_law",
    "power_law",
    "retention",
    "shared_power",
    "usual_configuration",
]

#: Steps of the run that is looked at where none is given: what people use, where the declaration reaches it.
USUAL_STEPS = 50


@dataclass(frozen=True, eq=False)
class Retention:
    """How much power a sampler's samples have, per spatial frequency.

    Attributes:
        frequency: ``(R,)`` cycles per pixel.
        kept: ``(R,)`` the samples' power over the data's: 1 is all of it, below it detail fades, above it there is
            power that the data has not. Power does not tell detail from grain: noise that a mismatched model leaves
            behind counts like detail. :func:`shared_power` knows fresh noise by being unrelated; where what is left
            is of the very noise that the detail was made of, a linear model cannot tell the two apart.
        octaves: the same per octave, the finest first.
        names: of the octaves, the wavelengths in pixels.
        weights: ``(R, C)`` how much of each unit normal, in the order in which they enter, is in a sample; data units.
    """

    frequency: Array
    kept: Array
    octaves: tuple[float, ...]
    names: tuple[str, ...]
    weights: Array


@dataclass(frozen=True, eq=False)
class DetailRetention:
    """A sampler's detail beside its reference's, in one configuration.

    Attributes:
        config: what was measured.
        own: the sampler's.
        reference: the reference's, on the same data.
        change_db: what the sampler has more of each octave's power than its reference, decibels, the finest first:
            negative where detail fades.
        shared: per octave, the share of the sampler's power that the reference would have made of the same unit
            normals; the rest is grain, or detail that is not the data's. With equal laws it is 1; a sampler that
            draws its later noise otherwise is below 1 without being wrong.
    """

    config: Any
    own: Retention
    reference: Retention
    change_db: tuple[float, ...]
    shared: tuple[float, ...]


def decibels(ratio: float) -> float:
    """A ratio of powers in decibels; of nothing it is minus infinity."""
    return 10.0 * float(np.log10(ratio)) if ratio > 0.0 else -float("inf")


def power_law(height: int, width: int, exponent: float = 2.0, *, std: float = 0.5) -> Spectrum:
    """The spectrum of natural frames: power falls as frequency to the minus ``exponent``.

    Source: Field 1987, "Relations between the statistics of natural images and the response properties of cortical
    cells": amplitude falls as 1/f.

    Args:
        height: pixels, >= 2.
        width: pixels, >= 2.
        exponent: 2 for natural frames, 0 for white ones.
        std: of a pixel about the frame's mean gray, data units, > 0.

    Raises:
        ValueError: when a frame is too small, or the std not above 0.
    """
    if not 0.0 < std < float("inf"):
        raise ValueError(f"std is {std!r}, should be above 0, in data units")
    rings = radial_spectrum(np.zeros((1, 1, height, width)), window=False)
    falling = rings.frequency**-exponent
    share = float((rings.count * falling).sum()) / (height * width)
    return Spectrum(rings.frequency, falling * std**2 / share, rings.count, 1)


def retention(law: Law, spectrum: Spectrum, config: Any) -> Retention:
    """What a sampler with this law makes of data with this spectrum and the perfect network for it.

    The network is told what the sampler tells it: at a wrong noise level it is the perfect one of that level, on the
    actual input, as a trained network would be. Constants that the law adds change the mean gray, which is no detail.

    Args:
        law: of a sampler, measured or a reference's.
        spectrum: of the data.
        config: the reference's configuration, which says what the network is told and gives.

    Returns:
        Exact up to rounding, for data that is Gaussian and stationary.

    Raises:
        RetentionUnavailable: when the configuration has no perfect network, or there is none at a time that is told.
        ValueError: when the spectrum has a frequency without power.
    """
    lacking = np.flatnonzero(~(spectrum.power > 0.0))
    if lacking.size:
        frequency = float(spectrum.frequency[lacking[0]])
        raise ValueError(
            f"the data has no power at {frequency:.3g} cycles per pixel: no share of nothing can be kept; leave such "
            "frequencies out, or take the spectrum of frames with fine detail"
        )
    gains = _network_gains(law, spectrum.power, config)
    weights = _sample_weights(law, gains) @ law.factor
    kept = (weights**2).sum(axis=1) / spectrum.power
    samples = Spectrum(spectrum.frequency, kept * spectrum.power, spectrum.count, spectrum.frames)
    return Retention(
        frequency=spectrum.frequency,
        kept=kept,
        octaves=retained(samples, spectrum),
        names=tuple(octave.name for octave in octaves(spectrum)),
        weights=weights,
    )


def _check_closed_form(config: Any) -> None:
    """That the configuration has a perfect network that is linear.

    Raises:
        RetentionUnavailable: says why not, and what to look at instead.
    """
    if config.is_clipped:
        raise RetentionUnavailable(
            f"{type(config).__name__} clamps x0 here, which mixes frequencies: there is no closed form; look at the "
            "configuration without clip_denoised and threshold"
        )
    if not config.has_network:
        raise RetentionUnavailable(f"{type(config).__name__} has no perfect network: its model's outputs are unknown")
    if config.learns_variance_freely:
        raise RetentionUnavailable(
            "the model decides the variance freely: what it would say is not known in closed form; look at the "
            "configuration with variance='fixed_small'"
        )


def _network_gains(law: Law, power: Array, config: Any) -> Array:
    """``(K, R)`` what the perfect network multiplies each frequency of its input by, at each call.

    Raises:
        RetentionUnavailable: as :func:`retention` says.
    """
    _check_closed_form(config)

    def denoise(x: Any, sigma: float) -> Any:
        return x * (power / (power + float(sigma) ** 2))

    network = config.network(denoise)
    known: dict[float, Array] = {}
    for call, time in enumerate(law.times.tolist()):
        if time in known:
            continue
        if not np.isfinite(time) or not config.is_trained_at(time):
            raise RetentionUnavailable(f"model call {call} is told time {time:g}, at which no model was trained")
        with np.errstate(all="ignore"):
            try:
                answer = network(np.ones((1, power.size)), time)
            except (ArithmeticError, LookupError, ValueError) as error:
                raise RetentionUnavailable(
                    f"model call {call} is told time {time:g}, at which {type(config).__name__}'s model says nothing: "
                    f"{error}"
                ) from error
        gain = np.asarray(answer[0] if isinstance(answer, tuple) else answer, dtype=np.float64)[0]
        if not np.isfinite(gain).all():
            raise RetentionUnavailable(
                f"model call {call} is told time {time:g}, at which the perfect model's output is not finite: there is "
                "no noise, or nothing but noise, at that time"
            )
        known[time] = gain
    return np.stack([known[time] for time in law.times.tolist()])


def _sample_weights(law: Law, gains: Array) -> Array:
    """``(R, K + 1)`` how much of each row's own noise arrives in the sample, with the model's answers in between.

    From the sample backwards: a row matters through every later row that weighs the output it led to. Only the sample
    is asked for, which costs K^2 a frequency; forwards through all rows it would be K^3.
    """
    calls = law.num_calls
    weights = np.zeros((gains.shape[1], calls + 1))
    weights[:, calls] = 1.0
    for j in range(calls - 1, -1, -1):
        weights[:, j] = gains[j] * (weights[:, j + 1 :] @ law.outputs[j + 1 :, j])
    return weights


def shared_power(own: Retention, other: Retention) -> Array:
    """``(R,)`` the share of one sampler's power that the other would have made of the same unit normals.

    The squared correlation of the two samples, when the c-th fresh noise of one is the c-th of the other. Between 0
    (what it adds is unrelated: grain) and 1 (the same detail, however faded or exaggerated).

    Args:
        own: whose power is shared out.
        other: on the same spectrum.
    """
    columns = min(own.weights.shape[1], other.weights.shape[1])
    common = (own.weights[:, :columns] * other.weights[:, :columns]).sum(axis=1)
    powers = (own.weights**2).sum(axis=1) * (other.weights**2).sum(axis=1)
    shares: Array = np.divide(common**2, powers, out=np.zeros_like(powers), where=powers > 0.0)
    return shares


def _by_octave(shares: Array, powers: Array, spectrum: Spectrum) -> tuple[float, ...]:
    """Shares of powers, per octave."""
    whole, part = (
        octaves(Spectrum(spectrum.frequency, values, spectrum.count, spectrum.frames))
        for values in (powers, shares * powers)
    )
    return tuple(p.power / w.power if w.power > 0.0 else 0.0 for p, w in zip(part, whole, strict=True))


def usual_configuration(subject: Subject) -> Any:
    """The configuration that is looked at where none is given: up to 50 steps, no clamp, all else as first declared.

    Args:
        subject: the declaration.

    Raises:
        RetentionUnavailable: when the declaration allows no configuration without a clamp.
    """
    covering = Evidence(subject, budget="standard").covering
    values = covering.values
    plain: dict[str, Any] = {"clip_denoised": False, "threshold": None}
    wanted = {name: value for name, value in plain.items() if value in values.get(name, ())}
    steps = [n for n in values.get("num_steps", ()) if isinstance(n, int) and n <= USUAL_STEPS]
    if steps:
        wanted["num_steps"] = USUAL_STEPS if max(values["num_steps"]) >= USUAL_STEPS else max(steps)
    try:
        config = dataclasses.replace(covering.base, **wanted)
    except ValueError:
        config = covering.base
    if config.is_clipped:
        raise RetentionUnavailable(
            f"{subject.name} is declared with a clamp alone, which mixes frequencies: there is no closed form"
        )
    return config


def detail_retention(
    subject: Subject,
    spectrum: Spectrum,
    *,
    config: Any = None,
    device: str = "cpu",
    fixtures: Mapping[str, Any] | None = None,
) -> DetailRetention:
    """How much detail a sampler keeps beside its reference, from its measured law.

    Args:
        subject: what ``@sampler_under_test`` made.
        spectrum: of the data.
        config: an instance of the reference's dataclass; None for :func:`usual_configuration`.
        device: any torch device.
        fixtures: values for the sampler's further keyword-only arguments.

    Returns:
        Both curves; with a learned variance both have the variances of the harness's stand-in model.

    Raises:
        RetentionUnavailable: when the sampler cannot be run, is not affine, has noise that is not white, or a
            configuration without closed form.
        ValueError: when the spectrum has a frequency without power.
    """
    chosen = usual_configuration(subject) if config is None else config
    _check_closed_form(chosen)  # before the sampler is found not to be affine, for the same reason
    return beside_reference(measured_law(subject, chosen, device=device, fixtures=fixtures), spectrum, chosen)


def beside_reference(law: Law, spectrum: Spectrum, config: Any) -> DetailRetention:
    """The detail that a measured law keeps beside that of its reference.

    Args:
        law: of the sampler, from :func:`measured_law`.
        spectrum: of the data.
        config: what it was measured in.

    Raises:
        RetentionUnavailable: as :func:`retention`.
        ValueError: when the spectrum has a frequency without power.
    """
    reference = retention(reference_law(config, learned_variance(config)), spectrum, config)
    own = retention(law, spectrum, config)
    return DetailRetention(
        config=config,
        own=own,
        reference=reference,
        change_db=tuple(decibels(a / b) for a, b in zip(own.octaves, reference.octaves, strict=True)),
        shared=_by_octave(shared_power(own, reference), own.kept * spectrum.power, spectrum),
    )
