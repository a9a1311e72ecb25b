"""Rules with known answers: noise, strokes, large flat shapes, smooth shades."""

import numpy as np
import pytest
from helpers import picture
from PIL import Image, ImageDraw

from jnst import Config, InputError
from jnst import auto_layers as layers
from jnst.auto_layers import choose_many
from jnst.batching import pad_to
from jnst.io.weights import Weights
from jnst.jobs import Job, Picture
from jnst.network.architecture import DEFAULT_STYLE_LAYERS
from jnst.network.region import Region

SIDE = 192


def drawn(kind):
    rng = np.random.default_rng(0)
    image = Image.new("RGB", (SIDE, SIDE), (120, 120, 120))
    draw = ImageDraw.Draw(image)

    def tint():
        return tuple(int(c) for c in rng.integers(0, 255, 3))

    if kind == "strokes":
        for x, y, angle in zip(*rng.uniform(0, SIDE, (2, 4000)), rng.normal(0.5, 0.3, 4000), strict=True):
            draw.line([(x, y), (x + 10 * np.cos(angle), y + 10 * np.sin(angle))], fill=tint(), width=2)
    elif kind == "flat shapes":
        for x, y in rng.uniform(0, SIDE, (8, 2)):
            draw.polygon([(x + dx, y + dy) for dx, dy in rng.normal(0, SIDE / 3, (4, 2))], fill=tint())
    array = np.asarray(image, np.float32) / 255
    if kind == "noise":
        array = rng.uniform(0, 1, array.shape).astype(np.float32)
    if kind == "shades":
        y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
        array = np.stack([x, y, np.sin(3 * x * y)], -1).astype(np.float32)
    return array[None]


IMAGES = {kind: drawn(kind) for kind in ("noise", "strokes", "flat shapes", "shades")}
AUTO = Config(content_layers=("auto",), style_layers=("auto",), scales=("1",))


@pytest.mark.parametrize(("kind", "low"), [("noise", True), ("strokes", True), ("flat shapes", False)])
def test_large_flat_shapes_need_no_low_layers(vgg16: Weights, kind, low):
    config, choice = layers.choose(AUTO, vgg16.params, IMAGES["strokes"], IMAGES[kind])
    assert ("conv1_1" in config.style_layers) == low
    assert config.style_layers == (DEFAULT_STYLE_LAYERS if low else ("conv3_1", "conv4_1", "conv5_1"))
    assert choice is not None
    assert choice.evenness is not None
    assert (choice.evenness["conv1_1"] >= layers.MAX_FLAT_EVENNESS) == low
    assert f"(evenness {choice.evenness['conv1_1']:.2f}, " in choice.lines()[0]


@pytest.mark.parametrize(
    ("kind", "layer"), [("noise", "conv5_2"), ("strokes", "conv5_2"), ("flat shapes", "conv4_2"), ("shades", "conv4_2")]
)
def test_detail_goes_one_block_up(vgg16: Weights, kind, layer):
    config, choice = layers.choose(AUTO, vgg16.params, IMAGES[kind], IMAGES["strokes"])
    assert config.content_layers == (layer,)
    assert choice is not None
    assert choice.detail is not None
    assert (choice.detail > layers.MIN_DETAIL) == (layer == "conv5_2")
    assert f"content layer {layer} (detail {choice.detail:.2f}" in choice.lines()[1]


def test_evenness_is_that_of_its_definition(vgg16: Weights):
    """Halves of noise and of nothing: the median of the windows lies between, the noisy half carries the mean."""
    image = IMAGES["noise"].copy()
    image[:, :, SIDE // 3 :] = 0.5
    assert layers.evenness(vgg16.params, image)["conv1_1"] < 0.01
    assert layers.evenness(vgg16.params, IMAGES["noise"])["conv1_1"] > 0.9


def test_many_are_measured_as_single_ones_are(vgg16: Weights):
    """Of several sizes, in shared canvases; an image that cannot be loaded gets the default layers."""
    images = {(kind, h, w): IMAGES[kind][:, :h, :w] for kind in IMAGES for h, w in ((150, 171), (161, 161))}
    for image in images.values():
        region = Region.full(1, *image.shape[1:3])
        padded = pad_to(image, (176, 180))
        even, expected = layers.evenness(vgg16.params, padded, region=region), layers.evenness(vgg16.params, image)
        assert even == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert layers.detail(vgg16.params, padded, region=region) == pytest.approx(
            layers.detail(vgg16.params, image), rel=1e-4
        )

    def fail():
        raise InputError("no such file")

    pictures = {name: Picture.from_array(image) for name, image in images.items()}
    jobs = [Job(content, pictures["strokes", 161, 161], AUTO, name) for name, content in pictures.items()]
    noise = Picture.from_array(IMAGES["noise"])
    jobs += [Job(Picture("broken", (40, 40), fail), Picture.from_array(IMAGES["flat shapes"])), Job(noise, noise)]
    found = choose_many(jobs, Config(content_layers=("auto",)), vgg16.params)
    for job, (name, image) in zip(found, images.items(), strict=False):
        assert job.name == name
        assert job.config == layers.choose(AUTO, vgg16.params, image, images["strokes", 161, 161])[0]
    assert found[-2].config == Config()
    assert found[-1].config == Config(content_layers=("conv5_2",))
    plain = [Job(pictures["noise", 161, 161], pictures["noise", 161, 161], Config())]
    assert choose_many(plain, AUTO, vgg16.params)[0] is plain[0]


def test_what_the_user_names_stays(vgg16: Weights):
    assert layers.choose(Config(), vgg16.params, None, None) == (Config(), None)
    half = Config(style_layers=("conv2_1",), content_layers=("auto",), scales=("1",))
    config, choice = layers.choose(half, vgg16.params, picture(40, 40), None)
    assert config.style_layers == ("conv2_1",)
    assert choice is not None
    assert choice.style_layers is None
