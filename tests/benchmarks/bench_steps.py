"""Training steps: precision, compilation, orderings, rate, growth with size, memory; and the paper's model on a GPU."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from timing import Goal, Row, at_least, at_most, compare, seconds_of
from training_step import Step, arms, compiled, flops_of

from prior_lab.models import AutoencoderConfig, ContrastiveConfig
from prior_lab.orderings import LABELS, OrderingName

BATCH, PAIRS = 32, 64
BFLOAT16, FLOAT32 = torch.bfloat16, torch.float32
BESIDE = {"levels": (4, 6), "batch": (8, 128), "width": (64, 128)}  # the default: 7 levels, batch 32, width 96


def autoencoder(device: torch.device) -> Iterator[Row]:
    """The laptop preset in both precisions, compiled, and PRIOR's step over MBOP-TD's."""
    yield from _both_precisions(device, AutoencoderConfig.preset, "autoencoder", BATCH, limit=3.0)
    yield from _compiled(device, AutoencoderConfig.preset, "autoencoder", BATCH)


def contrastive(device: torch.device) -> Iterator[Row]:
    """The laptop preset of contrastive learning, with fewer rounds, on a CPU for Gaussian tokens alone."""
    yield from _both_precisions(device, ContrastiveConfig.preset, "contrastive", PAIRS, limit=1.0)
    if device.type == "cuda":
        yield from _compiled(device, ContrastiveConfig.preset, "contrastive", PAIRS)


def rate(device: torch.device) -> Iterator[Row]:
    """Achieved FLOP/s of PRIOR's step, over those of a matrix product."""
    for precision in (FLOAT32, BFLOAT16) if device.type == "cuda" else (FLOAT32,):
        step = Step(AutoencoderConfig.preset("laptop"), device, batch=BATCH, precision=precision)
        yield _rate(step, device, "PRIOR gaussian autoencoder, laptop", precision)


def scaling(device: torch.device) -> Iterator[Row]:
    """Time per image with other numbers of tokens, batches and widths, over that of the default."""
    for ordering in ("prior", "td"):
        config = AutoencoderConfig.preset("laptop", ordering=ordering)
        default = Step(config, device, batch=BATCH)
        for setting, values in BESIDE.items():
            for value in values:
                batch = value if setting == "batch" else BATCH
                other = Step(config if setting == "batch" else replace(config, **{setting: value}), device, batch=batch)
                times = compare(default, other, device, limit=1.0, rounds=5)
                share = BATCH / batch
                told = f"{2**value - 1} tokens" if setting == "levels" else f"{setting} {value}"
                yield Row(
                    name=f"{LABELS[ordering]} autoencoder, 127 tokens, batch {BATCH}, width {config.width}",
                    against=told,
                    seconds=times.seconds,
                    peer_seconds=times.peer_seconds,
                    ratio=times.ratio * share,
                    images_per_second=BATCH / times.seconds,
                    note="ratio of times per image",
                )


def memory(device: torch.device) -> Iterator[Row]:
    """Peak memory of a step in float32: of the device, or else of a whole process that does nothing else."""
    for ordering in ("td", "prior"):
        name = f"{LABELS[ordering]} gaussian autoencoder, laptop, float32"
        if device.type == "cuda":
            step = Step(AutoencoderConfig.preset("laptop", ordering=ordering), device, batch=BATCH)
            yield Row(name=name, memory=_peak(step, device), note="of the device")
        else:
            command = [sys.executable, str(Path(__file__).with_name("process_memory.py")), ordering, str(BATCH)]
            told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            yield Row(
                name=name, memory=told["peak"], note=f"of the process, {told['before']:.0f} before the first step"
            )


def paper(device: torch.device) -> Iterator[Row]:
    """The paper's size: bfloat16 compiled against plain float32, and PRIOR with 127 tokens at batch 1,024."""
    if device.type != "cuda":
        yield Row(name="paper preset", note="only with --device cuda; not measured here")
        return
    for ordering in ("td", "prior"):
        config, name = AutoencoderConfig.preset("paper", ordering=ordering), f"{LABELS[ordering]} gaussian, paper"
        fast = compiled(Step(config, device, batch=256, precision=BFLOAT16))
        plain = Step(config, device, batch=256)
        times = compare(fast, plain, device, rounds=9, limit=30.0)
        yield Row(
            name=f"{name}, batch 256, bfloat16 compiled",
            against="float32 eager",
            **vars(times),
            images_per_second=256 / times.seconds,
            goal=at_least(3, times.ratio),
        )
    config = AutoencoderConfig.preset("paper")
    operations = flops_of(Step(config, device, batch=1024, precision=BFLOAT16))
    torch.cuda.empty_cache()
    step = compiled(Step(config, device, batch=1024, precision=BFLOAT16))
    name = "PRIOR gaussian, paper, batch 1024, bfloat16 compiled"
    row = _rate(step, device, name, BFLOAT16, operations=operations)
    busy = _busy_share(step, device)
    yield replace(
        row,
        memory=_peak(step, device),
        goal=Goal("device busy over 90 %", busy > 0.9),
        note=f"device busy {busy:.0%} of the time",
    )


def _both_precisions(
    device: torch.device, preset: Callable[..., object], task: str, batch: int, limit: float
) -> Iterator[Row]:
    """Eager steps in both precisions, timed as a pair; on a CPU without MBOP-ITD, whose step is MBOP-TD's."""
    for ordering, tokens, arm in arms():
        if device.type != "cuda" and (ordering == "itd" or (task == "contrastive" and tokens != "gaussian")):
            continue
        config = preset("laptop", ordering=ordering, tokens=tokens)
        plain, half = (Step(config, device, batch=batch, precision=precision) for precision in (FLOAT32, BFLOAT16))
        times = compare(half, plain, device, limit=limit)
        name = f"{arm} {task}, laptop, batch {plain.images}"
        speed, half_speed = plain.images / times.peer_seconds, half.images / times.seconds
        yield Row(name=f"{name}, float32 eager", seconds=times.peer_seconds, images_per_second=speed)
        yield Row(name=f"{name}, bfloat16 eager", against="float32 eager", **vars(times), images_per_second=half_speed)


def _compiled(device: torch.device, preset: Callable[..., object], task: str, batch: int) -> Iterator[Row]:
    """Compiled steps against eager ones, on a CPU of PRIOR with Gaussian tokens alone; then PRIOR's over MBOP-TD's."""
    gaussian: dict[str, dict[OrderingName, Step]] = {"compiled": {}, "eager": {}}
    for ordering, tokens, arm in arms():
        if device.type != "cuda" and (ordering == "itd" or tokens != "gaussian"):
            continue
        config = preset("laptop", ordering=ordering, tokens=tokens)
        eager = Step(config, device, batch=batch)
        if tokens == "gaussian":
            gaussian["eager"][ordering] = eager
        if device.type != "cuda" and ordering != "prior":
            continue
        step = compiled(Step(config, device, batch=batch))
        if tokens == "gaussian":
            gaussian["compiled"][ordering] = step
        first = seconds_of(step, device)
        eager()
        drawn = eager.draw()
        values = [one.loss(*drawn).total.item() for one in (step, eager)]
        wrong = abs(values[0] / values[1] - 1) > 1e-3
        times = compare(step, eager, device)
        yield Row(
            name=f"{arm} {task}, laptop, batch {step.images}, float32 compiled",
            against="float32 eager",
            **vars(times),
            images_per_second=step.images / times.seconds,
            goal=at_least(1.3, times.ratio) if ordering == "prior" else None,
            note=f"compiled in {first:.0f} s",
            failures=(f"the compiled loss is {values[0]:.5g}, not {values[1]:.5g}",) if wrong else (),
        )
    for how, steps in gaussian.items():
        if "td" in steps:
            times = compare(steps["td"], steps["prior"], device)
            yield Row(
                name=f"MBOP-TD gaussian {task}, laptop, batch {steps['td'].images}, float32 {how}",
                against="PRIOR",
                **vars(times),
                images_per_second=steps["td"].images / times.seconds,
                goal=at_most(2, times.ratio),
            )


def _rate(step: Step, device: torch.device, name: str, precision: torch.dtype, operations: int | None = None) -> Row:
    """FLOP/s of a step beside those of a matrix product."""
    operations = flops_of(step) if operations is None else operations
    side = 8192 if precision == BFLOAT16 else 1024
    left, right = torch.randn(2, side, side, device=device).to(precision)
    times = compare(step, lambda: left @ right, device)
    rates = operations / times.seconds, 2 * side**3 / times.peer_seconds
    return Row(
        name=f"{name}, {str(precision).removeprefix('torch.')}",
        against=f"matrix product {side}^3 at {rates[1] / 1e9:.0f} GFLOP/s",
        seconds=times.seconds,
        peer_seconds=times.peer_seconds,
        images_per_second=step.images / times.seconds,
        flops=rates[0],
        share_of_product=operations / (2 * side**3) * times.ratio,
        note=f"{operations / 1e9:.1f} GFLOP",
    )


def _peak(step: Step, device: torch.device) -> float:
    """Largest memory of a device during three steps [MiB]."""
    torch.cuda.reset_peak_memory_stats(device)
    for _ in range(3):
        step()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) / 2**20


def _busy_share(step: Step, device: torch.device, steps: int = 10) -> float:
    """Time of kernels over time by the clock, during steps that follow each other."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        for _ in range(steps):
            step()
        torch.cuda.synchronize(device)
        passed = time.perf_counter() - start
    kernels = [event for event in profiler.events() if event.device_type == DeviceType.CUDA]
    return sum(event.time_range.elapsed_us() for event in kernels) / 1e6 / passed
