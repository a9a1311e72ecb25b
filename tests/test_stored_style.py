"""A painting known by its statistics only: the same losses as with the painting where the sizes are those kept."""

import dataclasses

import h5py
import jax
import numpy as np
import pytest
from helpers import picture

import jnst
from jnst import Config, InputError, stored_style
from jnst.io import style_file
from jnst.io.weights import Weights
from jnst.jobs import Job, Picture
from jnst.losses import terms

SMALL = Config(content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"), iterations=4, style_pyramid_levels=2,
               scales=("1",))  # fmt: skip
CONTENT, STYLE = np.asarray(picture(64, 64, seed=0)), np.asarray(picture(64, 64, seed=1))


@pytest.fixture(scope="module")
def stored(vgg16: Weights, tmp_path_factory):
    """Made, written and read again."""
    path = tmp_path_factory.mktemp("style") / "painting.style.h5"
    made = stored_style.store_style(STYLE, SMALL, vgg16.params, name="painting.png", sha256=vgg16.sha256)
    stored_style.save(made, path)
    return path, made, stored_style.load(path)


def test_what_is_read_is_what_was_made(stored):
    path, made, read = stored
    assert (read.name, read.size, read.sha256) == (made.name, (64, 64), made.sha256)
    assert list(read.statistics) == stored_style.ladder((64, 64)) == [64, 45, 32]
    assert jax.tree.structure(dict(read.statistics)) == jax.tree.structure(dict(made.statistics))
    jax.tree.map(np.testing.assert_array_equal, dict(read.statistics), dict(made.statistics))
    np.testing.assert_allclose(list(read.variations.values()), list(made.variations.values()), rtol=1e-6)
    assert path.stat().st_size < 4e5  # directions that all sizes share are written once


def test_a_run_with_it_is_the_run_with_the_painting(stored, vgg16: Weights):
    one, other = (jnst.stylize(CONTENT, style, SMALL, vgg16) for style in (STYLE, stored[2]))
    np.testing.assert_allclose(other.history[0].loss, one.history[0].loss, rtol=1e-4)
    np.testing.assert_allclose(other.image, one.image, atol=5e-3)


def test_a_picture_that_repeats_is_the_one_with_the_painting(stored, vgg16: Weights):
    config = dataclasses.replace(SMALL, tileable="xy")
    one, other = (jnst.stylize(CONTENT, style, config, vgg16) for style in (STYLE, stored[2]))
    np.testing.assert_allclose(other.image, one.image, atol=5e-3)


def test_it_stands_among_others_under_a_mask_and_in_a_batch(stored, vgg16: Weights):
    left = np.zeros((1, 64, 64, 1), np.float32)
    left[:, :, :32] = 1
    warm = np.asarray(picture(64, 64, seed=7))
    results = [
        jnst.stylize(CONTENT, [(style, left, 2.0), (warm, None, 1.0)], SMALL, vgg16).image
        for style in (STYLE, stored[2])
    ]
    np.testing.assert_allclose(results[1], results[0], atol=0.02)
    job = Job(Picture.from_array(CONTENT), Picture.from_stored(stored[2]))
    (batch,) = jnst.stylize_many([job], vgg16, config=SMALL, batch_size=1)
    np.testing.assert_allclose(batch.image, jnst.stylize(CONTENT, stored[2], SMALL, vgg16).image, atol=5e-3)


def test_sizes_between_take_the_nearest():
    assert stored_style.ladder((512, 700)) == [700, 512, 362, 256, 181, 128, 91, 64, 45]
    statistics = {side: {"style/conv1_1": np.full((1, 1, 1), side)} for side in (512, 362, 256, 181)}
    style = stored_style.StoredStyle("x", (512, 400), "", {}, statistics, {side: [0.0, 0.0] for side in statistics})
    term = terms.gram("conv1_1", target="style:2", mask="style:2")
    levels = style.levels((420, 300), [term], 3)
    assert [int(level[term.name][0, 0, 0]) for level in levels] == [362, 181, 181]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"style_layers": ("conv3_1",)}, "has no statistics sliced/conv3_1; it was made with style_loss=gram"),
        ({"style_loss": "wasserstein"}, "has no statistics wasserstein/conv1_1"),
        ({"match_colors": "mean"}, "has no picture; give the painting itself"),
        ({"init": "style"}, "has no picture; give the painting itself"),
        ({"normalize_filters": True}, "normalize_filters needs the painting itself"),
    ],
)
def test_what_it_cannot_do_is_told(stored, vgg16: Weights, settings, told):
    with pytest.raises(InputError, match=told):
        jnst.stylize(CONTENT, stored[2], dataclasses.replace(SMALL, **settings), vgg16)


def test_other_weights_are_refused_in_single_runs_and_batches(stored, vgg16: Weights):
    other = dataclasses.replace(stored[2], sha256="f" * 64)
    with pytest.raises(InputError, match="is for the weights ffffffffffff, here are"):
        jnst.stylize(CONTENT, other, SMALL, vgg16)
    with pytest.raises(InputError, match="is for the weights ffffffffffff, here are"):
        list(jnst.stylize_many([Job(Picture.from_array(CONTENT), Picture.from_stored(other))], vgg16, config=SMALL))


def test_a_loss_that_needs_places_is_refused(vgg16: Weights):
    with pytest.raises(InputError, match="compares with the painting itself"):
        stored_style.store_style(
            STYLE, dataclasses.replace(SMALL, style_loss="neighbours", style_layers=("conv3_1",)), vgg16.params
        )


def damaged(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda file: file.attrs.__delitem__("source"), "is no style file of this version"),
        (lambda file: file.attrs.__setitem__("source", '{"style": 2}'), "is no style file of this version"),
        (lambda file: file.attrs.__setitem__("source", '{"style": 1, "name": "x"}'), "does not say what it holds"),
        (
            lambda file: file.attrs.__setitem__("source", '{"style": 1, "name": "x", "size": [9, 9], "settings": {}}'),
            "9x9",
        ),
        (lambda file: file.__setitem__("x", np.zeros(3)), "x is none of a style's arrays"),
        (lambda file: file.__setitem__("64/terms/y", np.full(3, np.nan)), "it lacks numbers"),
        (lambda file: file.__setitem__("45/terms/y", np.zeros(3)), "its sizes do not agree"),
        (lambda file: file.__delitem__("64/variation"), "damaged"),
    ],
)
def test_damaged_files_are_told_in_one_line(stored, tmp_path, change, told):
    path = tmp_path / "bad.style.h5"
    path.write_bytes(stored[0].read_bytes())
    damaged(path, change)
    with pytest.raises(InputError, match=told) as error:
        stored_style.load(path)
    assert "\n" not in str(error.value)


def test_what_is_no_file_of_this_kind_is_told(tmp_path):
    path = tmp_path / "bad.style.h5"
    with pytest.raises(InputError, match="no such file"):
        stored_style.load(path)
    path.write_bytes(b"not HDF5 at all")
    with pytest.raises(InputError, match="damaged"):
        stored_style.load(path)
    with pytest.raises(InputError, match=r"must end in \.style\.h5"):
        style_file.write_style(tmp_path / "x.h5", {64: {}}, {}, sha256="")
