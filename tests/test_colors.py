"""The photograph's colours kept: known statistics of recoloured paintings, and whole runs."""

import dataclasses

import numpy as np
import pytest
from helpers import picture

import jnst
from jnst import Config, InputError, colors
from jnst.io.weights import Weights
from jnst.jobs import Job, Picture

SMALL = Config(content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"), iterations=4, style_unit="painting")
CONTENT, STYLE = np.asarray(picture(36, 44, seed=0)), np.asarray(picture(40, 33, seed=1))
DIM = 0.4 + 0.2 * np.asarray(picture(90, 100, seed=3))  # whose statistics no clipping changes


def pixels(image):
    return image.reshape(-1, 3).astype(np.float64)


@pytest.mark.parametrize("name", ["match_mean", "match_covariance", "match_histogram"])
def test_mean_and_deviation_of_each_channel_are_the_photographs(name):
    result = pixels(getattr(colors, name)(STYLE, DIM))
    np.testing.assert_allclose(result.mean(0), pixels(DIM).mean(0), atol=2e-3)
    np.testing.assert_allclose(result.std(0), pixels(DIM).std(0), rtol=0.02)


@pytest.mark.parametrize("name", ["match_covariance", "match_histogram"])
def test_channels_belong_together_as_in_the_photograph(name):
    rng = np.random.default_rng(0)
    tied = (
        0.5 + 0.1 * rng.standard_normal((1, 60, 60, 1)) * np.array([1, 0.8, -0.6]) + 0.01 * rng.random((1, 60, 60, 3))
    )
    result = getattr(colors, name)(STYLE, tied.astype(np.float32))
    np.testing.assert_allclose(np.cov(pixels(result).T), np.cov(pixels(tied).T), atol=2e-4)
    assert not np.allclose(
        np.cov(pixels(colors.match_mean(STYLE, tied.astype(np.float32))).T), np.cov(pixels(tied).T), atol=2e-4
    )


def test_a_histogram_is_the_photographs_even_where_its_moments_say_little():
    two = np.where(np.random.default_rng(0).random((1, 50, 50, 1)) < 0.3, 0.2, 0.9) * np.ones(3)
    result = colors.match_histogram(STYLE, two.astype(np.float32))
    near = np.minimum(abs(result - 0.2), abs(result - 0.9)).max(-1) < 0.05
    assert near.mean() > 0.9
    assert abs((result[..., 0] < 0.5).mean() - 0.3) < 0.03
    moments = colors.match_covariance(STYLE, two.astype(np.float32))
    assert (np.minimum(abs(moments - 0.2), abs(moments - 0.9)).max(-1) < 0.05).mean() < 0.5


def test_flat_and_grey_pictures_are_no_trouble():
    flat, grey = np.full((1, 32, 32, 3), 0.5, np.float32), colors.luminance(CONTENT)
    for match in (colors.match_mean, colors.match_covariance, colors.match_histogram, colors.match_luminance):
        for style, content in ((flat, CONTENT), (STYLE, flat), (flat, flat), (STYLE, grey), (grey, CONTENT)):
            result = match(style, content)
            assert np.isfinite(result).all()
            assert result.min() >= 0
            assert result.max() <= 1


def test_luminance_is_the_results_and_hue_the_photographs():
    result = np.asarray(picture(36, 44, seed=5))
    joined = colors.with_luminance(CONTENT, result)
    np.testing.assert_allclose(joined @ colors.LUMA, result @ colors.LUMA, atol=1e-5)
    ours, theirs = (image - (image @ colors.LUMA)[..., None] for image in (joined, CONTENT))
    np.testing.assert_allclose(np.cross(ours, theirs), 0, atol=1e-5)  # in one direction: as saturated or less
    assert (np.sum(ours * theirs, -1) >= -1e-6).all()
    np.testing.assert_allclose(colors.with_luminance(CONTENT, CONTENT), CONTENT, atol=1e-6)


def test_a_run_keeps_the_photographs_colours(vgg16: Weights):
    shown = []
    kept = dataclasses.replace(SMALL, original_colors=True)
    result = jnst.stylize(CONTENT, STYLE, kept, vgg16, callback=lambda p: shown.append(p.image()) and False)
    for image in (result.image, shown[-1]):
        ours, theirs = (pixels - (pixels @ colors.LUMA)[..., None] for pixels in (image, CONTENT))
        np.testing.assert_allclose(np.cross(ours, theirs), 0, atol=1e-4)
    assert abs((result.image - CONTENT) @ colors.LUMA).mean() > 0.01
    grey = jnst.stylize(colors.luminance(CONTENT), colors.match_luminance(STYLE, CONTENT), SMALL, vgg16)
    np.testing.assert_allclose(result.image @ colors.LUMA, grey.image @ colors.LUMA, atol=1e-5)


@pytest.mark.parametrize("settings", [{"original_colors": True}, {"match_colors": "covariance"}])
def test_a_batch_keeps_them_as_single_runs_do(vgg16: Weights, settings):
    config = dataclasses.replace(SMALL, **settings)
    contents = [CONTENT, CONTENT[:, ::-1].copy()]
    jobs = [Job(Picture.from_array(c), Picture.from_array(STYLE), name=k) for k, c in enumerate(contents)]
    results = {result.name: result.image for result in jnst.stylize_many(jobs, vgg16, config=config, batch_size=1)}
    for k, content in enumerate(contents):
        np.testing.assert_allclose(results[k], jnst.stylize(content, STYLE, config, vgg16).image, atol=2e-3)


def test_two_ways_at_once_are_refused():
    with pytest.raises(InputError, match="original_colors must stand without match_colors"):
        Config(original_colors=True, match_colors="mean")
