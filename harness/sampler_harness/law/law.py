"""The law ``(T, m, B, L)``: two samplers with one law give the same distribution of trajectories.

``A = L Q`` with orthogonal ``Q``: the row-echelon factor, found by orthogonalising the rows of ``A`` from the top.
Row k opens a column only where noise enters that earlier rows have not seen. ``L`` does not care in which order
noise is drawn, whether it comes as a tree of many draws, or is drawn and multiplied by zero.

Never compare ``A @ A.T``: in float32 the amplified first noise hides the late ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .response import Array, Response

__all__ = ["Law", "Turned", "row_echelon"]

#: Noise below this share of the largest row so far opens no column (published programs add noise of 1e-10).
NEGLIGIBLE = 1e-8
#: A row that holds no new draw is a combination of earlier rows but for this many ulp of them.
ROUNDING_ULP = 32.0
#: The same in half precision, where 32 ulp are an eighth.
ROUNDING_ULP_IN_HALF = 4.0


# What a faulty or a rounded program makes of a row may be beyond all measure: that is told, and warns of nothing.
@np.errstate(over="ignore", invalid="ignore")
def row_echelon(
    noise: Array, *, precision: float = 2.0**-53, gain: Array | None = None, off: Array | None = None
) -> tuple[Array, tuple[int, ...], Array]:
    """Factor ``A = L Q``, rows orthogonalised top down, diagonal positive.

    Args:
        noise: ``(K + 1, P)`` coefficients of the unit normals.
        precision: unit roundoff of the numbers in ``noise``.
        gain: ``(K + 1,)`` how much each row may magnify the rounding of the rows that it is made of; None for 1.
        off: ``(K + 1, P)`` how far rounding may have carried each entry; None for some ulp of the rows before it.

    Returns:
        ``L`` of shape ``(K + 1, C)``, the row that opens each column, and ``Q`` of shape ``(C, P)``.
    """
    rows, primitives = noise.shape
    # What is small beside a later row may be all that an earlier one holds.
    scales = np.maximum.accumulate(np.abs(noise).max(axis=1, initial=0.0)) if rows else np.zeros(0)
    sizes = np.linalg.norm(noise, axis=1)
    most = min(rows, primitives)
    basis = np.zeros((most, primitives))
    factor = np.zeros((rows, most))
    opened: list[int] = []
    seen = np.zeros(primitives, dtype=bool)
    # As a rule each row brings in one draw, and its column is that draw's axis: what lies along it is read off exactly.
    draws, signs = np.zeros(most, dtype=int), np.zeros(most)
    only_axes = True
    for k in range(rows):
        row = noise[k]
        width = len(opened)
        residual = row.astype(np.float64)
        if only_axes:
            factor[k, :width] = signs[:width] * residual[draws[:width]]
            residual[draws[:width]] = 0.0
        for _ in range(0 if only_axes else 2):  # the second pass removes what rounding left of the first
            part = basis[:width] @ residual
            factor[k, :width] += part
            residual = residual - part @ basis[:width]
        # Draws that no earlier row holds are orthogonal to all of them, exactly. What is left among the others is a
        # difference of rows, and as uncertain as their rounding.
        ulp = ROUNDING_ULP if precision < 2.0**-20 else ROUNDING_ULP_IN_HALF
        rounding = ulp * precision * float(sizes[max(0, k - 2) : k + 1].max())
        if gain is not None:
            rounding *= max(1.0, float(gain[k]))
        if off is not None:
            # What is rounding alone is no longer than its entries may be off in its own direction.
            left = np.abs(residual[seen])
            rounding = float(left @ off[k][seen]) / max(float(np.linalg.norm(left)), 1e-300)
        least = NEGLIGIBLE * float(scales[k])
        if float(np.linalg.norm(residual[seen])) <= max(rounding, least):
            residual[seen] = 0.0
        seen |= row != 0
        norm = float(np.linalg.norm(residual))
        if norm > least and width < most:
            factor[k, width] = norm
            basis[width] = residual / norm
            opened.append(k)
            draws[width] = int(np.abs(residual).argmax())
            signs[width] = basis[width, draws[width]]
            only_axes = only_axes and np.count_nonzero(residual) == 1
    width = len(opened)
    return factor[:, :width], tuple(opened), basis[:width]


def rounding_gain(outputs: Array) -> Array:
    """How much each row magnifies the rounding of the rows that it is made of: the weight of its latest outputs.

    ``(x - D) / sigma`` is weighed like D, and rounds like x.

    Args:
        outputs: ``(K + 1, K)`` B.
    """
    gain = np.ones(outputs.shape[0])
    for back in (1, 2):
        for k in range(back, outputs.shape[0]):
            gain[k] = max(gain[k], abs(float(outputs[k, k - back])))
    return gain


@dataclass(frozen=True)
class Turned:
    """The noise of a program along axes of which each is next to nothing in all rows before the one that opens it.

    Attributes:
        factor: ``(K + 1, C)`` L.
        opened: the row that opens each column.
        unsure: ``(K + 1,)`` how far the noise of a row may be off that comes in by draws of earlier rows.
    """

    factor: Array
    opened: tuple[int, ...]
    unsure: Array


@dataclass(frozen=True)
class Law:
    """What decides equality in distribution.

    Attributes:
        times: ``(K,)`` time argument of each call.
        offset: ``(K + 1,)`` constant of each row.
        outputs: ``(K + 1, K)`` B, weights of the model's outputs.
        factor: ``(K + 1, C)`` L, the row-echelon factor of the noise.
        opened: the row that opens each column of L.
        resolution: absolute size below which an entry could not be read (impulses next to an offset).
        last_resolution: the same for the returned sample alone, which a declared shift took digits from.
        unsure: ``(K + 1,)`` how far the noise of each row may be off, where draws of earlier rows are in it and few
            digits are read; None for nothing.
    """

    times: Array
    offset: Array
    outputs: Array
    factor: Array
    opened: tuple[int, ...]
    resolution: float = 0.0
    last_resolution: float = 0.0
    unsure: Array | None = None

    @staticmethod
    def of(
        response: Response,
        *,
        precision: float = 2.0**-53,
        shift: float = 0.0,
        underflow: float = 0.0,
        along: Turned | None = None,
    ) -> Law:
        """The law of a measured response.

        Args:
            response: as measured.
            precision: unit roundoff of the arithmetic that it was measured in.
            shift: constant that the program added to its finished sample and that was undone, in the sample's scale.
            underflow: absolute size below which the arithmetic loses what is carried through a small level.
            along: its noise along axes of which none is a small difference; None for its draws.
        """
        if along is None:
            factor, opened, _ = row_echelon(response.noise, precision=precision, gain=rounding_gain(response.outputs))
        else:
            factor, opened = along.factor, along.opened
        largest = float(np.abs(response.offset).max(initial=0.0))
        return Law(
            times=response.times,
            offset=response.offset,
            outputs=response.outputs,
            factor=factor,
            opened=opened,
            resolution=max(2 * precision * largest, underflow) / response.amplitude,
            last_resolution=2 * precision * abs(shift) / response.amplitude,
            unsure=None if along is None else along.unsure,
        )

    @property
    def num_calls(self) -> int:
        """K, the model calls of a run."""
        return int(self.times.size)

    @property
    def unread_noise(self) -> Array:
        """``(K + 1,)`` absolute size below which the noise of each row could not be read."""
        return self.unread if self.unsure is None else self.unread + self.unsure

    @property
    def unread(self) -> Array:
        """``(K + 1,)`` absolute size below which an entry of each row could not be read."""
        size = np.full(self.num_calls + 1, self.resolution)
        size[-1] = max(self.resolution, self.last_resolution)
        return size

    def column(self, row: int) -> Array:
        """The column that ``row`` opens; zeros where it opens none."""
        if row in self.opened:
            column: Array = self.factor[:, self.opened.index(row)]
            return column
        return np.zeros(self.factor.shape[0])

    def to_json(self) -> dict[str, Any]:
        """Plain lists; Python writes floats so that they read back to the bit."""
        return {
            "times": self.times.tolist(),
            "offset": self.offset.tolist(),
            "outputs": self.outputs.tolist(),
            "noise_factor": self.factor.tolist(),
            "opened": list(self.opened),
            "resolution": self.resolution,
            "last_resolution": self.last_resolution,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Law:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: when a key is missing or shapes do not fit.
        """
        try:
            times = np.array(data["times"], dtype=np.float64)
            rows = times.size + 1
            law = Law(
                times=times,
                offset=np.array(data["offset"], dtype=np.float64),
                outputs=np.array(data["outputs"], dtype=np.float64).reshape(rows, times.size),
                factor=np.array(data["noise_factor"], dtype=np.float64).reshape(rows, -1),
                opened=tuple(int(row) for row in data["opened"]),
                resolution=float(data["resolution"]),
                last_resolution=float(data.get("last_resolution", 0.0)),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a saved law: {error!r}") from error
        if law.offset.shape != (rows,) or law.factor.shape[1] != len(law.opened):
            raise ValueError("not a saved law: the sizes of its parts do not fit together")
        return law
