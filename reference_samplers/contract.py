"""What a reference sampler offers: the contract that all of them keep, with the answer that most of them give.

A reference is **process × grid × method**, joined into one flat frozen dataclass::

    @dataclass(frozen=True)
    class FlowEuler(RectifiedFlow, EvenTimes):
        \"\"\"Euler's method along the straight path from noise to data.\"\"\"

A *process* (``processes/``) says how much signal and noise x holds at a level, what the model is told there, and what
it predicts. A *grid* (``grids/``) says which levels are visited. A *method* (a file beside this one) is the paper's
algorithm and nothing else: it walks along :attr:`Reference.levels` and asks its process.

Each statement of an algorithm ends in a comment with the paper's line or equation (``# line 7``, ``# eq. 12``). A
diagnosis shows these lines to users, and takes the number from there.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

from .configuration import Configuration
from .openings import Array, Denoise, Model, Noise

__all__ = ["Reference", "adopted", "as_reference"]


class Reference(Configuration):
    """A sampler as its paper defines it, in one configuration: hashable, comparable, and checked when it is made."""

    # The algorithm

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: the paper's algorithm, line for line, with its only openings to the world as arguments.

        Args:
            model: ``model(x, time)`` is the network's output.
            noise: ``noise()`` is a fresh unit normal of the sample's shape.

        Returns:
            The sample, data units.
        """
        raise NotImplementedError

    # What its runs are like

    @property
    def levels(self) -> Sequence[Any] | Array:
        """``(N + 1,)`` the grid, from the noisiest level to where the run ends; empty where it has none."""
        return ()

    @property
    def num_levels(self) -> int:
        """N: the levels at which a step begins."""
        return len(self.levels) - 1 if len(self.levels) else int(self.values().get("num_steps") or self.num_calls)

    @property
    def num_calls(self) -> int:
        """Model calls of one run; where the method does not say, three a step at most."""
        steps = self.values().get("num_steps")
        return 3 * int(steps) if steps else 3_000

    @property
    def order(self) -> int:
        """Global order of the method in the number of steps, as its paper claims it."""
        return 1

    @property
    def stochasticity(self) -> float | None:
        """Share of the reverse process's noise that is drawn, 0 to 1; None where the limit has no closed form."""
        return None

    @property
    def is_affine(self) -> bool:
        """Whether all is affine in draws and outputs, while a clamp sleeps: without that there is no law."""
        return True

    @property
    def couples_items(self) -> bool:
        """Whether an item's step depends on its neighbours in the batch."""
        return False

    @property
    def model_channels(self) -> int:
        """The model's output as a multiple of the sample: 2 with a learned variance."""
        return 1

    @property
    def learns_variance_freely(self) -> bool:
        """Whether the model alone decides how much noise is drawn."""
        return False

    # Clamps

    @property
    def is_clipped(self) -> bool:
        """Whether a clamp or a threshold may act on x0."""
        return False

    def clipped(self, x0: Array) -> Array:
        """Predicted data as clamp or threshold leave it."""
        return x0

    @property
    def clip_reach(self) -> float:
        """Magnitude that a clamp leaves no value beyond, data units."""
        return 1.0

    @property
    def clip_told(self) -> str:
        """What should be done to predicted data, for a person: completes "it should …"."""
        return "clamp nothing, as declared"

    @property
    def sleeping_amplitude(self) -> float:
        """Largest power of two at which an impulse stays well inside of the clamp."""
        return 2.0**-12

    # Where rounding decides, and what it does

    @property
    def window_levels(self) -> Sequence[float]:
        """Noise levels of the grid between which the edge of a window may lie, data units."""
        return ()

    def either_side(self, times: Sequence[float]) -> Iterator[Reference]:
        """Configurations that differ only in how a rounding decides: a half, an edge that lies on a level.

        Args:
            times: what the sampler told its model, to know which side it took.
        """
        return iter(())

    def on_grid_of(self, times: Sequence[float]) -> Reference | None:
        """The same configuration on the grid that a sampler told its model; None where that is no legal grid.

        Args:
            times: what the sampler told its model.
        """
        return None

    @property
    def table_to_divide(self) -> int | None:
        """T, where only numbers of steps that divide it cover the whole table; None where any will do."""
        return None

    def spread_of_forms(self, unit: float) -> Array | None:
        """Relative spread of each row among the forms that published programs give the update; None for none.

        Args:
            unit: unit roundoff.

        Returns:
            ``(K + 1,)``.
        """
        return None

    # What the model is

    @property
    def told_as_indices(self) -> bool:
        """Whether the model looks its time up in a table."""
        return False

    @property
    def wants_denoiser(self) -> bool:
        """Whether the model gives the denoised sample itself, with any preconditioning inside."""
        return False

    def is_trained_at(self, time: float) -> bool:
        """Whether the model was trained at what it is told.

        Args:
            time: in the model's own convention.
        """
        return True

    def forward_scales(self, index: int) -> tuple[float, float]:
        """Scales of data and noise in ``x`` at an entry of the grid.

        Args:
            index: in [0, N]; N is the returned sample.

        Raises:
            ValueError: for an index beyond the grid.
        """
        raise NotImplementedError

    def network(self, denoise: Denoise) -> Model:
        """The perfect model of this configuration, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """
        raise NotImplementedError

    @property
    def has_forward(self) -> bool:
        """Whether :meth:`forward_scales` is known."""
        return type(self).forward_scales is not Reference.forward_scales

    @property
    def has_network(self) -> bool:
        """Whether :meth:`network` is known."""
        return type(self).network is not Reference.network


@functools.cache
def adopted(kind: Any, contract: Any = Reference) -> Any:
    """A frozen dataclass with an algorithm as a reference: what it does not say is answered as most answer it.

    Args:
        kind: any such class; one that keeps the contract already is returned as it is.
        contract: :class:`Reference`, or that of training steps.
    """
    if issubclass(kind, contract):
        return kind

    def equal(self: Any, other: Any) -> bool:
        return isinstance(other, kind) and all(other.__dict__[name] == value for name, value in self.values().items())

    members: dict[str, Any] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    members |= {"__doc__": kind.__doc__, "__eq__": equal, "__hash__": kind.__hash__}
    members["__post_init__"] = vars(kind).get("__post_init__", lambda self: None)
    return type(kind.__name__, (kind, contract), members)


def as_reference(config: Any) -> Any:
    """A configuration of any such class as one of its adopted class.

    Args:
        config: an instance.
    """
    given: Any = type(config)
    kind = adopted(given)
    if isinstance(config, kind):
        return config
    return kind(**{field.name: config.__dict__[field.name] for field in dataclasses.fields(kind) if field.init})
