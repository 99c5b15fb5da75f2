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
import inspect
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    def has_steps(self) -> bool:
        """Whether there are steps to hold a program against: what only stands for a reference has none."""
        return True

    @property
    def levels(self) -> Sequence[Any] | Array:
        """``(N + 1,)`` the grid, from the noisiest level to where the run ends; empty where it has none."""
        return ()

    @property
    def num_levels(self) -> int:
        """N: the levels at which a step begins; 0 where nothing says so."""
        return len(self.levels) - 1 if len(self.levels) else int(self.values().get("num_steps") or 0)

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

    @property
    def returns_last_x0(self) -> bool:
        """Whether what is returned is the last step's x0 by itself: no line behind it shows in the sample then."""
        return False

    # Where rounding decides, and what it does

    @property
    def window_levels(self) -> Sequence[float]:
        """Noise levels of the grid between which the edge of a window may lie, data units."""
        return ()

    @property
    def exact_window_ends(self) -> Mapping[str, Sequence[float]]:
        """Field that is an end of a window to the values that put it on a level, in numbers that every dtype holds."""
        return {}

    @property
    def window_ends(self) -> Mapping[str, bool]:
        """Field that is an end of a window in effect here, to whether a level lies on it in exact numbers."""
        return {}

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

    def spread_of_time(self, time: float, unit: float) -> float:
        """How far apart programs that round in different places work out a time; 0 where it is given.

        Args:
            time: what the model is told.
            unit: unit roundoff.
        """
        return 0.0

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

    def velocity_scales(self, index: int) -> tuple[float, float]:
        """Scales of data and noise in the velocity at an entry of the grid (Salimans & Ho 2022, arXiv:2202.00512).

        Args:
            index: in [0, N]; N is the returned sample.

        Raises:
            ValueError: for an index beyond the grid.
        """
        signal, noise = self.forward_scales(index)
        size = (signal**2 + noise**2) ** 0.5
        return -noise / size, signal / size

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


#: What only the contract itself can say of a class.
_OURS = ("values", "refuse_beside", "has_forward", "has_network")


class _Quiet:
    """Keeps a class that joins others from being told to them: it is no subclass that their author wrote."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        pass


@functools.cache
def adopted(kind: Any, contract: Any = Reference) -> Any:
    """A frozen dataclass with an algorithm as a reference: what it does not say is answered as most answer it.

    Context: harness and diagnosis ask a reference by its contract, and a user's own class knows nothing of it.
    Choice: a subclass of both, in which the user's class comes first; configurations are equal, print and pickle as its
    own. Reversed by: users whose samplers ask for the type of their configuration itself.

    Args:
        kind: any such class; one that keeps the contract already is returned as it is.
        contract: :class:`Reference`, or that of training steps.

    Raises:
        ValueError: where a field of it has a name that the contract needs.
    """
    if issubclass(kind, contract):
        return kind
    names = [field.name for field in dataclasses.fields(kind)]
    shared = [name for name in names if name in dir(contract)]
    taken = [name for name in shared if name == "levels" or not isinstance(getattr(contract, name), property)]
    if taken:
        raise ValueError(
            f"{kind.__name__} has a field {taken[0]!r}, by which a reference is asked for something else: give it "
            "another name"
        )
    meant = [name for name in _OURS if _says(kind, name)]
    if meant:
        raise ValueError(
            f"{kind.__name__} has its own {meant[0]!r}, by which a reference is asked for something else: give it "
            "another name"
        )
    members: dict[str, Any] = {name: getattr(kind, name, None) for name in shared}  # else the contract's property wins
    members |= {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    if not _says(kind, "__post_init__"):
        members["__post_init__"] = lambda self: None
    if _is_made_by_decorator(kind, "__eq__"):  # which wants one class on both sides
        compared = operator.attrgetter("__class__", *(f.name for f in dataclasses.fields(kind) if f.compare))
        members["__eq__"] = lambda self, other: (
            isinstance(other, kind) and bool(compared(self)[1:] == compared(other)[1:])
        )
        members["__hash__"] = kind.__hash__
    if contract is Reference and inspect.isfunction(inspect.getattr_static(kind, "levels", None)):
        members["num_levels"] = property(lambda self: int(self.values().get("num_steps") or 0))
    members["__reduce__"] = lambda self: (_rebuilt, (kind, contract, dict(self.values())))
    if contract is Reference and not _says(kind, "levels"):
        members["levels"] = property(_levels_of(kind, names))
    return type(kind.__name__, (_Quiet, kind, contract), members)


def _says(kind: type[Any], name: str) -> bool:
    """Whether a class, or one that it is made of, says what ``name`` is."""
    return any(name in vars(base) for base in kind.__mro__[:-1])


def _is_made_by_decorator(kind: type[Any], name: str) -> bool:
    """Whether ``dataclass`` wrote a method, and not the class's author or :class:`object`."""
    found = inspect.getattr_static(kind, name)
    return inspect.isfunction(found) and found.__code__.co_filename == "<string>"


def _levels_of(kind: type[Any], names: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    """How a class of somebody's own says which levels it visits, under one of the usual names."""
    if _says(kind, "sigma_grid"):
        return lambda self: self.sigma_grid
    if _says(kind, "grid"):
        return lambda self: (*self.grid, 0)
    if "sigmas" in names:
        return lambda self: self.sigmas or ()
    if "timesteps" in names:
        return lambda self: () if self.timesteps is None else (*self.timesteps, 0)
    return lambda self: ()


def _rebuilt(kind: Any, contract: Any, values: Mapping[str, Any]) -> Any:
    """A configuration from its pickle."""
    return _made(adopted(kind, contract), values)


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    return kind(**{field.name: values[field.name] for field in dataclasses.fields(kind) if field.init})


def as_reference(config: Any) -> Any:
    """A configuration of any such class as one of its adopted class.

    Args:
        config: an instance.
    """
    given: Any = type(config)
    kind = adopted(given)
    if isinstance(config, kind):
        return config
    return _made(kind, Reference.values(config))
