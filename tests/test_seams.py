"""Pictures that repeat: how large the step over their edges is, beside the steps within."""

import dataclasses

import numpy as np
import pytest
from helpers import EXAMPLES

import jnst
from jnst import Config, InputError
from jnst.io.weights import Weights
from jnst.jobs import Job, Picture, make_schedule
from jnst.periodic import periodic_part
from jnst.scheduler import stylize_many

TEXTURE = Config(
    style_layers=("conv1_1", "conv2_1"), content_layers=("conv2_1",), content_weight=0, init="noise", iterations=30,
    style_pyramid_levels=1, scales=("44", "64"), style_loss="gram",
)  # fmt: skip
PHOTO = dataclasses.replace(TEXTURE, content_weight=None, strength=0.9, init="content", iterations=12)


def example(name, height, width):
    return jnst.io.image.load(EXAMPLES / name, size=(height, width))


def seam(image, axis):
    """The mean step over the edge along an axis, over the mean step inside."""
    inside = np.abs(np.diff(image, axis=axis)).mean()
    return np.abs(np.take(image, 0, axis) - np.take(image, -1, axis)).mean() / inside


def wave(periods, phase, height=48, width=64):
    y, x = np.mgrid[0:height, 0:width]
    waves = np.sin(2 * np.pi * (periods[0] * y / height + periods[1] * x / width) + phase)
    return np.repeat(0.5 + 0.4 * waves[None, ..., None], 3, -1).astype(np.float32)


def test_a_texture_repeats_along_the_axes_that_are_named(vgg16: Weights):
    style = example("swirls.jpg", 48, 64)
    found = {}
    for tileable in ("no", "xy"):
        result = jnst.stylize(None, style, dataclasses.replace(TEXTURE, tileable=tileable), vgg16)
        found[tileable] = np.mean([seam(result.image, axis) for axis in (1, 2)])
    assert found["xy"] < 1.3
    assert found["no"] > 1.6 * found["xy"]


def test_a_photograph_repeats_and_keeps_its_other_edges(vgg16: Weights):
    photo, style = example("cat.png", 50, 64), example("swirls.jpg", 48, 64)
    config = dataclasses.replace(PHOTO, scales=("1",))
    plain = jnst.stylize(photo, style, config, vgg16)
    result = jnst.stylize(photo, style, dataclasses.replace(config, tileable="x"), vgg16)
    assert result.image.shape == photo.shape  # only its width needs to be a multiple
    assert seam(result.image, 2) < 1.2
    assert seam(plain.image, 2) > 1.5 * seam(result.image, 2)
    assert seam(result.image, 1) > 0.7 * seam(plain.image, 1)


def test_the_photographs_colours_have_no_seam_either(vgg16: Weights):
    photo, style = example("cat.png", 48, 64), example("swirls.jpg", 48, 64)
    photo[:, :, 48:, 0] *= 0.2  # another hue at the right edge, of nearly the same luminance
    config = dataclasses.replace(PHOTO, original_colors=True, iterations=2, scales=("1",))
    found = [
        jnst.stylize(photo, style, dataclasses.replace(config, tileable=axes), vgg16).image for axes in ("no", "x")
    ]
    hues = [image[..., 0] - image[..., 1] for image in found]
    step = [np.abs(hue[:, :, 0] - hue[:, :, -1]).mean() for hue in hues]
    assert step[1] < 0.3 * step[0]


def test_a_batch_paints_what_single_runs_paint(vgg16: Weights):
    config = dataclasses.replace(PHOTO, tileable="xy", iterations=4)
    photos = [example("cat.png", 48, 64), example("cat.png", 48, 64)[:, :, ::-1].copy(), example("cat.png", 64, 48)]
    style = Picture.from_array(example("swirls.jpg", 48, 64))
    jobs = [Job(Picture.from_array(photo), style, config, k) for k, photo in enumerate(photos)]
    assert sorted(make_schedule(jobs, config).buckets.values()) == [1, 1, 2, 2]  # two scales of each size
    config = dataclasses.replace(config, scales=("1",))
    for result in stylize_many([dataclasses.replace(job, config=config) for job in jobs[:2]], vgg16):  # one program
        single = jnst.stylize(photos[result.name], style.load(), config, vgg16)
        np.testing.assert_allclose(result.image, single.image, atol=2 / 255)


def test_what_cannot_be_is_refused_before_any_work(vgg16: Weights):
    photo, style = example("cat.png", 48, 65), example("swirls.jpg", 48, 64)
    with pytest.raises(
        InputError, match=r"tileable x needs sides .* multiples of 2, got 65x48; give a content of 66x48"
    ):
        jnst.stylize(photo, style, dataclasses.replace(PHOTO, tileable="x"), vgg16)
    mesh = jnst.sharding.mesh_of(2)
    with pytest.raises(InputError, match=r"tileable y needs the whole image at once"):
        jnst.stylize(photo, style, dataclasses.replace(PHOTO, tileable="y"), vgg16, mesh=mesh)


@pytest.mark.parametrize("tileable", ["x", "y", "xy"])
def test_the_periodic_part_has_no_step_and_the_photographs_structure(tileable):
    photo = example("cat.png", 48, 64)
    part = periodic_part(photo, tileable=tileable)
    for name, axis in (("y", 1), ("x", 2)):
        if name in tileable:
            assert seam(part, axis) < 1.2 < seam(photo, axis)
    middle = slice(12, -12)
    gone = (photo - part)[:, middle, middle]
    assert np.abs(np.diff(gone, axis=2)).max() < 0.02  # what is taken away is smooth there


def test_what_repeats_already_stays_as_it_is():
    repeating = wave((2, 3), 0.7)
    for tileable in ("x", "y", "xy"):
        taken = np.abs(repeating - periodic_part(repeating, tileable=tileable)).max()
        assert taken < 0.16  # not 0: the last pixel and the first are a step of the wave apart
    assert periodic_part(repeating, tileable="no") is repeating
