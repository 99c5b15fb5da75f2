"""``python -m scripts.detail_ranking``: closed form against drawn samples, and faults by the detail that they cost."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fixtures.faulty_samplers import FAULTY
from reference_samplers import DDIM, DDPM, EDM
from sampler_harness.checks.evidence import expected_calls
from sampler_harness.detail.retention import (
    DetailRetention,
    RetentionUnavailable,
    beside_reference,
    measured_law,
    power_law,
    retention,
    usual_configuration,
)
from sampler_harness.detail.spectrum import Array, Spectrum, radial_frequency, radial_spectrum
from sampler_harness.judging import short
from sampler_harness.law.tolerance import reference_law
from sampler_harness.observe.probes import RunStopped
from sampler_harness.observe.tape import NoiseTap
from sampler_harness.subject import Subject
from sampler_harness.targets import load_subject

__all__ = ["AGREEMENT", "Agreement", "agreement", "game_spectrum", "kind_of", "main", "ranked"]

SOUND = "fixtures.torch_samplers.under_test"
FAULTS = "fixtures.faulty_samplers"
#: Samplers whose samples are drawn: right ones, and faulty ones of the same kind.
AGREEMENT: tuple[tuple[str, Any], ...] = (
    (f"{SOUND}:edm", EDM(num_steps=18)),
    (f"{SOUND}:edm", EDM(num_steps=18, sigma_max=5.0, solver="euler", s_churn=4.0)),
    (f"{FAULTS}.edm:initial_noise_unscaled", EDM(num_steps=18, sigma_max=5.0, solver="euler")),
    (f"{FAULTS}.edm:denoiser_at_sigma_after_churn", EDM(num_steps=18, sigma_max=5.0, solver="euler", s_churn=4.0)),
    (f"{FAULTS}.edm:s_noise_forgotten", EDM(num_steps=18, sigma_max=5.0, solver="euler", s_churn=4.0, s_noise=1.1)),
    (f"{SOUND}:ddpm", DDPM(num_steps=40)),
    (f"{FAULTS}.ddpm:variance_for_std", DDPM(num_steps=40)),
    (f"{FAULTS}.ddpm:late_noise_too_strong", DDPM(num_steps=40)),
    (f"{FAULTS}.ddpm:one_timestep_back_on_strided_grid", DDPM(num_steps=40)),
    (f"{SOUND}:ddim", DDIM(num_steps=40)),
    (f"{SOUND}:ddim", DDIM(num_steps=40, eta=0.6)),
    (f"{FAULTS}.ddim:shifted_table", DDIM(num_steps=40)),
    (f"{FAULTS}.ddim:trajectory_misses_final_image", DDIM(num_steps=10)),
)
#: 1.2 % of an octave's power: nobody sees it.
VISIBLE_DB = 0.05
#: Power that has grown, and of which less than this is the reference's own detail, is grain.
GRAIN_SHARE = 0.95
#: Mean power of a coefficient, data units squared, at radial frequencies, cycles per pixel: the geometric mean over
#: 100 frames each of Ms. Pac-Man, Space Invaders, Up 'n Down and Road Runner, 84 x 84 gray in [-1, 1], Hann's window.
GAME_POWER = (
    (0.0144, 3.37),
    (0.0257, 2.39),
    (0.0362, 1.22),
    (0.0612, 0.753),
    (0.0841, 0.389),
    (0.1432, 0.207),
    (0.1905, 0.0653),
    (0.2499, 0.0264),
    (0.3337, 0.0124),
    (0.4291, 0.00537),
    (0.5002, 0.00272),
    (0.6072, 0.000501),
    (0.7004, 0.00017),
)


def game_spectrum(height: int = 84, width: int = 84) -> Spectrum:
    """The spectrum of old video games: flatter than nature's at scales of a sprite, steeper below."""
    rings = power_law(height, width)
    frequency, power = np.log(np.array(GAME_POWER)).T
    return dataclasses.replace(rings, power=np.exp(np.interp(np.log(rings.frequency), frequency, power)))


# The closed form against drawn samples


@dataclass(frozen=True, eq=False)
class Agreement:
    """Samples of one sampler beside the closed form.

    Attributes:
        name: of the sampler.
        config: what was drawn.
        closed: ``(R,)`` share of the data's power, by the closed form.
        drawn: ``(R,)`` the same of the samples.
        error: ``(R,)`` standard error of the latter.
        reference: ``(R,)`` the reference's closed form.
    """

    name: str
    config: Any
    closed: Array
    drawn: Array
    error: Array
    reference: Array

    @property
    def z(self) -> Array:
        """``(R,)`` how many standard errors the samples are off the closed form."""
        deviations: Array = (self.drawn - self.closed) / self.error
        return deviations

    @property
    def refutes_reference_at(self) -> float:
        """Standard errors between the samples and the reference's curve, at the ring where they are most."""
        return float(np.abs((self.drawn - self.reference) / self.error).max())


def agreement(number: int, *, samples: int, size: int, batch: int = 2500) -> Agreement:
    """Draw samples of one of :data:`AGREEMENT` with the perfect denoiser of a known spectrum, and compare.

    A ring of n coefficients holds n independent real numbers of each sample (the coefficients of a real frame come in
    conjugate pairs), so that the relative standard error of its mean power is sqrt(2 / (n samples)).

    Args:
        number: index in the list; also decides the stream of the noise.
        samples: how many.
        size: height and width of a frame, pixels.
        batch: how many go through the sampler at once.
    """
    target, config = AGREEMENT[number]
    subject = load_subject(target)
    assert isinstance(subject, Subject)
    spectrum = power_law(size, size)
    power = np.zeros(spectrum.power.shape)
    for start in range(0, samples, batch):
        count = min(batch, samples - start)
        drawn = _drawn(subject, config, spectrum, (count, 1, size, size), seed=(number, start))
        power += count / samples * radial_spectrum(drawn, window=False).power
    closed = retention(measured_law(subject, config), spectrum, config).kept
    return Agreement(
        name=subject.name,
        config=config,
        closed=closed,
        drawn=power / spectrum.power,
        error=closed * np.sqrt(2.0 / (spectrum.count * samples)),
        reference=retention(reference_law(config), spectrum, config).kept,
    )


def _drawn(
    subject: Subject, config: Any, spectrum: Spectrum, shape: tuple[int, ...], seed: tuple[int, int]
) -> torch.Tensor:
    """Samples of the torch sampler itself, its noise from a fixed float64 stream."""
    rings = np.rint(radial_frequency(shape[2], shape[3]) * max(shape[2:])).astype(int)
    of_ring = np.searchsorted(np.unique(rings[rings > 0]), rings)
    power = np.where(rings > 0, spectrum.power[of_ring], 1.0)  # the mean gray needs some; no ring holds it

    def denoise(x: Any, sigma: float) -> Any:
        return np.fft.ifft2(np.fft.fft2(x) * (power / (power + float(sigma) ** 2))).real

    network = config.network(denoise)
    calls = [0]

    def model(x: torch.Tensor, time: Any) -> torch.Tensor:
        calls[0] += 1
        told = float(torch.as_tensor(time).reshape(-1)[0])
        return torch.from_numpy(np.asarray(network(x.double().numpy(), told))).to(x.dtype)

    def draw(index: int, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.from_numpy(np.random.Generator(np.random.PCG64([*seed, index])).standard_normal(shape))

    generator = {"generator": torch.Generator()} if subject.takes_generator else {}
    with NoiseTap(draw, lambda: calls[0], 4 * expected_calls(config) + 64, RunStopped):
        samples = subject.function(model, shape, config, device=torch.device("cpu"), dtype=torch.float32, **generator)
    assert isinstance(samples, torch.Tensor)
    return samples


# Faults by the detail that they cost


@dataclass(frozen=True, eq=False)
class Ranked:
    """A faulty sampler and what it does to detail.

    Attributes:
        name: of the fault.
        found: for each spectrum, in the configuration where its finest octave changes most; empty where there is none.
        why_not: why there is no closed form, where there is none.
    """

    name: str
    found: tuple[DetailRetention, ...]
    why_not: str = ""

    @property
    def change_db(self) -> float:
        """Of the finest octave, on the first spectrum."""
        return self.found[0].change_db[0]


def ranked(spectra: Sequence[Spectrum]) -> list[Ranked]:
    """Every faulty sampler, the one that costs most of the finest octave of the first spectrum first."""
    rows = [_ranked(fault.name, fault.subject_path, spectra) for fault in FAULTY]
    return sorted(rows, key=lambda row: (not row.found, row.change_db if row.found else 0.0, row.name))


def _ranked(name: str, target: str, spectra: Sequence[Spectrum]) -> Ranked:
    subject = load_subject(target)
    assert isinstance(subject, Subject)
    found: list[tuple[DetailRetention, ...]] = []
    why_not = ""
    try:
        for config in _configurations(subject):
            law = measured_law(subject, config)
            found.append(tuple(beside_reference(law, spectrum, config) for spectrum in spectra))
    except RetentionUnavailable as unavailable:
        why_not = why_not or str(unavailable)
    if not found:
        return Ranked(name, (), why_not)
    return Ranked(name, tuple(max(some, key=lambda one: abs(one.change_db[0])) for some in zip(*found, strict=True)))


def _configurations(subject: Subject) -> Iterator[Any]:
    """The usual one, and one each with another value of a declared option: many faults live in one option alone."""
    from sampler_harness.checks.evidence import Evidence

    usual = usual_configuration(subject)
    yield usual
    for name, values in Evidence(subject, budget="standard").covering.values.items():
        for value in values:
            if name == "num_steps" and (value is None or value < 5 or value > 50):
                continue
            try:
                config = dataclasses.replace(usual, **{name: value})
            except ValueError:
                continue
            if config != usual and not getattr(config, "is_clipped", False):
                yield config


# What is printed


def _decibels(values: Sequence[float]) -> str:
    return " ".join(f"{value:+8.2f}" if math.isfinite(value) and abs(value) < 999 else "    none" for value in values)


def kind_of(one: DetailRetention) -> str:
    """What happens to detail, in a word or two."""
    finest = one.change_db[0]
    if max(abs(change) for change in one.change_db) < VISIBLE_DB:
        return "as before"
    if abs(finest) < VISIBLE_DB:
        return "coarse only"
    if finest < 0.0:
        return "fades"
    return "grain" if one.shared[0] < GRAIN_SHARE else "exaggerates"


def print_agreement(samples: int, size: int) -> float:
    """The closed form beside drawn samples; returns the largest |z|."""
    sys.stdout.write(
        f"Closed form against {samples:,} drawn samples of {size} x {size}, natural 1/f^2 spectrum, per ring of "
        "frequency\n"
    )
    worst = 0.0
    for number in range(len(AGREEMENT)):
        one = agreement(number, samples=samples, size=size)
        worst = max(worst, float(np.abs(one.z).max()))
        pairs = "  ".join(f"{c:.4f}/{d:.4f}" for c, d in zip(one.closed, one.drawn, strict=True))
        sys.stdout.write(
            f"{one.name:34} {short(one.config)}\n    kept, closed/drawn: {pairs}\n"
            f"    largest |z| {np.abs(one.z).max():.2f}, root mean square z {np.sqrt((one.z**2).mean()):.2f}, "
            f"standard error {one.error.min():.2e} to {one.error.max():.2e}, "
            f"from the reference's curve {one.refutes_reference_at:.1f} standard errors\n"
        )
    sys.stdout.write(f"largest |z| of all: {worst:.2f}\n\n")
    return worst


def print_ranking() -> None:
    """Faults by the detail that they cost."""
    spectra = {"natural 1/f^2": power_law(84, 84), "video games": game_spectrum()}
    rows = ranked(tuple(spectra.values()))
    names = next(row.found[0].own.names for row in rows if row.found)
    sys.stdout.write(
        "Change of each octave's power against the reference, dB, the finest first; of a declaration's configurations\n"
        "the one that changes most. Shared: of the finest octave's power what the reference would have made of the\n"
        "same noise; the rest is grain, or detail of other draws.\n"
        f"84 x 84, octaves {', '.join(names)}\n"
    )
    for number, name in enumerate(spectra):
        sys.stdout.write(f"\n{name}\n")
        order = [row for row in rows if row.found]
        for row in sorted(order, key=lambda row: row.found[number].change_db[0]):
            one = row.found[number]
            sys.stdout.write(
                f"{row.name:44} {kind_of(one):11} {_decibels(one.change_db)}  shared {one.shared[0]:5.3f}  "
                f"{_shortened(one.config)}\n"
            )
    sys.stdout.write("\nno closed form\n")
    for row in rows:
        if not row.found:
            sys.stdout.write(f"{row.name:44} {row.why_not}\n")


def _shortened(config: Any) -> str:
    text = short(config)
    return text if len(text) <= 90 else text[:87] + "..."


def main() -> int:
    """Print both; the exit status tells whether samples and closed form disagree."""
    worst = print_agreement(samples=10_000, size=16)
    print_ranking()
    return int(worst > 5.0)


if __name__ == "__main__":
    raise SystemExit(main())
