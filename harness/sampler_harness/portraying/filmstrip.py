"""One run of a sampler and one of what it is held against, on the same noise and the same exact denoiser."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from sampler_harness.checks.evidence import Evidence
from sampler_harness.law.bundle import Bundle
from sampler_harness.law.law import Law
from sampler_harness.law.replay import innovations, matched_noise
from sampler_harness.law.tolerance import PRECISIONS, reference_response
from sampler_harness.observe.layout import Layout
from sampler_harness.observe.probes import Answers
from sampler_harness.observe.trace import Case, Run
from sampler_harness.portrait import BROKEN, Filmstrip

from .pictures import Array, TiledPictures

__all__ = ["NotDrawnError", "Trouble", "filmstrip_of"]

#: First number of the noise's PCG64 streams; the second is the draw's index.
NOISE_SEED = 20_260_103
#: Where a shape is free: large enough for tiles with stripes, small enough to travel.
PICTURE_SHAPE = (2, 3, 24, 24)
#: Columns of the strip, the sample included.
COLUMNS = 8
#: Values of one frame at most; of more channels or frames only the first are shown.
LARGEST_FRAME = 64 * 64 * 3
MOST_LINES = 3
#: A frame's values are kept in thousandths.
THOUSANDTHS = 1000.0
#: Beyond this a frame's value is drawn as this.
LARGEST_VALUE = 30.0
#: A time is one of the reference's when it is as near as this to it, as a share of it.
SAME_TIME = 1e-4

Network = Callable[[Array, float], Any]


class NotDrawnError(Exception):
    """There can be no picture of a run; the message says why, in a sentence."""


class _UnknownTimeError(Exception):
    """The exact network was told a time that it does not know."""


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What went wrong in a run.

    Attributes:
        told: in a sentence, without a period.
        cause: the problem's own words, where it is one of the sampler's.
    """

    told: str
    cause: str = ""


def filmstrip_of(evidence: Evidence, case: Case) -> tuple[Filmstrip, tuple[Trouble, ...]]:
    """Both runs as a strip of frames, and what went wrong in them.

    Args:
        evidence: of the sampler; runs are made with it.
        case: whose configuration both run.

    Raises:
        NotDrawnError: where not even one of the two could be run.
    """
    config = evidence.side_of(case).config
    if not config.has_network:
        raise NotDrawnError(
            f"{type(config).__name__} does not say what its network predicts (it has no method network), so that no "
            "exact network could be put in"
        )
    shape = _picture_shape(evidence)
    data = TiledPictures(shape[1:])
    drawn = dataclasses.replace(case, shape=shape)
    bundle = evidence.bundle(drawn)
    network = _telling(config.network(data), _times_of(evidence, case))
    problems: list[Trouble] = []
    own, fresh, ordered = _own_run(bundle, network, drawn)
    if own.problem is not None:
        cause = own.problem.message
        problems.append(Trouble(f"the run of your sampler did not end well: {cause}", cause))
    own_rows = _rows_of(own)
    reference_rows, noise, problem = _held_against(evidence, case, shape, network, fresh, ordered, len(own.calls))
    if problem is not None:
        problems.append(Trouble(problem))
    if reference_rows and evidence.subject.output_clip is not None:  # what is declared of the finished sample
        reference_rows = [*reference_rows[:-1], np.clip(reference_rows[-1], *evidence.subject.output_clip)]
    if not own_rows and not reference_rows:
        raise NotDrawnError("; ".join(problem.told for problem in problems) or "nothing was run")
    return _strip(data, own_rows, own.sample is not None, reference_rows, noise), tuple(problems)


def _picture_shape(evidence: Evidence) -> tuple[int, ...]:
    """A shape that shows something: an image where images are declared, else the longest line."""
    shapes = evidence.subject.shapes
    if shapes is None:
        return PICTURE_SHAPE
    images = [s for s in shapes if len(s) >= 4 and min(s[-2:]) >= 6]
    if images:
        return max(images, key=lambda s: (len(s) == 4, min(s[-2:]), -abs(s[1] - 2)))
    return max(shapes, key=lambda s: max(s[1:], default=0))


def _times_of(evidence: Evidence, case: Case) -> Array:
    law = evidence.standard.law(evidence.side_of(case))
    return np.zeros(0) if law is None else law.times


def _telling(network: Network, times: Array) -> Callable[[Array, Any], Any]:
    """The network, told the reference's own time where the given one is that but for rounding."""

    def model(x: Array, time: Any) -> Any:
        flat = np.asarray(time.detach().to("cpu").double().numpy() if hasattr(time, "detach") else time, dtype=float)
        told = float(flat.reshape(-1)[0])
        if times.size:
            nearest = float(times[int(np.argmin(np.abs(times - told)))])
            told = nearest if abs(nearest - told) <= SAME_TIME * abs(nearest) else told
        try:
            with np.errstate(all="ignore"):
                return network(x, told)
        except (LookupError, ValueError, TypeError, OverflowError):
            raise _UnknownTimeError(f"a network of this kind knows no time {told:g}") from None

    return model


def _unit(index: int, shape: tuple[int, ...]) -> Array:
    """The unit normals of a draw: float64, one stream for each."""
    values: Array = np.random.Generator(np.random.PCG64([NOISE_SEED, index])).standard_normal(shape)
    return values


def _own_run(
    bundle: Bundle, network: Callable[[Array, Any], Any], case: Case
) -> tuple[Run, dict[int, Array] | None, list[Array]]:
    """The user's sampler: its run, each row's fresh noise where it can be told, and whole draws in their order."""
    raw: dict[int, Array] = {}

    def draws(index: int, shape: tuple[int, ...]) -> Array:
        raw[index] = _unit(index, shape)
        return raw[index]

    layout: Layout | None = bundle.layout if bundle.problem is None else None
    run = bundle.execute(Answers(draws=draws, model=network))
    values = [raw.get(index, np.zeros(draw.shape)) for index, draw in enumerate(run.draws)]
    ordered = [v.reshape(case.shape) for v in values if v.size == case.numel]
    fresh = None
    if layout is not None and run.problem is None:
        try:
            fields = layout.values(values)
        except (IndexError, ValueError):  # other draws than with an impulse: told apart by their order alone
            return run, None, ordered
        if fields.shape[0] == bundle.first.response.noise.shape[1]:
            fresh = innovations(bundle.first.response, fields, PRECISIONS[case.dtype].unit)
    return run, fresh, ordered


def _rows_of(run: Run) -> list[Array]:
    tensors = [call.x for call in run.calls] + ([] if run.sample is None else [run.sample])
    return [one.detach().to("cpu").double().numpy() for one in tensors]


def _held_against(
    evidence: Evidence,
    case: Case,
    shape: tuple[int, ...],
    network: Callable[[Array, Any], Any],
    fresh: dict[int, Array] | None,
    ordered: list[Array],
    calls: int,
) -> tuple[list[Array], str, str | None]:
    """Rows of what the sampler is held against, how it got its noise, and why it has none."""
    side = evidence.side_of(case)
    law = evidence.standard.law(side)
    if law is None:
        return [], "", f"{evidence.standard.name} has no law for this configuration, so that no run of it is drawn"
    counterparts = [ordered[i] if i < len(ordered) else _spare(i, shape) for i in range(len(law.opened))]
    if fresh is not None and law.num_calls == calls:
        given = {row: fresh[row].reshape(shape) if row in fresh else _spare(row, shape) for row in law.opened}
        alone = [row for row in law.opened if row not in fresh]
        noise = "Both were given the same noise at every step."
        if alone:
            noise = (
                f"Both were given the same noise where both draw it; at {len(alone)} of the reference's "
                f"{len(law.opened)} steps with noise yours draws none."
            )
    else:
        given = dict(zip(law.opened, counterparts, strict=True))
        noise = "Both were given the same noise, in the order in which they draw it."
    try:
        if evidence.standard.reference:
            return _reference_rows(side.config, shape, network, given), noise, None
        return _law_rows(law, shape, network, given), noise, None
    except Exception as error:  # whatever an unusual configuration does must not keep the page from being written
        return [], noise, f"{evidence.standard.name} could not be run with an exact network ({error})"


def _spare(index: int, shape: tuple[int, ...]) -> Array:
    """Noise for a draw that the user's sampler has no counterpart of."""
    return _unit(100_000 + index, shape)


def _reference_rows(
    config: Any, shape: tuple[int, ...], network: Callable[[Array, Any], Any], given: dict[int, Array]
) -> list[Array]:
    rows: list[Array] = []

    def model(x: Array, time: Any) -> Any:
        rows.append(np.array(x, dtype=np.float64))
        return network(x, time)

    learned = config.model_channels == 2
    program = reference_response(config, learned)
    noise = matched_noise(program, shape, given, otherwise=lambda index: _spare(index, shape))
    with np.errstate(all="ignore"):
        sample = config.sample(model, noise)
    return [*rows, np.array(sample, dtype=np.float64)]


def _law_rows(
    law: Law, shape: tuple[int, ...], network: Callable[[Array, Any], Any], given: dict[int, Array]
) -> list[Array]:
    """What a law says of a run: each row is the sum that its weights give, nothing else need be known of a program."""
    rows: list[Array] = []
    outputs: list[Array] = []
    for k in range(law.num_calls + 1):
        row = np.full(shape, law.offset[k])
        for column, opened in enumerate(law.opened):
            row = row + law.factor[k, column] * given[opened]
        for weight, output in zip(law.outputs[k], outputs, strict=False):
            row = row + weight * output
        rows.append(row)
        if k < law.num_calls:
            answer = network(row, law.times[k])
            outputs.append(np.asarray(answer[0] if isinstance(answer, tuple) else answer))
    return rows


# From rows to frames


def _strip(data: TiledPictures, own: list[Array], ended: bool, reference: list[Array], noise: str) -> Filmstrip:
    planned = len(reference) or len(own)
    same_calls = not reference or len(own) == len(reference) or (not ended and len(own) < len(reference))
    places = _telling_places(reference or own)
    if not ended and own and len(own) <= places[-2:][0]:
        # How far the sampler came is shown, in place of a frame that it does not reach.
        reached = [place for place in places if place < len(own) - 1]
        places = [*reached, len(own) - 1, *places[len(reached) + 1 :]]
    columns: list[tuple[str, int | None, int | None]] = []
    for place in places:
        is_last = place == planned - 1
        title = "sample" if is_last else f"call {place}"
        own_place: int | None = place
        if is_last:
            own_place = len(own) - 1 if ended or not reference else None
        elif not same_calls:
            # Other numbers of calls have no steps in common but the first and the last.
            own_place = round(place * (len(own) - 1) / max(planned - 1, 1))
        columns.append((title, own_place, place if reference else None))
    frames: list[tuple[Array | None, Array | None]] = []
    apart: list[float | None] = []
    for title, mine, theirs in columns:
        a = own[mine] if mine is not None and mine < len(own) else None
        b = reference[theirs] if theirs is not None else None
        scale = _scale(b if b is not None else a)
        comparable = a is not None and b is not None and (same_calls or title == "sample" or mine == theirs == 0)
        apart.append(_apart(a, b, scale) if comparable else None)
        frames.append((_frame(data, a, scale), _frame(data, b, scale)))
    a, b = (own[-1] if own and ended else None), (reference[-1] if reference else None)
    detail = None if a is None or b is None else (_detail(data, a), _detail(data, b))
    if detail is not None and not np.isfinite(detail).all():
        detail = None
    if not same_calls:
        noise += " They call the network in other numbers, so that only first input and sample can be compared."
    size = next(frame.shape for pair in frames for frame in pair if frame is not None)
    return Filmstrip(
        kind="image" if data.is_image else "lines",
        shape=tuple(size),
        titles=tuple(title for title, _, _ in columns),
        own=tuple(_kept(a) for a, _ in frames),
        reference=tuple(_kept(b) for _, b in frames),
        apart=tuple(apart),
        detail=detail,
        noise=noise,
    )


def _telling_places(rows: list[Array]) -> list[int]:
    """Rows that are shown: spread by how much the picture has changed, since early calls often see noise alone."""
    count = min(COLUMNS, len(rows))
    scaled = [np.nan_to_num(row / _scale(row)) for row in rows]
    last = scaled[-1]
    # How near each row has come to the sample; a picture that goes back does not undo what was shown.
    near = np.maximum.accumulate([-float(np.sqrt(np.mean((row - last) ** 2))) for row in scaled])
    places = np.linspace(0.0, 1.0, len(rows))
    spread = (near - near[0]) / (near[-1] - near[0]) if near[-1] > near[0] else places
    along = 0.5 * spread + 0.5 * places
    chosen = {int(np.argmin(np.abs(along - target))) for target in np.linspace(0.0, 1.0, count)}
    rest = [place for place in range(len(rows) - 1, -1, -1) if place not in chosen]
    chosen.update(rest[: count - len(chosen)])
    return sorted(chosen | {len(rows) - 1})


def _scale(row: Array | None) -> float:
    """What a column is divided by: noise of many data units is shown as noise of one."""
    if row is None:
        return 1.0
    finite = row[np.isfinite(row)]
    return max(1.0, float(np.sqrt(np.mean(finite**2)))) if finite.size else 1.0


def _apart(own: Array | None, reference: Array | None, scale: float) -> float | None:
    if own is None or reference is None:
        return None
    with np.errstate(all="ignore"):
        value = float(np.sqrt(np.mean((own - reference) ** 2))) / scale
    return float(f"{value:.3g}") if np.isfinite(value) else None


def _detail(data: TiledPictures, sample: Array) -> float:
    """Differences between neighboring values, root mean squared, over all items."""
    parts = data.parts(sample)
    axes = range(2, parts.ndim)
    squares = [np.diff(parts, axis=axis) ** 2 for axis in axes if parts.shape[axis] > 1]
    if not squares:
        return float("nan")
    return float(f"{np.sqrt(np.mean(np.concatenate([s.reshape(-1) for s in squares]))):.4g}")


def _frame(data: TiledPictures, row: Array | None, scale: float) -> Array | None:
    """The first item as ``(channels, height, width)`` or ``(lines, length)``."""
    if row is None:
        return None
    parts = data.parts(row)[0] / scale
    if data.is_image:
        shown: Array = parts[:3] if data.shape[0] == 3 and len(data.shape) == 3 else parts[:1]
        return shown[:, :64, :64] if shown.size > LARGEST_FRAME else shown
    lines: Array = parts[:MOST_LINES, :256]
    return lines


def _kept(frame: Array | None) -> tuple[int, ...] | None:
    if frame is None:
        return None
    finite = np.isfinite(frame)
    whole = np.rint(THOUSANDTHS * np.clip(np.where(finite, frame, 0.0), -LARGEST_VALUE, LARGEST_VALUE))
    return tuple(int(v) for v in np.where(finite, whole, BROKEN).reshape(-1))
