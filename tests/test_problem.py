from dataclasses import replace

import numpy as np
import pytest
from helpers import picture

from jnst.config import Config
from jnst.io.image import resize
from jnst.losses import statistics
from jnst.losses.objective import join_targets
from jnst.problem import LEAST_VARIATION, finer_start, objective_for, start_image, total_variation_of, weights_for


def test_a_scale_that_changed_nothing_hands_the_photograph_on():
    photograph = picture(60, 84, seed=3)
    coarse = resize(photograph, 30, 42)
    start = finer_start(coarse, photograph, 60, 84)
    np.testing.assert_allclose(start, photograph, atol=1e-6)
    assert np.abs(resize(coarse, 60, 84) - photograph).max() > 0.05  # enlarging alone loses the detail


def test_a_finer_scale_has_the_coarse_results_colours_and_the_photographs_detail():
    photograph, coarse = 0.3 + 0.4 * picture(60, 84, seed=3), 0.3 + 0.4 * picture(30, 42, seed=4)
    start = finer_start(coarse, photograph, 60, 84)
    assert start.shape == (1, 60, 84, 3)
    assert start.dtype == np.float32
    detail = photograph - resize(resize(photograph, 30, 42), 60, 84)
    np.testing.assert_allclose(start, np.clip(resize(coarse, 60, 84) + detail, 0, 1), atol=1e-6)
    bright = finer_start(np.ones_like(coarse), photograph, 60, 84)
    assert bright.max() <= 1


def test_a_photograph_larger_than_the_scale_is_brought_to_it():
    photograph = picture(60, 84, seed=3)
    start = finer_start(resize(photograph, 20, 28), photograph, 40, 56)
    np.testing.assert_allclose(start, resize(photograph, 40, 56), atol=0.05)


def test_variation_on_the_host_is_the_terms():
    image = picture(37, 52, seed=5)
    assert total_variation_of(image) == pytest.approx(np.asarray(statistics.total_variation(image))[0], rel=1e-5)


@pytest.mark.parametrize(("variation", "unit"), [(0.02, 0.02), (0.0, LEAST_VARIATION), (None, 1)])
def test_relative_losses_take_total_variation_over_the_paintings_own(variation, unit):
    config = Config(tv_weight=0.5)
    weights = weights_for(config, join_targets({}), objective_for(config), variation=variation)
    assert np.asarray(weights.groups["image"]) == pytest.approx(0.5 / unit)


def test_losses_with_a_unit_take_total_variation_as_it_is():
    config = replace(Config(loss="mse", tv_weight=0.5), content_weight=1.0)
    weights = weights_for(config, join_targets({}), objective_for(config), variation=0.02)
    assert np.asarray(weights.groups["image"]) == 0.5


@pytest.mark.parametrize("blend", [0.0, 0.25, 1.0])
def test_noise_is_blended_into_the_start(blend):
    content = np.full((1, 40, 40, 3), 0.9, np.float32)
    begin = np.asarray(start_image(content, content, Config(noise_blend=blend)))
    noise = np.asarray(start_image(content, content, Config(init="noise")))
    np.testing.assert_allclose(begin, (1 - blend) * content + blend * noise, atol=1e-6)
    other = np.asarray(start_image(content, content, Config(noise_blend=blend, seed=1)))
    assert (abs(other - begin).max() > 0.01) == (blend > 0)
