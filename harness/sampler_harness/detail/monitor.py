"""Follow the detail of a training run, stage by stage, in one line of the training loop.

A stage is measured without touching the run: the model's mode, the grad mode and every random stream are as before
when ``log`` returns, and nothing keeps a graph or moves a model between devices.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from sampler_harness.detail.denoising import Denoiser, denoising_errors
from sampler_harness.detail.frames import pack_frames, write_frames
from sampler_harness.detail.given import (
    check_data,
    check_pictures,
    checked_range,
    checked_step,
    chosen,
    collected,
    evenly,
    levels_in,
)
from sampler_harness.detail.networks import device_of, networks_of, undisturbed
from sampler_harness.detail.records import Run, SampleRange, Stage
from sampler_harness.detail.spectrum import LevelError, as_frames, octaves, psnr, radial_spectrum, retained
from sampler_harness.detail.trend import Trend, find_trend
from sampler_harness.detail.writing import StageWriter

__all__ = ["DetailMonitor", "DetailWarning"]

Array = np.ndarray[Any, np.dtype[np.float64]]
T = TypeVar("T")

#: How many intermediate frames of a trajectory are kept, the first and the last among them.
STEPS = 6
#: How many samples are kept where there is no trajectory.
SHOWN = 6


class DetailWarning(UserWarning):
    """A stage could not be measured, or detail began to fall."""


class DetailMonitor:
    """Measures detail at each stage of a training run, keeps it on disk, and tells when it begins to fall.

    One line before the loop and one in it::

        monitor = DetailMonitor(dataset, "runs/detail")
        ...
        monitor.log(step, samples=sample(model), model=denoiser, checkpoint=path)

    A stage costs one pass of the model over ``denoiser_items`` frames per noise level and the spectrum of at most
    ``items`` samples; how long that took is in the stage (``seconds``) and ``cost`` says how much there is to do.

    Args:
        data: frames as the model sees them, data units: an array or tensor ``(N, H, W)`` or ``(N, C, H, W)``, a list
            of frames, or batches of them (a data loader; of a tuple or a mapping the first image). ``items`` of them
            are kept: of an array or a list evenly spaced ones, of anything else the first.
        out: directory of the records; one that has stages already is continued.
        levels: noise levels of the denoising error, data units; None for seven from 0.05 to 5 half ranges.
        items: how many frames of data and samples are compared.
        data_range: lowest and highest legal value, data units.
        denoiser_items: how many frames the denoising error is measured on.
        tensorboard: whether to write scalars for TensorBoard too: True (below ``out``), a directory, or a writer with
            ``add_scalar``. Tags are ``detail/octave_1`` (the finest) and ``detail/denoising_error/<sigma>``.

    Raises:
        ValueError: when the data is empty, ragged, not finite, without detail or outside ``data_range``, a number is
            out of range, or ``out`` cannot be used: a file, another process's, or of other frames.
        ModuleNotFoundError: when TensorBoard is asked for and not installed.
    """

    def __init__(
        self,
        data: Any,
        out: str | Path = "detail",
        *,
        levels: Sequence[float] | None = None,
        items: int = 64,
        data_range: Sequence[float] = (-1.0, 1.0),
        denoiser_items: int = 32,
        tensorboard: Any = False,
    ) -> None:
        for name, number in (("items", items), ("denoiser_items", denoiser_items)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ValueError(f"{name} is {number!r}, should be a number of frames of at least 1")
        self._range = checked_range(data_range)
        check_pictures(data, "data")
        with undisturbed(()):
            self._data = collected(data, items)
        check_data(self._data, self._range)
        self._spectrum = radial_spectrum(self._data)
        retained(self._spectrum, self._spectrum)  # refuses data without detail now, not at the first stage
        self._items = items
        self._denoised = self._data[evenly(len(self._data), denoiser_items)]
        channels, height, width = self._data.shape[1:]
        run = Run(
            octaves=tuple(octave.name for octave in octaves(self._spectrum)),
            levels=levels_in(levels, self._range),
            data_range=self._range,
            shape=(channels, height, width),
            frames=len(self._data),
            data=hashlib.sha256(self._data.astype(np.float32).tobytes()).hexdigest()[:16],
            data_std=float(self._data.std()),
        )
        self._writer = StageWriter(out, run)
        self._scalars = _scalar_writer(tensorboard, self._writer.directory)
        self._run = run
        for note in self._writer.notes:
            warnings.warn(note, DetailWarning, stacklevel=2)
        with contextlib.suppress(OSError):  # only the page's first row, and the disk's trouble is told at a stage
            shown = {"samples": pack_frames(self._data[:SHOWN], self._range)[0]}
            write_frames(self._writer.directory / "frames" / "data.npz", shown)
        self._alarmed = self.trend().alarm  # told by the process that saw it begin

    @property
    def directory(self) -> Path:
        """Where the records are."""
        return self._writer.directory

    @property
    def stages(self) -> tuple[Stage, ...]:
        """By step; of a step that was logged again the last attempt."""
        return self._writer.records.current

    @property
    def cost(self) -> str:
        """What a stage costs, in one sentence."""
        levels, frames = len(self._run.levels), len(self._denoised)
        return (
            f"a stage costs the model {levels * frames} denoised frames ({frames} at each of {levels} noise levels) "
            f"and the spectrum of at most {self._items} samples"
        )

    def log(
        self,
        step: int,
        *,
        samples: Any = None,
        model: Any = None,
        trajectory: Any = None,
        checkpoint: str | Path | None = None,
        targets: Any = None,
    ) -> Stage:
        """Measure one stage and keep it: it is on disk when this returns.

        What cannot be measured (samples that are not finite or of another size, a model that raises) is a sentence in
        the stage's ``problem`` and a warning; the training goes on.

        Args:
            step: the training step. One that was logged before, after going back to an older checkpoint, is kept as
                a later attempt.
            samples: what the sampler made, ``(N, C, H, W)`` or ``(N, H, W)``, data units. The same starts at each
                stage make stages comparable by eye.
            model: denoiser ``(x, sigma) -> x0`` in data units; ``as_denoiser`` makes one of a raw network. It is
                called in eval mode, without a sampler.
            trajectory: intermediate states of the sampler, ``(K, N, C, H, W)`` or a list of K batches; the first
                item's are kept.
            checkpoint: name of the checkpoint of this stage, which the trend names as the one to keep.
            targets: what each sample should be, of the samples' shape, for the PSNR.

        Returns:
            The stage as it was written.

        Raises:
            ValueError: when the step is no integer, or the monitor was closed or is used in a forked process.
        """
        number = checked_step(step)
        began = time.perf_counter()
        problems: list[str] = []
        with undisturbed(networks_of(model)):
            if samples is None and model is None:
                problems.append("neither samples nor a model were given: there was nothing to measure")
            kept, seen, ratio = self._measure_samples(samples, targets, problems)
            errors = () if model is None else self._measure_model(model, problems)
            frames = self._keep_frames(number, samples, trajectory, problems)
            stage = Stage(
                step=number,
                checkpoint=None if checkpoint is None else str(checkpoint),
                retained=kept,
                sample_range=seen,
                psnr=ratio,
                denoising=errors,
                frames=frames,
                problem="; ".join(problems) or None,
                seconds=time.perf_counter() - began,
            )
            stage, unwritten = self._keep(stage)
            alarm = _attempt(problems, "the trend", self._new_alarm)
        if unwritten:
            problems.append(unwritten)
        if problems:
            warnings.warn(f"step {number}: {'; '.join(problems)}", DetailWarning, stacklevel=2)
        if alarm:
            warnings.warn(alarm, DetailWarning, stacklevel=2)
        return stage

    def trend(self) -> Trend:
        """Whether detail began to fall, since when, which checkpoint to keep and whom to suspect."""
        return find_trend(self.stages, self._writer.records.octaves)

    def close(self) -> None:
        """Let the directory go; the end of the process does it too."""
        self._writer.close()
        if self._scalars is not None and hasattr(self._scalars, "close"):
            self._scalars.close()

    def __enter__(self) -> DetailMonitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _measure_samples(
        self, samples: Any, targets: Any, problems: list[str]
    ) -> tuple[tuple[float, ...] | None, SampleRange | None, float | None]:
        """Detail, range and PSNR; what cannot be had is None, and said."""
        if samples is None:
            return None, None, None
        seen = _attempt(problems, "the range of the samples", lambda: _sample_range(samples, self._items, self._range))
        frames = _attempt(problems, "detail", lambda: as_frames(chosen(samples, self._items), "samples"))
        if frames is None:
            return None, seen, None
        if frames.shape[1:] != self._data.shape[1:]:
            problems.append(
                f"detail was not measured: samples have (C, H, W) = {frames.shape[1:]}, the data {self._data.shape[1:]}"
            )
            return None, seen, None
        kept = _attempt(problems, "detail", lambda: retained(frames, self._spectrum))
        ratio = None
        if targets is not None:
            ratio = _attempt(problems, "PSNR", lambda: _ratio(samples, targets, self._items, self._range))
        return kept, seen, ratio

    def _measure_model(self, model: Any, problems: list[str]) -> tuple[LevelError, ...]:
        """The model's own denoising error; where it cannot be had is said."""
        device = str(device_of(model))
        errors: list[LevelError] = []
        failed: list[str] = []
        for sigma in self._run.levels:  # one by one: a level that overflows in half precision spoils no other
            found = _attempt(
                failed, "the denoising error", functools.partial(_level_error, model, self._denoised, sigma, device)
            )
            errors += [] if found is None else [found]
        if failed:
            more = len(failed) - 1
            rest = f" (the same or another at {more} level{'s' if more > 1 else ''} more)" if more else ""
            problems.append(failed[0] + rest)
        return tuple(errors)

    def _keep_frames(self, step: int, samples: Any, trajectory: Any, problems: list[str]) -> str | None:
        """Write a few frames for the page; returns the file's name relative to the directory."""
        attempt = self._writer.attempt(step)
        name = f"frames/step_{step:08d}{'' if attempt == 1 else f'_{attempt}'}.npz"

        def written() -> str | None:
            arrays: dict[str, Any] = {}
            if samples is not None:
                arrays["samples"] = pack_frames(as_frames(samples[:SHOWN], finite=False), self._range)[0]
            if trajectory is not None:
                states, places, total = _states(trajectory)
                packed, divided = pack_frames(states, self._range, fit=True)
                arrays |= {"trajectory": packed, "divided": divided, "places": np.array(places), "total": total}
            if not arrays:
                return None
            write_frames(self.directory / name, arrays)
            return name

        return _attempt(problems, "the frames of the strip", written)

    def _keep(self, stage: Stage) -> tuple[Stage, str | None]:
        """Write the stage, and say when the disk does not take it."""
        unwritten = None
        try:
            stage = self._writer.append(stage)
        except OSError as error:
            stage = self._writer.records.stages[-1]
            unwritten = (
                f"the stage could not be written to {self.directory} ({error.strerror or error}): it is kept in memory "
                "and written with the next one"
            )
        if self._scalars is not None:
            found: list[str] = []
            _attempt(found, "TensorBoard's scalars", lambda: _add_scalars(self._scalars, stage))
            unwritten = "; ".join([*filter(None, [unwritten]), *found]) or None
        return stage, unwritten

    def _new_alarm(self) -> str | None:
        """The trend's message, when its alarm was not there at the stage before."""
        trend = self.trend()
        begins = trend.alarm and not self._alarmed
        self._alarmed = trend.alarm
        if not begins or trend.keep is None:
            return None
        step, checkpoint = trend.keep
        return f"{trend.message}; detail was best at step {step}{f' ({checkpoint})' if checkpoint else ''}"


def _attempt(problems: list[str], what: str, measure: Callable[[], T]) -> T | None:
    """A measurement, or None and a sentence in ``problems``: a training run does not end for one."""
    try:
        return measure()
    except Exception as error:  # whatever a user's model or tensors raise
        told = str(error).strip().splitlines()
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        problems.append(f"{what} was not measured: {kind}{told[0] if told else 'no message'}")
        return None


def _level_error(model: Denoiser, data: Array, sigma: float, device: str) -> LevelError:
    return denoising_errors(model, data, (sigma,), device=device, items=len(data))[0]


def _ratio(samples: Any, targets: Any, items: int, data_range: tuple[float, float]) -> float:
    """PSNR of the same items of both."""
    if len(samples) != len(targets):
        raise ValueError(f"there are {len(samples)} samples and {len(targets)} targets: each sample needs its target")
    return psnr(chosen(samples, items), chosen(targets, items), data_range)


def _sample_range(samples: Any, items: int, data_range: tuple[float, float]) -> SampleRange:
    values = as_frames(chosen(samples, items), finite=False)
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise ValueError("no value of the samples is finite")
    low, high = data_range
    slack = 1e-6 * (high - low)  # a clamp to the range, rounded to float32
    outside = float(((values < low - slack) | (values > high + slack)).mean())
    return SampleRange(float(values.min()), float(values.max()), outside, float(values.mean()), float(values.std()))


def _states(trajectory: Any) -> tuple[Array, list[int], int]:
    """The first item of at most :data:`STEPS` intermediate states, their places, and how many there were."""
    total = len(trajectory)
    if total == 0:
        raise ValueError("the trajectory is empty: it should be the sampler's intermediate states")
    places = evenly(total, STEPS)
    return np.concatenate([as_frames(trajectory[place][:1], finite=False) for place in places]), places, total


def _scalar_writer(tensorboard: Any, directory: Path) -> Any:
    """A writer of TensorBoard events, or None."""
    if tensorboard is False or tensorboard is None:
        return None
    if hasattr(tensorboard, "add_scalar"):
        return tensorboard
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ModuleNotFoundError(
            "tensorboard=True needs the package tensorboard: pip install 'sampler-harness[tensorboard]'"
        ) from None
    return SummaryWriter(str(directory / "tensorboard" if tensorboard is True else tensorboard))


def _add_scalars(writer: Any, stage: Stage) -> None:
    for place, share in enumerate(stage.retained or (), start=1):
        writer.add_scalar(f"detail/octave_{place}", share, stage.step)
    for level in stage.denoising:
        writer.add_scalar(f"detail/denoising_error/{level.sigma:g}", level.relative, stage.step)
    if stage.psnr is not None:
        writer.add_scalar("detail/psnr", stage.psnr, stage.step)
    if hasattr(writer, "flush"):
        writer.flush()
