"""A mistake in one line, with every other line as a scheduler writes it; numbers of a law that has a constant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from reference_samplers import DDPM
from reference_samplers.diffusers import EulerDiscrete
from sampler_harness.diagnosis.edited_text import edited_texts
from sampler_harness.diagnosis.explanation import Explanation
from sampler_harness.diagnosis.forms import AS_SCHEDULERS, form_named, in_all_lines, text_as
from sampler_harness.diagnosis.mutations import mutations
from sampler_harness.law.law import Law
from sampler_harness.law.program import Program, Trace, source_text
from sampler_harness.law.response import respond_reference
from sampler_harness.law.same import is_same_program
from sampler_harness.law.tolerance import PRECISIONS, derived_tolerance
from sampler_harness.observe.learned_variance import learned_variance
from scripts.diagnosed import as_sampler

from .test_diagnosis_search import CONFIGURATIONS, found_for

_BETAS = "reference_samplers/processes/betas.py"
_CHAIN = "reference_samplers/processes/table_chain.py"
_DDPM = "reference_samplers/ddpm.py"
_RESCALED = "with a rescaled table turned back into betas"


def _files(kind: type) -> set[str]:
    return {place.file for place in Program(kind).functions}


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda config: type(config).__name__)
def test_all_lines_together_have_the_references_law(config: Any) -> None:
    texts = in_all_lines({}, "", _files(type(config)))
    assert texts is not None
    learned = learned_variance(config)
    program = Program(type(config), texts=texts)
    with np.errstate(all="ignore"):
        one, other = (
            Law.of(respond_reference(each, learned_variance=learned)) for each in (config, program.configured(config))
        )
    assert is_same_program(one, other)
    assert all(text == text_as(file, AS_SCHEDULERS.name) for file, text in texts.items())


def test_an_edit_of_a_form_stays_in_all_lines_and_one_of_a_line_that_is_replaced_has_no_room() -> None:
    edited = text_as(_BETAS, _RESCALED).replace("root_0 = root[0]", "root_0 = root[1]")
    texts = in_all_lines({_BETAS: edited}, _RESCALED, _files(DDPM))
    assert texts is not None
    assert "root_0 = root[1]" in texts[_BETAS]
    assert "1e-20" in texts[_DDPM]
    other = source_text(_DDPM).replace("beta = 1 - alpha_bar / alpha_bar_next", "beta = 1 - alpha_bar")
    assert other != source_text(_DDPM)
    assert in_all_lines({_DDPM: other}, "", _files(DDPM)) is None
    assert in_all_lines({}, "with tau, the share of the noise that is drawn anew", _files(DDPM)) is None


def test_another_entry_of_a_table_may_be_set() -> None:
    file = "reference_samplers/grids/table_levels.py"
    texts = in_all_lines({}, "", _files(EulerDiscrete))
    assert texts is not None
    program, trace = Program(EulerDiscrete, texts=texts), Trace()
    config = EulerDiscrete(num_steps=3, num_train_timesteps=40, rescale_zero_terminal_snr=True, prediction="v")
    program.traced(lambda: program.configured(config).levels, trace)
    edits = mutations(program, trace, lambda function: function.node.name == "alpha_bars")
    found = [edited_texts(program, (one,))[file] for one in edits]
    assert any("table[1] = 2.0**-24" in text for text in found)


@pytest.mark.slow
def test_a_mistake_that_another_line_of_a_scheduler_covers_is_named() -> None:
    """Of a table that begins above 1 the variance is below 0: NaN in the paper's lines, 1e-20 in a scheduler's."""
    edited = text_as(_BETAS, _RESCALED).replace("root_0 = root[0]", "root_0 = root[1]")
    texts = in_all_lines({_BETAS: edited}, _RESCALED, _files(DDPM))
    assert texts is not None
    subject = as_sampler(
        Explanation("edit", DDPM, texts=texts, form=AS_SCHEDULERS.name),
        num_train_timesteps=7,
        betas=(0.01, 0.03, 0.02, 0.1, 0.2, 0.15, 0.4),
        num_steps=st.integers(2, 7),
        prediction="x0",
        rescale_zero_terminal_snr=st.booleans(),
    )
    answer = found_for(subject)
    assert "as the schedulers of diffusers are" in answer.summary
    assert [edit.sampler for edit in answer.edits] == ["root_0 = root[1]"]


def test_a_draw_behind_the_last_step_shows_where_its_variance_is_read_from_a_logarithm() -> None:
    """``exp(0.5 / log(1e-20))`` is 0.99: what is next to nothing as it should be is not in a faulty line."""
    name = "as one step of DDPMScheduler is, with the variance as a logarithm"
    config = DDPM(num_train_timesteps=100, num_steps=2, timestep_spacing="trailing", prediction="x0")
    texts = {one.file: text_as(one.file, name) for one in form_named(name).replacements}
    texts[_DDPM] = texts[_DDPM].replace("0.5 * log_variance", "0.5 / log_variance")
    law = Law.of(respond_reference(Program(DDPM, texts=texts).configured(config)))
    assert law.column(2)[2] == pytest.approx(np.exp(0.5 / np.log(1e-20)))


def test_a_constant_is_known_to_what_rounding_makes_of_it() -> None:
    """Data clamped to one number, on timesteps where 1 - alpha_bar has lost three digits of seven."""
    clamp = "np.clip(x0, -self.clip_range, self.clip_range)"
    text = source_text(_CHAIN).replace(clamp, clamp.replace("-self", "self"))
    edited = Explanation("edit", DDPM, texts={_CHAIN: text})
    config = DDPM(timesteps=(6, 5, 2), num_steps=None, prediction="x0", clip_denoised=True)
    response = respond_reference(edited.program.configured(config))
    law = Law.of(response)
    assert law.offset[-1] == 1.0
    allowed = edited.tolerance(law, response, config, "float32").offset
    table = np.asarray(config.alpha_bar, dtype=np.float32)  # what a program in float32 has
    first, second = config.levels[:2]
    told = float(np.sqrt(table[second]) * (1 - table[first] / table[second]) / (1 - table[first]))
    assert 32 * PRECISIONS["float32"].unit < abs(told - law.offset[1])
    assert abs(told - law.offset[1]) <= allowed[1]
    # No reference has a constant: where there is none, nothing is allowed that was not before.
    sound = DDPM(timesteps=(6, 5, 2), num_steps=None, prediction="x0")
    law = Law.of(respond_reference(sound))
    own = derived_tolerance(law, "float32", lambda: sound, (4, 3), reference=sound)
    assert own.offset.max() <= 32 * PRECISIONS["float32"].unit
