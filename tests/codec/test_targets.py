"""Targets: as few levels as reach a quality, seen or forecast."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from small_codecs import BUDGETS, pictures, small_model
from torch import Generator, Tensor

from prior_lab.codec import Forecast, Quality, Target, Worth
from prior_lab.codec.targets import Measure
from prior_lab.errors import InputError
from prior_lab.quality import quality_by_budget

MEASURES: tuple[Measure, ...] = ("SSIM", "PSNR", "L1", "L2")
COUNT = 24


@functools.cache
def found(measure: Measure) -> np.ndarray:
    """Qualities at every budget of an untrained model: hardly better with more tokens, and not always."""
    return quality_by_budget(small_model(), pictures(COUNT)).sel(metric=measure).values


def by_loop(target: Quality, qualities: np.ndarray) -> list[int]:
    chosen = []
    for image in qualities.T:
        good = [value <= target.value if target.measure in ("L1", "L2") else value >= target.value for value in image]
        chosen.append(BUDGETS[good.index(True)] if True in good else BUDGETS[-1])
    return chosen


@pytest.mark.parametrize("measure", MEASURES)
def test_budgets_are_the_smallest_that_reach_the_quality(measure: Measure) -> None:
    chance = np.random.default_rng(0)
    qualities = chance.normal(size=(len(BUDGETS), 500))
    for value in (-1.0, 0.0, 1.0):
        target = Quality(measure, value)
        assert target.smallest(qualities, BUDGETS) == by_loop(target, qualities)
    assert set(Quality(measure, 0.0).smallest(qualities, BUDGETS)) == set(BUDGETS)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_sender_looks_at_the_pictures_of_all_budgets(measure: Measure) -> None:
    model, images = small_model(), pictures(COUNT)
    code = model.encode(images)
    target = Quality(measure, float(np.median(found(measure))))
    chosen = target.budgets(model, code, images)
    assert chosen == by_loop(target, found(measure))
    assert len(set(chosen)) > 1


def test_more_images_than_are_decoded_together_are_looked_at() -> None:
    model, images = small_model(), pictures(70)
    target = Quality("SSIM", float(np.median(found("SSIM"))))
    together = target.budgets(model, model.encode(images), images)
    halves = [target.budgets(model, model.encode(part), part) for part in images.split(35)]
    assert together == [*halves[0], *halves[1]]


def test_what_no_budget_reaches_gets_all_and_what_all_reach_the_first() -> None:
    model, images = small_model(), pictures(4)
    code = model.encode(images)
    for measure, hard, easy in (("SSIM", 2.0, -1.0), ("PSNR", 200.0, 0.0), ("L1", -1.0, 1.0), ("L2", -1.0, 1.0)):
        assert Quality(measure, hard).budgets(model, code, images) == [BUDGETS[-1]] * 4
        assert Quality(measure, easy).budgets(model, code, images) == [BUDGETS[0]] * 4


@pytest.mark.parametrize(
    ("text", "measure", "value"),
    [("ssim=0.9", "SSIM", 0.9), ("SSIM=.5", "SSIM", 0.5), (" psnr = 30", "PSNR", 30.0), ("l1=2e-2", "L1", 0.02)],
)
def test_targets_are_read_from_text(text: str, measure: str, value: float) -> None:
    assert Quality.parse(text) == Quality(measure, value)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("text", ["", "ssim", "0.9", "ssim=", "ssim=high", "mse=0.1", "ssim=nan", "ssim=inf", "=0.9"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        Quality.parse(text)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_price_buys_tokens_as_long_as_they_are_worth_it(measure: Measure) -> None:
    qualities = np.random.default_rng(0).normal(size=(len(BUDGETS), 200))
    sign = -1 if measure in ("L1", "L2") else 1
    means = []
    for price in (0.0, 0.05, 0.2, 10.0):
        chosen = Worth(price, measure).best(qualities, BUDGETS)
        for image, budget in zip(qualities.T, chosen, strict=True):
            left = [sign * value - price * tokens for value, tokens in zip(image, BUDGETS, strict=True)]
            assert left[BUDGETS.index(budget)] == max(left)
        means.append(np.mean(chosen))
    assert means == sorted(means, reverse=True)
    assert means[-1] == 1.0
    with pytest.raises(InputError, match="must not be negative"):
        Worth(-0.1, measure)


# ------------------------------------------------------------ forecasts


def lit(count: int, seed: int) -> Tensor:
    """Pictures from flat to full of contrast, so that an untrained model, which shows grey, is near to some."""
    strength = torch.rand(count, 1, 1, 1, generator=Generator().manual_seed(seed))
    return (128 + strength * (pictures(count, seed).float() - 128)).round().to(torch.uint8)


@functools.cache
def forecast(levels: int = 2) -> Forecast:
    return Forecast.fitted(small_model("td", "gaussian"), lit(192, 1), target(), levels)


@functools.cache
def target() -> Quality:
    """What half of the pictures reach."""
    worst = quality_by_budget(small_model("td", "gaussian"), lit(64, 2)).sel(metric="L1").values
    return Quality("L1", float(np.median(worst)))


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_a_forecast_never_sends_fewer_tokens_than_it_reads(levels: int) -> None:
    model, images = small_model("td", "gaussian"), lit(32, 3)
    one = forecast(levels)
    assert one.tokens == BUDGETS[levels - 1]
    chosen = one.budgets(model, model.encode(images), images)
    assert min(chosen) >= one.tokens
    assert set(chosen) <= set(BUDGETS)
    easy = dataclasses.replace(one, target=Quality("L1", 10.0))
    assert easy.budgets(model, model.encode(images), images) == [one.tokens] * 32


def test_a_forecast_reads_the_first_tokens_and_nothing_else() -> None:
    model, images = small_model("td", "gaussian"), lit(32, 3)
    code = model.encode(images)
    values = code.values.clone()
    values[:, forecast().tokens :] = 1e6
    other = dataclasses.replace(code, values=values)
    chosen = forecast().budgets(model, code, images)
    assert forecast().budgets(model, other, torch.zeros_like(images)) == chosen
    assert forecast().budgets(model, code[:3], images) == chosen
    values[:, 0] = -values[:, 0]
    assert forecast().budgets(model, dataclasses.replace(code, values=values), images) != chosen


def test_a_forecast_is_better_than_chance() -> None:
    """Which pictures reach the target, told from tokens of pictures that it was not fitted to."""
    model, images = small_model("td", "gaussian"), lit(128, 3)
    seen = np.array(target().budgets(model, model.encode(images), images)) < BUDGETS[-1]
    foreseen = np.array(forecast().budgets(model, model.encode(images), images)) < BUDGETS[-1]
    assert 0.2 < seen.mean() < 0.8
    assert (seen == foreseen).mean() > 0.75
    assert isinstance(forecast(), Target)


def test_a_forecast_has_no_other_levels_than_its_model() -> None:
    for levels in (0, 5, -1):
        with pytest.raises(InputError, match="this model has 1 to 4"):
            Forecast.fitted(small_model(), pictures(8), Quality(), levels)
