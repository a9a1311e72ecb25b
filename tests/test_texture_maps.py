"""Maps of a material in a texture's layout: what is known of the map beforehand is found again, pixel by pixel."""

import dataclasses

import numpy as np
import pytest
from helpers import picture

import jnst
from jnst import Config, InputError, correspondence
from jnst.io.weights import Weights
from jnst.texture_maps import as_data, guided_map, map_config, paint_maps

TEXTURE = Config(
    style_layers=("conv1_1", "conv2_1"), content_layers=("conv2_1",), content_weight=0, init="noise", iterations=30,
    style_pyramid_levels=1, scales=("1",), style_loss="gram",
)  # fmt: skip
PALETTE = np.array([[0.8, 0.2, 0.15], [0.15, 0.3, 0.75], [0.85, 0.8, 0.3], [0.1, 0.5, 0.25]])
VALUES = np.array([0.1, 0.4, 0.7, 0.95])


def material(height, width):
    """An albedo of four colours in blots, with some grain."""
    rng = np.random.default_rng(3)
    centres, kinds = rng.uniform(0, 1, (40, 2)) * (height, width), np.arange(40) % len(PALETTE)
    y, x = np.mgrid[0:height, 0:width]
    apart = np.square(y - centres[:, 0, None, None]) + np.square(x - centres[:, 1, None, None])
    colors = PALETTE[kinds[apart.argmin(0)]] + rng.normal(0, 0.03, (height, width, 3))
    return np.clip(colors, 0, 1).astype(np.float32)[None]


def roughness(albedo):
    """The map that belongs to an albedo: each of the four colours has its own value."""
    nearest = np.square(albedo[..., None, :] - PALETTE).sum(-1).argmin(-1)
    return np.repeat(VALUES[nearest][..., None], 3, -1).astype(np.float32)


def likeness(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def seam(image, axis):
    """The mean step over the edge along an axis, over the mean step inside."""
    inside = np.abs(np.diff(image, axis=axis)).mean()
    return np.abs(np.take(image, 0, axis) - np.take(image, -1, axis)).mean() / inside


@pytest.fixture(scope="module")
def painted(vgg16: Weights):
    """A texture that repeats, its source, and the maps that were made with it."""
    source, config = material(48, 64), dataclasses.replace(TEXTURE, tileable="xy")
    albedo = jnst.stylize(None, source, config, vgg16).image
    normal = np.clip(source[..., ::-1] * 0.8 + 0.1, 0, 1)
    maps = {"roughness": roughness(source), "normal": normal}
    return albedo, source, maps, paint_maps(maps, albedo, source, config, vgg16)


def test_a_map_that_is_a_function_of_the_albedo_still_is(painted, vgg16: Weights):
    albedo, _, maps, made = painted
    wanted = roughness(albedo)
    apart = jnst.stylize(None, maps["roughness"], dataclasses.replace(TEXTURE, tileable="xy"), vgg16).image
    assert likeness(made["roughness"], wanted) > 0.8
    assert likeness(apart, wanted) < 0.4


def test_maps_repeat_where_the_texture_does(painted):
    for image in painted[3].values():
        for axis in (1, 2):
            assert seam(image, axis) < 1.3


def test_grey_maps_stay_grey_and_normals_have_the_length_1(painted):
    made = painted[3]
    assert np.ptp(made["roughness"], -1).max() == 0
    lengths = np.linalg.norm(2 * made["normal"].astype(np.float64) - 1, axis=-1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    assert all(image.shape == painted[0].shape and image.dtype == np.float32 for image in made.values())


def test_a_vector_without_a_length_points_up():
    grey = np.full((1, 2, 2, 3), 0.5, np.float32)
    np.testing.assert_array_equal(as_data("normal", grey, is_grey=True)[0, 0, 0], [0.5, 0.5, 1])


@pytest.mark.parametrize(("size", "longest"), [((48, 64), 512), ((45, 50), 512), ((96, 72), 48)])
def test_the_source_itself_has_its_own_map(monkeypatch, vgg16: Weights, size, longest):
    monkeypatch.setattr(correspondence, "_LONGEST", longest)  # of the last, found small and then moved
    source = np.asarray(picture(*size))
    other = np.asarray(picture(*size, seed=1))
    field = correspondence.correspondence(source, source, vgg16)
    own = np.stack(np.meshgrid(*(np.arange(0, side, 4) for side in size), indexing="ij"), -1)
    last = np.array(size) - 4  # the last cells of odd sides reach beyond the edge: their places do not
    found = (field == np.minimum(own, last)).all(-1)[: size[0] // 4, : size[1] // 4]
    assert found.mean() > (0.9 if longest < max(size) else 0.999)
    within = np.s_[:, :40, :44]
    if longest >= max(size):
        np.testing.assert_allclose(guided_map(other, field, source, source)[within], other[within], atol=1e-6)


def test_a_texture_that_is_turned_round_its_edges_has_its_map_turned(vgg16: Weights):
    source, texture = np.asarray(picture(48, 64)), np.asarray(picture(48, 64, seed=5))
    turned = np.roll(texture, (16, 24), (1, 2))
    found = []
    for albedo in (texture, turned):
        field = correspondence.correspondence(albedo, source, vgg16, tileable="xy")
        found.append(guided_map(source, field, albedo, source, tileable="xy"))
    np.testing.assert_allclose(np.roll(found[0], (16, 24), (1, 2)), found[1], atol=1e-5)


def test_sources_of_another_size_than_the_texture(vgg16: Weights):
    source, texture = material(40, 90), material(66, 34)
    field = correspondence.correspondence(texture, source, vgg16, tileable="x")
    assert field.shape == (17, 9, 2)
    assert (field >= 0).all()
    assert (field <= [36, 86]).all()
    made = guided_map(roughness(source), field, texture, source, tileable="x")
    assert likeness(made, roughness(texture)) > 0.9


@pytest.mark.parametrize("layers", [("conv1_1",), ("conv5_1",), TEXTURE.style_layers])
def test_a_map_needs_no_other_size_than_its_texture(layers):
    config = Config(style_layers=layers, content_weight=0, style_pyramid_levels=1, tileable="xy", tile=0, seed=3)
    size = jnst.tileable.fitting_size((50, 70), config)
    assert jnst.tileable.fitting_size(size, map_config(config)) == size


def test_maps_of_another_shape_are_refused_and_a_callback_ends_the_work(vgg16: Weights):
    source = material(48, 64)
    with pytest.raises(InputError, match=r"map height must have the albedo's shape \(1, 48, 64, 3\), got \(1, 64, 48"):
        paint_maps({"height": material(64, 48)}, source, source, TEXTURE, vgg16)
    maps, told = {"a": roughness(source), "b": source, "c": source}, []
    config = dataclasses.replace(TEXTURE, tileable="xy", iterations=4)  # the program of `painted`
    done = paint_maps(maps, source, source, config, vgg16, callback=lambda name, _: told.append(name) or "b" in told)
    assert "a" in done
    assert "c" not in {*done, *told}
