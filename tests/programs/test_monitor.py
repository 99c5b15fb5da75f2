"""The monitor measures without disturbing, keeps what it logged through any kill, and speaks when detail falls."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import re
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sampler_harness.detail.frames import pack_frames, read_frames, unpack_frames
from sampler_harness.detail.monitor import DetailMonitor, DetailWarning
from sampler_harness.detail.records import RECORDS, SCHEMA, Stage, read_records
from sampler_harness.detail.writing import StageWriter
from sampler_harness.report.monitor_page import monitor_page, render_monitor, write_monitor_page
from tests.programs import monitor_runs as runs

DATA = np.clip(0.3 * np.random.Generator(np.random.PCG64(7)).standard_normal((12, 1, 16, 16)), -1.0, 1.0)
LEVELS = (0.1, 1.0)
ROOT = Path(__file__).parents[2]


def shrink(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The best linear denoiser of white data of variance 0.09."""
    return x * (0.09 / (0.09 + sigma.reshape(-1, 1, 1, 1) ** 2))


def logged(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / RECORDS).read_text().splitlines()]


# What a stage holds


def test_a_stage_holds_detail_range_psnr_and_the_models_own_error(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path, levels=LEVELS) as monitor:
        stage = monitor.log(100, samples=0.5 * DATA, model=shrink, targets=DATA, checkpoint=Path("a.pt"))
    assert stage.retained == pytest.approx((0.25,) * 3)
    assert stage.problem is None
    assert (stage.step, stage.attempt, stage.checkpoint) == (100, 1, "a.pt")
    seen = stage.sample_range
    assert seen is not None
    assert (seen.low, seen.high, seen.outside) == (0.5 * DATA.min(), 0.5 * DATA.max(), 0.0)
    assert stage.psnr == pytest.approx(10 * math.log10(4 / (0.25 * (DATA**2).mean())))
    assert [level.sigma for level in stage.denoising] == list(LEVELS)
    low, high = (level.relative for level in stage.denoising)
    variance = float(DATA.var())
    assert low == pytest.approx(0.01 * 0.09 / 0.1 / variance, rel=0.2)
    assert high == pytest.approx(0.09 / 1.09 / variance, rel=0.2)
    assert read_records(tmp_path).current == (replace(stage, seconds=round(stage.seconds, 3)),)


def test_values_outside_the_range_are_counted(tmp_path: Path) -> None:
    samples = DATA.copy()
    samples[:, :, :4] = 3.0
    with DetailMonitor(DATA, tmp_path) as monitor:
        seen = monitor.log(1, samples=samples).sample_range
    assert seen is not None
    assert seen.outside == pytest.approx(0.25)
    assert seen.high == 3.0


def test_the_same_frames_give_the_same_figures(tmp_path: Path) -> None:
    found: list[Stage] = []
    for name in ("a", "b"):
        torch.manual_seed(len(found))
        with DetailMonitor(DATA, tmp_path / name, levels=LEVELS) as monitor:
            found.append(monitor.log(1, samples=DATA, model=shrink))
    assert replace(found[0], seconds=0.0) == replace(found[1], seconds=0.0)


@pytest.mark.parametrize(
    "give",
    [
        lambda: torch.as_tensor(DATA),
        lambda: DATA[:, 0],
        lambda: list(DATA),
        lambda: [torch.as_tensor(frame) for frame in DATA],
        lambda: [DATA[:5], DATA[5:]],
        lambda: [(DATA[:5], np.arange(5)), (DATA[5:], np.arange(7))],
        lambda: ({"pixels": batch} for batch in (DATA[:6], DATA[6:])),
        lambda: (DATA[start : start + 6, 0] for start in (0, 6)),
        lambda: torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.as_tensor(DATA)), batch_size=5),
        lambda: torch.utils.data.TensorDataset(torch.as_tensor(DATA)),
    ],
)
def test_data_comes_in_many_forms(give: Callable[[], Any], tmp_path: Path) -> None:
    before = torch.get_rng_state()
    with DetailMonitor(give(), tmp_path) as monitor:
        assert monitor.log(1, samples=DATA).retained == pytest.approx((1.0,) * 3)
    assert torch.equal(before, torch.get_rng_state()), "looking at the data must not draw from the training's stream"


def test_few_frames_are_kept_of_many(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path, items=4, levels=LEVELS, denoiser_items=3) as monitor:
        assert logged(tmp_path)[0]["frames"] == 4
        assert "6 denoised frames (3 at each of 2 noise levels)" in monitor.cost
        many = np.concatenate([DATA[[0, 4, 7, 11]], 100.0 * DATA])
        kept = monitor.log(1, samples=many[[0, 1, 2, 3]]).retained
    assert kept == pytest.approx((1.0,) * 3)


# Nothing is disturbed


class Net(torch.nn.Module):
    """Draws from every stream, drops out, and counts what it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(1)
        self.frozen = torch.nn.Dropout(0.5)
        self.calls: list[tuple[bool, bool]] = []

    def forward(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        self.calls.append((self.training, torch.is_grad_enabled()))
        noise = torch.randn(1) + np.random.rand() + random.random()  # noqa: NPY002 - a careless model
        answer: torch.Tensor = self.frozen(self.norm(self.layer(x.float()))) + 0.0 * noise
        return answer


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: lambda x, sigma: net(x, sigma), lambda net: net.forward])
@pytest.mark.parametrize("fails", [False, True])
def test_the_training_loop_is_as_before(wrap: Callable[[Net], Any], fails: bool, tmp_path: Path) -> None:
    net = Net().train()
    net.frozen.eval()
    if fails:
        net.layer = torch.nn.Conv2d(2, 1, 3)  # takes another number of channels
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    samples = torch.as_tensor(DATA).requires_grad_()
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index] # noqa: NPY002
    with DetailMonitor(DATA, tmp_path, levels=LEVELS) as monitor:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            stage = monitor.log(1, samples=samples, model=wrap(net), trajectory=[samples * 2, samples])
        assert bool(told) == fails == (stage.problem is not None)
    assert net.training
    assert net.layer.training
    assert not net.frozen.training, "a part that was frozen stays frozen"
    assert torch.is_grad_enabled()
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()  # type: ignore[index] # noqa: NPY002
    assert states[2] == random.getstate()
    assert all(torch.equal(weights[name], value) for name, value in net.state_dict().items()), "batch statistics moved"
    assert net.calls
    assert set(net.calls) == {(False, False)}, "eval mode, no graph"
    assert samples.grad is None
    assert all(parameter.grad is None for parameter in net.parameters())


# What cannot be measured is a sentence


def bad_samples() -> dict[str, tuple[dict[str, Any], str]]:
    holed = DATA.copy()
    holed[3, 0, 0, 0] = np.nan
    return {
        "NaN": ({"samples": holed}, "first in frame 3"),
        "all NaN": ({"samples": np.full_like(DATA, np.nan)}, "no value of the samples is finite"),
        "another size": ({"samples": np.zeros((4, 1, 8, 8))}, r"samples have \(C, H, W\) = \(1, 8, 8\), the data"),
        "more channels": ({"samples": np.zeros((4, 3, 16, 16))}, r"\(3, 16, 16\)"),
        "one frame": ({"samples": DATA[0, 0]}, r"should be \(N, C, H, W\)"),
        "none": ({"samples": DATA[:0]}, "empty"),
        "text": ({"samples": "samples.png"}, "detail was not measured"),
        "a number": ({"samples": 3}, "tensor or array"),
        "nothing": ({}, "there was nothing to measure"),
        "targets of another number": ({"samples": DATA, "targets": DATA[:3]}, "12 samples and 3 targets"),
        "a model that raises": ({"model": lambda x, sigma: x / torch.zeros(3)}, "denoising error was not measured"),
        "no model": ({"model": 3}, "denoising error was not measured"),
        "no trajectory": ({"samples": DATA, "trajectory": []}, "trajectory is empty"),
    }


@pytest.mark.parametrize("name", bad_samples())
def test_a_bad_stage_is_recorded_with_a_sentence(name: str, tmp_path: Path) -> None:
    given, message = bad_samples()[name]
    with DetailMonitor(DATA, tmp_path, levels=LEVELS) as monitor:
        with pytest.warns(DetailWarning, match=message):
            stage = monitor.log(7, **given)
        assert stage.problem is not None
        assert "\n" not in stage.problem
        assert read_records(tmp_path).stages[0].problem == stage.problem
        assert monitor.log(8, samples=DATA).problem is None, "the next stage is measured"
    assert "step 7: " in "\n".join(render_monitor(tmp_path))


def test_a_model_that_gives_nan_at_one_level_is_measured_at_the_others(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path, levels=(0.1, 1.0, 2.0, 3.0)) as monitor:
        with pytest.warns(DetailWarning, match=r"at sigma 2 .*NaN.*the same or another at 1 level more"):
            stage = monitor.log(1, model=lambda x, sigma: x / (sigma < 1.5).reshape(-1, 1, 1, 1), samples=DATA)
        assert monitor.log(2, model=shrink).problem is None
    assert stage.retained is not None
    assert [level.sigma for level in stage.denoising] == [0.1, 1.0]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (np.zeros((0, 1, 16, 16)), {}, "empty"),
        ([], {}, "empty"),
        ([np.zeros((16, 16)), np.zeros((16, 8))], {}, "different sizes"),
        (np.full((2, 16, 16), np.nan), {}, "NaN or infinity"),
        (np.zeros((2, 16, 16)), {}, "no detail at all"),
        (255 * np.abs(DATA), {}, r"lies outside data_range \(-1, 1\)"),
        (np.zeros((8, 16, 7)), {}, r"shape \(8, 16, 7\) are no pictures.*Sequences"),
        ("frames.npy", {}, "give the frames themselves"),
        (3, {}, "give the frames themselves"),
        ([1, 2, 3], {}, "hand out images"),
        ([{"label": 3}], {}, "hands out no image"),
        (DATA, {"items": 0}, "items is 0"),
        (DATA, {"denoiser_items": 2.5}, "denoiser_items is 2.5"),
        (DATA, {"levels": [0.0]}, "noise levels above 0"),
        (DATA, {"levels": []}, "noise levels above 0"),
        (DATA, {"data_range": (1, -1)}, "lowest and the highest"),
        (DATA, {"data_range": 2}, "lowest and the highest"),
    ],
)
def test_a_wrong_call_is_refused_at_once(data: Any, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        DetailMonitor(data, tmp_path / "detail", **options)
    assert not (tmp_path / "detail" / RECORDS).exists(), "a refused call leaves no records"


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "detail").write_text("mine")
    with pytest.raises(ValueError, match="is a file, should be a directory"):
        DetailMonitor(DATA, tmp_path / "detail")
    assert (tmp_path / "detail").read_text() == "mine"


@pytest.mark.parametrize("step", [1.5, True, "ten", None, math.nan])
def test_a_step_is_a_number(step: Any, tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path) as monitor, pytest.raises(ValueError, match="number of the training step"):
        monitor.log(step, samples=DATA)


def test_a_step_may_be_a_tensor(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path) as monitor:
        assert monitor.log(torch.tensor(5), samples=DATA).step == 5  # type: ignore[arg-type]


# Records


def test_a_second_start_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    for start in (0, 2):
        with DetailMonitor(DATA, tmp_path) as monitor:
            for step in (start + 1, start + 2):
                monitor.log(step, samples=DATA)
            assert [stage.step for stage in monitor.stages] == list(range(1, start + 3))
    records = read_records(tmp_path)
    assert [stage.run for stage in records.stages] == [0, 0, 1, 1]
    assert records.notes == ()


def test_a_step_that_comes_again_is_a_later_attempt(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path) as monitor:
        for step, gain in ((1, 1.0), (2, 0.5)):
            monitor.log(step, samples=gain * DATA)
    with DetailMonitor(DATA, tmp_path) as monitor:
        again = monitor.log(2, samples=0.9 * DATA)
    assert again.attempt == 2
    records = read_records(tmp_path)
    assert [(stage.step, stage.attempt) for stage in records.stages] == [(1, 1), (2, 1), (2, 2)]
    assert [stage.retained[0] for stage in records.current if stage.retained] == pytest.approx([1.0, 0.81])
    assert len({stage.frames for stage in records.stages}) == 3, "the frames of the first attempt stay"
    assert all((tmp_path / str(stage.frames)).is_file() for stage in records.stages)


def test_other_data_of_the_same_size_is_told(tmp_path: Path) -> None:
    DetailMonitor(DATA, tmp_path).close()
    with pytest.warns(DetailWarning, match="measured against other frames of data"):
        DetailMonitor(DATA[::-1], tmp_path).close()


def test_frames_of_another_size_need_another_directory(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path) as monitor:
        monitor.log(1, samples=DATA)
    before = (tmp_path / RECORDS).read_bytes()
    with pytest.raises(ValueError, match="log to another directory"):
        DetailMonitor(DATA[:, :, :8, :8], tmp_path)
    assert (tmp_path / RECORDS).read_bytes() == before


def test_a_torn_last_line_is_set_aside_and_kept(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path) as monitor:
        monitor.log(1, samples=DATA)
    torn = b'{"schema":1,"record":"stage","step":2,"retai'
    with (tmp_path / RECORDS).open("ab") as file:
        file.write(torn)
    assert any("not finished" in note for note in read_records(tmp_path).notes)
    with pytest.warns(DetailWarning, match=r"44 bytes of a write that was cut short were moved to .*stages\.torn"):
        monitor = DetailMonitor(DATA, tmp_path)
    monitor.log(2, samples=DATA)
    monitor.close()
    assert (tmp_path / "stages.torn").read_bytes() == torn + b"\n"
    records = read_records(tmp_path)
    assert [stage.step for stage in records.stages] == [1, 2]
    assert any("stages.torn" in note for note in records.notes)
    DetailMonitor(DATA, tmp_path).close()  # told once, not at each start


@pytest.mark.parametrize("line", [b"no json at all", b'{"schema":1}', b'{"step":3}', b'{"schema":1,"record":"stage"}'])
def test_an_unreadable_line_is_told_and_left(line: bytes, tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path) as monitor:
        monitor.log(1, samples=DATA)
    with (tmp_path / RECORDS).open("ab") as file:
        file.write(line + b"\n")
    with pytest.warns(DetailWarning, match=f"line 3 of .*{re.escape(RECORDS)}"):
        monitor = DetailMonitor(DATA, tmp_path)
    monitor.log(2, samples=DATA)
    monitor.close()
    assert line in (tmp_path / RECORDS).read_bytes().splitlines(), "nothing is overwritten"
    records = read_records(tmp_path)
    assert [stage.step for stage in records.stages] == [1, 2]
    assert "line 3" in records.notes[0]
    assert "line 3" in monitor_page(tmp_path)


def test_a_first_line_that_is_lost_costs_only_the_names(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path) as monitor:
        monitor.log(1, samples=DATA)
    lines = (tmp_path / RECORDS).read_bytes().splitlines(keepends=True)
    (tmp_path / RECORDS).write_bytes(b"#" + b"".join(lines))
    records = read_records(tmp_path)
    assert [stage.step for stage in records.stages] == [1]
    assert records.octaves == ("octave 1", "octave 2", "octave 3")
    assert "octave 1" in monitor_page(tmp_path)


def test_a_newer_schema_is_refused_and_left(tmp_path: Path) -> None:
    newer = json.dumps({"schema": SCHEMA + 1, "record": "wave"}).encode() + b"\n"
    (tmp_path / RECORDS).write_bytes(newer)
    for attempt in (read_records, lambda path: DetailMonitor(DATA, path)):
        with pytest.raises(ValueError, match="newer version"):
            attempt(tmp_path)
    assert (tmp_path / RECORDS).read_bytes() == newer


def test_records_that_are_not_there_are_said_not_to_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no stages"):
        read_records(tmp_path)
    (tmp_path / RECORDS).mkdir()
    with pytest.raises(ValueError, match="cannot be"):
        read_records(tmp_path)
    with pytest.raises(ValueError, match="cannot be written"):
        DetailMonitor(DATA, tmp_path)


def test_a_full_disk_costs_no_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with DetailMonitor(DATA, tmp_path) as monitor:
        monitor.log(1, samples=DATA)

        def full(file: int, line: bytes) -> int:
            write(file, bytes(line)[:20])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.warns(DetailWarning, match="No space left on device.*written with the next one"):
            assert monitor.log(2, samples=DATA).step == 2
        monkeypatch.setattr(os, "write", write)
        monitor.log(3, samples=DATA)
    records = read_records(tmp_path)
    assert [stage.step for stage in records.stages] == [1, 2, 3]
    assert records.notes == ()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    script = """
        import sys
        from sampler_harness.detail.records import Run
        from sampler_harness.detail.writing import StageWriter
        writer = StageWriter(sys.argv[1], Run(("2 to 4 px",), (1.0,), (-1.0, 1.0), (1, 16, 16), 12, "x", 1.0))
        print("open", flush=True)
        sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(ValueError, match=rf"pid {other.pid}\) is logging to .*rank 0 alone"):
            DetailMonitor(DATA, tmp_path)
        other.kill()
    (tmp_path / RECORDS).unlink()
    DetailMonitor(DATA, tmp_path).close()  # a killed process leaves no lock


def test_a_second_monitor_in_one_process_takes_over(tmp_path: Path) -> None:
    first = DetailMonitor(DATA, tmp_path)
    first.log(1, samples=DATA)
    with DetailMonitor(DATA, tmp_path) as second:
        second.log(2, samples=DATA)
        with pytest.raises(ValueError, match="is not open for writing"):
            first.log(3, samples=DATA)
    assert [stage.step for stage in read_records(tmp_path).stages] == [1, 2]


def test_a_forked_copy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DetailMonitor(DATA, tmp_path) as monitor:
        process = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: process + 1)
        with pytest.raises(ValueError, match="forked copy"):
            monitor.log(1, samples=DATA)
        monkeypatch.undo()
    assert read_records(tmp_path).stages == ()


KILLED = """
    import os, signal, sys, time, warnings
    import numpy as np
    import scipy.stats
    import torch
    from pathlib import Path
    from sampler_harness.detail.monitor import DetailMonitor

    warnings.simplefilter("ignore")
    out, acknowledged = sys.argv[1:]
    data = np.clip(0.3 * np.random.Generator(np.random.PCG64(7)).standard_normal((4, 1, 8, 8)), -1, 1)
    write, sync, cut, replace = os.write, os.fsync, os.ftruncate, Path.replace

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def train(kill, ready):
        '''Log stages until the kill: in the middle of a line, before its newline, before or after it is safe, …'''
        left = [3 + kill // 7]  # so many writes of lines go well, the line of the start among them

        def half(file, line):
            left[0] -= 1
            if left[0] > 0 or kill % 7 not in (0, 1, 2):
                return write(file, line)
            whole = bytes(line)
            write(file, {0: whole[: len(whole) // 2], 1: whole[:-1], 2: whole}[kill % 7])
            die()

        def unsafe(file):
            if kill % 7 == 3 and left[0] <= 0:
                die()
            return sync(file)

        def renamed(path, target):
            if kill % 7 == 4 and left[0] <= 1:
                die()
            return replace(path, target)

        def shortened(file, length):
            if kill % 7 == 5:
                die()  # the torn line was copied, and is not cut off yet
            return cut(file, length)

        os.write, os.fsync, os.ftruncate, Path.replace = half, unsafe, shortened, renamed
        monitor = DetailMonitor(data, out)
        steps = 1 + max([stage.step for stage in monitor.stages], default=0)
        log = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for step in range(steps, steps + 60):  # more than any kill waits for
            monitor.log(step, samples=data * (1 + step % 5) / 5, checkpoint=f"{kill}-{step}")
            write(log, f"{step} {kill}-{step}\\n".encode())
            if step == steps + 1:
                write(ready, b"!")

    for kill in range(20):
        wait, ready = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                train(kill, ready)
            finally:
                os._exit(9)
        os.close(ready)
        if kill % 7 == 6:
            os.read(wait, 1)
            time.sleep(0.003 * kill)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(wait)
        if kill % 7 == 5 and os.WIFEXITED(status) is False and os.WTERMSIG(status) == signal.SIGKILL:
            print("killed while setting aside")
        elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            print("killed")
        else:
            print("ended by itself", status)
        if kill % 7 == 4:  # what the next start sets aside, and is killed at
            with open(out + "/stages.jsonl", "ab") as file:
                file.write(b'{"schema":1,"record":"sta')
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork and no SIGKILL")
def test_twenty_kills_lose_no_logged_stage(tmp_path: Path) -> None:
    out, acknowledged = tmp_path / "detail", tmp_path / "acknowledged"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(out), str(acknowledged)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    told = done.stdout.splitlines()
    assert len(told) == 20, done.stderr
    assert all(line.startswith("killed") for line in told), (told, done.stderr)
    assert told.count("killed while setting aside") == 3
    logged_stages = [line.split() for line in acknowledged.read_text().splitlines()]
    assert len(logged_stages) >= 20
    found = {(stage.step, stage.checkpoint): stage for stage in read_records(out).stages}
    lost = [(step, name) for step, name in logged_stages if (int(step), name) not in found]
    assert lost == []
    for step, name in logged_stages:
        stage = found[int(step), name]
        assert stage.retained == pytest.approx((((1 + int(step) % 5) / 5) ** 2,) * 2)
        assert read_frames(out / str(stage.frames))["samples"].shape == (4, 1, 8, 8)
    assert not [note for note in read_records(out).notes if "line " in note and "not finished" not in note]
    assert (out / "stages.torn").stat().st_size > 0
    assert monitor_page(out)


# Frames


def test_frames_are_kept_small_and_come_back(tmp_path: Path) -> None:
    states = [scale * DATA for scale in np.linspace(8.0, 1.0, 18)]
    with DetailMonitor(DATA, tmp_path) as monitor:
        stage = monitor.log(3, samples=DATA, trajectory=states)
    arrays = read_frames(tmp_path / str(stage.frames))
    assert arrays["trajectory"].shape == (6, 1, 16, 16)
    assert list(arrays["places"]) == [0, 3, 7, 10, 14, 17]
    np.testing.assert_allclose(unpack_frames(arrays["trajectory"])[-1], DATA[0], atol=0.5 / 127 + 1e-12)
    assert arrays["divided"][0] > 1.0, "noise is fitted to the range"
    assert arrays["divided"][-1] == 1.0, "the sample is as it is"
    np.testing.assert_allclose(unpack_frames(arrays["samples"]), DATA[:6], atol=0.5 / 127 + 1e-12)


def test_frames_keep_what_is_not_finite_and_are_cut_not_shrunk() -> None:
    frames = np.zeros((1, 1, 200, 140))
    frames[0, 0, 100, 70] = np.nan
    packed, divided = pack_frames(frames, (-1, 1), fit=True)
    assert packed.shape == (1, 1, 128, 128)
    assert np.isnan(unpack_frames(packed)).sum() == 1
    assert list(divided) == [1.0]


def test_frames_that_are_missing_are_told_on_the_page(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path) as monitor:
        stages = [monitor.log(step, samples=DATA) for step in (1, 2, 3)]
    (tmp_path / str(stages[0].frames)).unlink()
    (tmp_path / str(stages[1].frames)).write_bytes(b"PK half a file")
    page = monitor_page(tmp_path)
    assert "the frames of step 1 are not shown" in page
    assert "the frames of step 2 are not shown" in page
    assert "<span>step 3</span>" in page


# The trend, and what else reads the stages


def log_run(monitor: DetailMonitor, stages: tuple[Stage, ...]) -> list[str]:
    """Log samples with the detail of a synthetic run; returns the warnings."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for stage in stages:
            assert stage.retained is not None
            monitor.log(stage.step, samples=math.sqrt(stage.retained[0]) * DATA, checkpoint=stage.checkpoint)
    return [str(one.message) for one in told]


def test_the_alarm_is_told_once(tmp_path: Path) -> None:
    stages = runs.FADING["the story"][0]
    with DetailMonitor(DATA, tmp_path) as monitor:
        told = log_run(monitor, stages[:15])
        assert len(told) == 1
        assert re.match(r"detail of .* fell from 0\.\d\d \(step 5000\) .*; detail was best at step 5000", told[0])
        assert monitor.trend().alarm
    with DetailMonitor(DATA, tmp_path) as monitor:
        assert log_run(monitor, stages[15:]) == [], "a second start knows that it was told"
        assert monitor.trend().alarm


def test_a_sound_run_is_silent(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path) as monitor:
        assert log_run(monitor, runs.SOUND["improves, then flat"]) == []


class Scalars:
    """What a TensorBoard writer is asked for."""

    def __init__(self) -> None:
        self.written: dict[str, tuple[float, int]] = {}

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.written[tag] = (value, step)


def test_scalars_go_to_a_writer(tmp_path: Path) -> None:
    writer = Scalars()
    with DetailMonitor(DATA, tmp_path, levels=LEVELS, tensorboard=writer) as monitor:
        stage = monitor.log(4, samples=DATA, model=shrink)
    share, step = writer.written["detail/octave_1"]
    assert share == pytest.approx(1.0)
    assert step == 4
    assert writer.written["detail/denoising_error/0.1"] == (stage.denoising[0].relative, 4)


def test_tensorboard_that_is_missing_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match=r"^tensorboard=True needs the package tensorboard: pip install"):
        DetailMonitor(DATA, tmp_path, tensorboard=True)


# The page


def fill(directory: Path, stages: tuple[Stage, ...]) -> None:
    run = runs.records_of(stages).runs[0]
    writer = StageWriter(directory, run)
    for stage in stages:
        writer.append(stage)
    writer.close()


def test_the_page_begins_with_the_verdict_and_stands_alone(tmp_path: Path) -> None:
    fill(tmp_path, runs.FADING["the story"][0])
    page = write_monitor_page(tmp_path, tmp_path / "page.html").read_text(encoding="utf-8")
    headline = re.search(r"<h1 class=\"(\w+)\">(.*?)</h1>", page)
    assert headline is not None
    assert headline.group(1) == "bad"
    assert headline.group(2).startswith("Detail of 2 to 4 px fell from 0.91 (step 5000) to 0.42 (step 20000)")
    assert "Keep model-5000.pt (step 5000)" in page
    assert page.count("<svg") == 2, "detail and denoising error"
    for text in ("keep 5,000", "falls from 7,000", "σ = 0.05", "16 to 32 px", "model-20000.pt", "← keep"):
        assert text in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page), "a page fetches nothing"
    assert page == monitor_page(tmp_path)


def test_the_page_shows_strips_range_and_psnr(tmp_path: Path) -> None:
    with DetailMonitor(DATA, tmp_path, levels=LEVELS) as monitor:
        for step in range(1, 13):
            monitor.log(step, samples=DATA, targets=DATA + 0.1, model=shrink, trajectory=[3 * DATA, DATA])
    page = monitor_page(tmp_path)
    assert page.count("data:image/png;base64") == 2
    assert page.count("<svg") == 4
    for text in ("Intermediate denoising steps", "<span>2 of 2</span>", "<span>data</span>", "<span>step 12</span>"):
        assert text in page
    assert page.count("<span>step ") == 20, "at most ten stages a strip"
    assert '<h1 class="good">' in page


def test_an_empty_directory_has_a_page_too(tmp_path: Path) -> None:
    DetailMonitor(DATA, tmp_path).close()
    assert "No stage has been logged yet" in monitor_page(tmp_path)
    assert render_monitor(tmp_path) == [f"{tmp_path}: No stage has been logged yet"]


def test_the_terminal_shows_verdict_table_and_marks(tmp_path: Path) -> None:
    fill(tmp_path, runs.FADING["the story"][0])
    lines = render_monitor(tmp_path)
    assert "Detail of 2 to 4 px fell" in lines[0]
    kept = next(line for line in lines if line.endswith("<- keep"))
    assert kept.split()[:2] == ["5000", "0.91"]
    assert next(line for line in lines if line.endswith("<- falls from here")).split()[0] == "7000"
    assert sum("model-" in line for line in lines) == 21
