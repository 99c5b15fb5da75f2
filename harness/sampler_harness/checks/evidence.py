"""What the checks look at: cases, their bundles, and the law that each should have. Measured once, shared by all."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reference_samplers.contract import Reference, as_reference
from sampler_harness.cases import PAIRED_STEPS, CoveringSet, covering_set
from sampler_harness.evidence import AnyEvidence
from sampler_harness.judging import short
from sampler_harness.law.bundle import Bundle
from sampler_harness.law.comparison import Deviation, compare
from sampler_harness.law.places import PlaceMap, is_uneven, maps_places, place_map
from sampler_harness.law.same import is_same
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import Walk, walk
from sampler_harness.strategies import drawn_configurations
from sampler_harness.subject import Subject
from sampler_harness.verdict import Coverage, Finding

from .laid_out import as_laid_out
from .repeats import as_drawn
from .replayed import Held, hold
from .sources import are_seeds
from .standard import Standard
from .unreadable import Unreadable, unreadable

if TYPE_CHECKING:
    from .mended import Mending

__all__ = ["Evidence", "expected_calls"]

#: Where shapes are not declared: images, square and not, odd, of one element, of many channels.
IMAGE_SHAPES: tuple[tuple[int, ...], ...] = (
    (2, 3, 16, 16),
    (2, 1, 7, 5),
    (3, 4, 8, 2),
    (1, 1, 1, 1),
    (2, 17, 3, 3),
)
#: Room for the impulses of a long chain in one run.
ROOMY_SHAPE = (2, 3, 27, 26)
LONG_CHAIN = 300
#: Elements that a drawn case's shape must have: smaller ones need a run for every few impulses.
ROOM_TO_DRAW = 48

#: Shares of the budget's model calls.
COVERING_SHARE = 0.5
DRAWN_SHARE = 0.6
#: What a single check may spend on runs of its own.
CHECK_SHARE = 0.25


class Evidence(AnyEvidence[Subject]):
    """Everything that is measured of one subject on one device.

    Args:
        subject: the declaration.
        budget: ``quick``, ``standard`` or ``thorough``.
        device: torch device.
        standard: what to hold it against; None for the subject's reference.
        fixtures: the host's fixture values.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        budget: str = "standard",
        device: str = "cpu",
        standard: Standard | None = None,
        fixtures: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(subject, budget=budget, device=device, fixtures=fixtures)
        self.standard = standard or Standard.of_reference(subject)
        self._bundles: dict[Case, Bundle] = {}
        self._compared: dict[Case, tuple[Deviation, ...]] = {}
        self._held: dict[Case, Held] = {}
        self._sides: dict[Case, Case] = {}
        self._own_grid: dict[Case, bool] = {}
        self._not_normal: dict[Case, str] = {}
        self._references_law: dict[Case, bool] = {}
        self._mapped: dict[Case, bool] = {}
        self._walks: dict[Case, Walk] = {}

    # What is run

    @functools.cached_property
    def covering(self) -> CoveringSet:
        """The fixed configurations."""
        return covering_set(self.subject, self.budget)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Declared shapes, or images."""
        return self.subject.shapes or IMAGE_SHAPES

    @property
    def dtype(self) -> str:
        """The dtype that most checks use: the first declared one whose law is read to all digits, else the first."""
        return self._read_dtypes[0]

    @property
    def _read_dtypes(self) -> tuple[str, ...]:
        """Dtypes in which laws are read: half precision is held against these by replay, unless there is no other."""
        return tuple(d for d in self.subject.dtypes if not PRECISIONS[d].is_half) or self.subject.dtypes[:1]

    @property
    def in_half_alone(self) -> bool:
        """Whether the sampler exists in half precision alone: its law is then read to two or three digits."""
        return PRECISIONS[self.dtype].is_half

    @property
    def precise_dtype(self) -> str:
        """float64 where it is declared."""
        return "float64" if "float64" in self.subject.dtypes else self.dtype

    def shape_for(self, config: Any) -> tuple[int, ...]:
        """The sample's shape for a configuration: roomy for long chains, so that impulses fit in one run."""
        long = expected_calls(config) > LONG_CHAIN
        if self.subject.shapes is None:
            return ROOMY_SHAPE if long else IMAGE_SHAPES[0]
        if long:
            return max(self.subject.shapes, key=math.prod)
        several = [s for s in self.subject.shapes if s[0] > 1 and math.prod(s) >= 64]
        return several[0] if several else max(self.subject.shapes, key=math.prod)

    def case(self, config: Any, *, shape: tuple[int, ...] | None = None, dtype: str | None = None) -> Case:
        """A case of this subject."""
        config = as_reference(config)
        return Case(config, shape or self.shape_for(config), dtype or self.dtype, self.device)

    @functools.cached_property
    def base(self) -> Case:
        """The case that checks of shape, state and dtype start from."""
        return self.case(self.covering.base)

    @functools.cached_property
    def cases(self) -> tuple[Case, ...]:
        """Covering set, then what Hypothesis draws, as far as the budget's shares reach.

        Measured here, in this order, so that the number of cases never depends on which check asks first.
        """
        found: list[Case] = []
        for config in self.covering.configurations:
            if self._affords(config, COVERING_SHARE) or not found:
                found.append(self._measured(self.case(config)))
        shapes = [s for s in self.shapes if math.prod(s) >= ROOM_TO_DRAW] or [self.shape_for(self.covering.base)]
        dtypes = self._read_dtypes
        for config, number in drawn_configurations(self.subject, self.budget):
            if self._affords(config, DRAWN_SHARE):
                shape, dtype = shapes[number % len(shapes)], dtypes[number // len(shapes) % len(dtypes)]
                case = self.case(config, shape=shape, dtype=dtype)
                if case not in found:
                    found.append(self._measured(case))
        return tuple(found)

    def _measured(self, case: Case) -> Case:
        bundle = self.bundle(case)
        if bundle.problem is None:
            bundle.dense  # noqa: B018 - measured now, read by several checks
        return case

    def _affords(self, config: Any, share: float) -> bool:
        return self.model_calls + 4 * expected_calls(config) <= share * self.budget.model_calls

    def affords(self, calls: int) -> bool:
        """Whether one check may spend this many model calls; what others spent does not matter."""
        return calls <= CHECK_SHARE * self.budget.model_calls

    def measure_all(self) -> None:
        """Measure all cases, in their fixed order."""
        _ = self.cases

    @functools.cached_property
    def unreadable(self) -> Unreadable | None:
        """Why coefficients cannot be read; None where they can."""
        return unreadable(self)

    def untold(self, check_id: str) -> Finding | None:
        """What is said in a check's place where coefficients that it looks at cannot be read."""
        from .untold import untold

        return untold(self, check_id)

    def coverage(self) -> Coverage:
        """What was varied, as far as it has been measured."""
        try:
            covering = self.covering
            measured = self.measured_configurations
        except ValueError:
            return Coverage(model_calls=self.model_calls)
        fields, pairs = covering.seen(measured)
        wide = entries = without = 0
        widest = 0.0, ""
        for case in self.cases:
            if self.standard.law(case) is None:
                without += 1
                continue
            if self.in_half_alone:
                continue  # nothing is read to 0.1 %: law/outputs says to how much
            tolerance = self.standard.tolerance(case)
            entries += tolerance.entries
            if tolerance.wide:
                wide += tolerance.wide
                widest = max(widest, tolerance.widest, key=lambda one: round(one[0], 4))  # as it is printed
        return Coverage(
            fields=fields,
            pairs=pairs,
            not_varied=covering.not_varied,
            cases=len(self.cases),
            model_calls=self.model_calls,
            wide_tolerances="none"
            if not wide
            else f"{wide} of {entries} entries, widest {widest[0]:.2%} at {widest[1]}",
            not_compared=without,
        )

    def held_against(self, standard: Standard) -> Evidence:
        """The same runs, compared with something else.

        Args:
            standard: what with.
        """
        other = copy.copy(self)
        other.standard = standard
        other._compared, other._held, other._sides, other._own_grid = {}, {}, {}, {}
        for name in ("mending", "mending_of_times", "mending_of_runs"):
            vars(other).pop(name, None)
        # Whether draws that repeat are one draw depends on what with.
        other._bundles = {case: bundle for case, bundle in self._bundles.items() if not bundle.repeats}
        return other

    def entered(self, bundle: Bundle) -> Evidence:
        """The same, but for the runs of one case, which came about by another way in.

        Args:
            bundle: of them.
        """
        other = copy.copy(self)
        other._bundles, other._compared, other._held, other._sides = {bundle.case: bundle}, {}, {}, {}
        return other

    def named(self, configuration: str, shape: tuple[int, ...], dtype: str) -> Case | None:
        """The measured case that a finding names; None where no case is called that.

        Args:
            configuration: as :func:`short` writes it.
            shape: of the sample.
            dtype: name of it.
        """
        wanted = (configuration, shape, dtype)
        return next((case for case in self._bundles if (short(case.config), case.shape, case.dtype) == wanted), None)

    # What is measured

    def _spend(self, calls: int) -> None:
        self.model_calls += calls

    def bundle(self, case: Case) -> Bundle:
        """The runs of a case, measured once."""
        if case not in self._bundles:
            bundle = self._bundles[case] = Bundle(
                self.subject,
                case,
                call_limit=4 * expected_calls(case.config) + 64,
                spend=self._spend,
                fixtures=self.fixtures,
                unread=case.shape != self.shape_for(case.config) and self.reading_calls(case) > self.budget.model_calls,
            )
            self._bundles[case] = as_drawn(self, case, as_laid_out(bundle, is_read=case.dtype in self._read_dtypes))
        return self._bundles[case]

    def reading_calls(self, case: Case) -> int:
        """About how many model calls it takes to read a case's coefficients, each of them twice.

        Args:
            case: whose sample has room for one impulse in two elements; calls and draws need one each.
        """
        calls = expected_calls(case.config)
        return 2 * calls * math.ceil((calls + self._draws_of(case)) / max(1, case.numel // 2))

    def _draws_of(self, case: Case) -> int:
        """How many unit normals a case draws, if it draws as many for a call as the base: a tree makes dozens."""
        calls, zero = expected_calls(case.config), self.bundle(self.base).zero
        drawn = sum(d.numel for d in zero.draws if d.gaussian) // self.base.numel
        return max(calls, calls * drawn // max(1, len(zero.calls)))

    def walked(self, case: Case) -> Walk:
        """Which of the sampler's own lines run in a case."""
        if case not in self._walks:
            limit = 4 * expected_calls(case.config) + 64
            self._walks[case] = walk(self.subject, case, fixtures=self.fixtures, call_limit=limit)
        return self._walks[case]

    def compared(self, case: Case) -> tuple[Deviation, ...]:
        """Both readings of a case against the law it should have; empty where there is none."""
        if case not in self._compared:
            self._compared[case], self._sides[case] = self.deviations_of(self.bundle(case))
        return self._compared[case]

    def held(self, case: Case) -> Held:
        """The dense run of a case against the reference's replay of it: what decides where there is no law."""
        if case not in self._held:
            bundle = self.bundle(case)
            self._held[case] = hold(bundle, bundle.dense)
        return self._held[case]

    def not_normal(self, case: Case) -> str:
        """What a sampler draws that is not normal noise, which no law holds; empty where it is none, or meant."""
        if case not in self._not_normal:
            bundle = self.bundle(case)
            meant = bundle.problem is not None or self.subject.noise != "gaussian"
            other = [] if meant else [draw.operator for draw in bundle.zero.draws if not draw.gaussian]
            self._not_normal[case] = other[0] if other and not are_seeds(bundle) else ""
        return self._not_normal[case]

    @functools.cached_property
    def telling_cases(self) -> tuple[Case, ...]:
        """The base, and short cases of the covering set in which each value of each option is seen once."""
        found, seen = [self.base], set(self._values_of(self.base))
        short = [case for case in self.cases if case.config.num_calls <= 2 * PAIRED_STEPS]
        while short:
            most = max(short, key=lambda case: len(self._values_of(case) - seen))
            new = self._values_of(most) - seen
            if not new:
                break
            found.append(most)
            seen |= new
        return tuple(found)

    def _values_of(self, case: Case) -> frozenset[tuple[str, int]]:
        rows = self.covering.index.get(case.config, ())
        return frozenset(item for row in rows for item in row.items() if item[0] != "num_steps")

    @property
    def affine_cases(self) -> tuple[Case, ...]:
        """The cases whose reference has a law."""
        return tuple(case for case in self.cases if case.config.is_affine)

    def deviations_of(self, bundle: Bundle) -> tuple[tuple[Deviation, ...], Case]:
        """Both readings of a bundle against the law that its case should have.

        Args:
            bundle: of one of this subject's cases.

        Returns:
            The deviations, none where there is no law, and the case whose law that is: its own, or the other side of a
            rounding.
        """
        case = bundle.case
        if self.standard.law(case) is None or bundle.problem is not None:
            return (), case
        found = self._deviations(bundle, case)
        if _fits(found) or not self.standard.reference:
            return found, case
        for config in case.config.either_side(bundle.law.times.tolist()):
            other = dataclasses.replace(case, config=config)
            again = self._deviations(bundle, other)
            if _fits(again):
                return again, other
        return found, case

    def _deviations(self, bundle: Bundle, held_against: Case) -> tuple[Deviation, ...]:
        should_be = self.standard.law(held_against)
        assert should_be is not None
        tolerance = self.standard.tolerance(held_against)
        first = compare(bundle.law, should_be, tolerance, last_row=bundle.last_row)
        second = compare(bundle.second_law, should_be, tolerance, last_row=bundle.last_row)
        return (*first, *second)

    def has_the_references_law(self, case: Case) -> bool:
        """Whether a sampler that is held against something else has its reference's law too, in one case."""
        if case not in self._references_law:
            reference, bundle = Standard.of_reference(self.subject), self.bundle(case)
            should_be = reference.law(case)
            self._references_law[case] = (
                should_be is not None
                and bundle.problem is None
                and all(
                    is_same(measured, should_be, reference.tolerance(case), last_row=bundle.last_row)
                    for measured in (bundle.law, bundle.second_law)
                )
            )
        return self._references_law[case]

    def only_the_grid_differs(self, case: Case) -> bool:
        """Whether the sampler has the law of the reference on the sampler's own grid: all else follows from it.

        No model is told where the last step ends: that may be wrong with the rest of the grid.
        """
        if case not in self._own_grid:
            config = case.config.on_grid_of(self.bundle(case).law.times.tolist())
            self._own_grid[case] = config is not None and any(
                _fits(self._deviations(self.bundle(case), dataclasses.replace(case, config=one)))
                for one in (config, *_with_other_ends(config))
            )
        return self._own_grid[case]

    @functools.cached_property
    def mending(self) -> Mending | None:
        """The line of the sampler's own whose value, were it the reference's, would make all cases right."""
        from .mending import mending_of

        return None if self.in_half_alone else mending_of(self)

    @functools.cached_property
    def mending_of_times(self) -> Mending | None:
        """The line whose value would make all times right, where no one line makes all else right too."""
        from .mending import mending_of_times

        return None if self.in_half_alone or self.mending is not None else mending_of_times(self)

    @functools.cached_property
    def mending_of_runs(self) -> Mending | None:
        """The same of runs that have no law to go by, because of a clamp or of a step size from norms."""
        from .mending import mending_of_runs

        return None if self.in_half_alone else mending_of_runs(self)

    @functools.cached_property
    def place_map(self) -> PlaceMap | None:
        """Weights that differ from place to place, seen in the shortest case that shows any; None where none do."""
        by_calls = sorted(self.affine_cases, key=lambda case: expected_calls(case.config))
        found = (place_map(self.bundle(case)) for case in by_calls if self._maps_places(case))
        return next((one for one in found if one is not None), None)

    def is_mapped(self, case: Case) -> bool:
        """Whether a case has other weights at other places: its law is then that of one place alone."""
        return self.place_map is not None and self._maps_places(case)

    def _maps_places(self, case: Case) -> bool:
        if case not in self._mapped:
            bundle = self.bundle(case)
            self._mapped[case] = is_uneven(bundle) and maps_places(bundle)
        return self._mapped[case]

    def side_of(self, case: Case) -> Case:
        """The case that a case is held against: itself, or the other side of a rounding that it took."""
        self.compared(case)
        return self._sides.get(case, case)

    @functools.cached_property
    def measured_configurations(self) -> tuple[Any, ...]:
        """Configurations of the cases that were run."""
        return tuple(case.config for case in self.cases)


def _with_other_ends(config: Any) -> Iterator[Any]:
    """The same configuration with each level behind the last step that a table has there."""
    if "final_alpha_bar" in config.values():
        yield from (dataclasses.replace(config, final_alpha_bar=end) for end in ("one", "first"))


def _fits(deviations: tuple[Deviation, ...]) -> bool:
    return all(d.ratio <= 1.0 for d in deviations)


def expected_calls(config: Any) -> int:
    """Model calls that one run of a configuration should take."""
    calls: Any = config.num_calls  # a class of somebody's own may mean something else by it
    return calls if isinstance(calls, int) else Reference.num_calls.__get__(config)
