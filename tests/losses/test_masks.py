import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from hypothesis import given, settings
from hypothesis import strategies as st
from references import assert_same, evaluate, features, joint, value_and_grad, weights_for

from jnst.losses import objective as objectives
from jnst.losses import terms
from jnst.losses.evaluation import statistics
from jnst.losses.objective import Objective
from jnst.losses.observation import Positions, pool_mask
from jnst.network import vgg
from jnst.network.region import Region

LAYERS = ("conv1_1", "conv2_1", "conv3_1")


@pytest.fixture(scope="module")
def params():
    return vgg.random_params(jax.random.key(0), "vgg16")


def soft_mask(height, width, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(0, 1, (1, height, width, 1)), jnp.float32)


def slow_pool(mask, stride):
    n, height, width, _ = mask.shape
    pooled = np.zeros((n, height // stride, width // stride, 1))
    for i in range(height // stride):
        for j in range(width // stride):
            pooled[:, i, j, 0] = mask[:, stride * i : stride * (i + 1), stride * j : stride * (j + 1), 0].mean((1, 2))
    return pooled


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.integers(16, 40), st.integers(16, 40), st.sampled_from([1, 2, 4, 8, 16]))
def test_masks_are_averaged_to_the_layers_positions(height, width, stride):
    mask = np.asarray(soft_mask(height, width))
    np.testing.assert_allclose(pool_mask(jnp.asarray(mask), stride), slow_pool(mask, stride), rtol=1e-5)


@partial(jax.jit, static_argnames="term")  # one program, not one an operation
def of(params, x, term, *, region=None, masks=None):
    objective = Objective((term,))
    return statistics(params, x, objective.terms, objective=objective, positions=Positions(region, masks or {}))[0]


def test_a_masked_gram_matrix_is_the_weighted_sum_over_the_masks_total_weight(params):
    x, mask = picture(37, 45), soft_mask(37, 45)
    for layer in LAYERS:
        stride = 2 ** (int(layer[4]) - 1)
        maps = np.asarray(features(params, x, (layer,))[layer], np.float64)[0]
        weights = slow_pool(np.asarray(mask), stride)[0]
        rows, w = maps.reshape(-1, maps.shape[-1]), weights.reshape(-1)
        expected = (rows.T * w) @ rows / w.sum()
        ours = of(params, x, terms.gram(layer, mask="m"), masks={"m": mask})[0]
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_mask_of_ones_is_no_mask_and_its_two_halves_make_the_whole(params):
    x, half = picture(40, 52), soft_mask(40, 52)
    masks = {"ones": jnp.ones_like(half), "half": half, "rest": 1 - half}
    for make in (terms.gram, terms.moments):
        plain = of(params, x, make("conv2_1"))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
                     of(params, x, make("conv2_1", mask="ones"), masks=masks), plain)  # fmt: skip
    total, gram = {}, {}
    for name in ("half", "rest"):
        total[name] = float(pool_mask(masks[name], 2).sum())
        gram[name] = of(params, x, terms.gram("conv2_1", mask=name), masks=masks) * total[name]
    both = (gram["half"] + gram["rest"]) / sum(total.values())
    np.testing.assert_allclose(both, of(params, x, terms.gram("conv2_1")), rtol=1e-4, atol=1e-4)


def test_a_masks_part_is_all_that_counts(params):
    """Where the mask is 0, wide enough for the receptive field, the image has no say; nor in an empty mask."""
    x, other = picture(40, 64), picture(40, 64, seed=1)
    mask = jnp.zeros((1, 40, 64, 1)).at[:, :, :32].set(1)
    mixed = jnp.where(jnp.arange(64)[None, None, :, None] < 40, x, other)
    for term in (terms.gram("conv2_1", mask="m"), terms.moments("conv2_1", mask="m")):
        one, same = (of(params, image, term, masks={"m": mask}) for image in (x, mixed))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), one, same)
        empty = of(params, x, term, masks={"m": 0 * mask})
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(empty))


TWO_STYLES = Objective(
    (
        terms.content("conv2_2", form="mse", mask="left"),
        *(terms.gram(layer, mask="left") for layer in LAYERS[:2]),
        *(terms.gram(layer, target="style:1", mask="right", weight=0.5) for layer in LAYERS[:2]),
        terms.moments("conv1_1", target="style:1"),
        terms.total_variation(),
    ),
    style_pyramid_levels=2,
)


def two_styles(params, objective, size):
    left = jnp.broadcast_to(jnp.linspace(1, 0, size[1])[None, None, :, None], (1, *size, 1))
    images = {"content": picture(*size), "style": picture(70, 66, seed=1), "style:1": picture(65, 80, seed=2)}
    masks = {"left": left, "right": 1 - left}
    own = {"style:1": soft_mask(65, 80)}
    return objectives.targets(params, images, objective=objective, masks=masks, source_masks=own), images, own


def test_two_styles_under_masks_have_the_gradient_of_the_joint_loss(params):
    size = 67, 75
    targets, images, own = two_styles(params, TWO_STYLES, size)
    x, weights = picture(*size, seed=5), weights_for(TWO_STYLES)
    ours = value_and_grad(params, x, targets, weights, objective=TWO_STYLES)
    assert_same(ours, joint(params, x, targets, weights, objective=TWO_STYLES))
    assert set(ours[0].terms) == {term.name for term in TWO_STYLES.terms}
    # the second style's targets are taken under its own mask, at every level
    expected = of(params, images["style:1"], terms.gram("conv2_1", mask="own"), masks={"own": own["style:1"]})
    np.testing.assert_allclose(targets.levels[0]["style/conv2_1:1@right"], expected, rtol=1e-5)
    at_content = evaluate(params, images["content"], targets, weights, objective=TWO_STYLES)
    assert at_content.groups["content"][0] == 0  # its targets are taken under the mask of the result


def test_masks_in_a_part_of_a_larger_array_are_those_of_the_image_alone(params):
    size = 67, 75
    targets, images, own = two_styles(params, TWO_STYLES, size)
    pad = lambda a: jnp.pad(a, ((0, 0), (0, 96 - a.shape[1]), (0, 96 - a.shape[2]), (0, 0)), constant_values=0)  # noqa: E731
    filled = lambda a: jnp.pad(a, ((0, 0), (0, 96 - a.shape[1]), (0, 96 - a.shape[2]), (0, 0)), constant_values=1)  # noqa: E731
    padded = objectives.targets(
        params, {name: pad(image) for name, image in images.items()}, objective=TWO_STYLES,
        regions={name: Region.full(1, *image.shape[1:3]) for name, image in images.items()},
        masks={name: filled(mask) for name, mask in targets.masks.items()},  # beyond the image a mask says nothing
        source_masks={name: filled(mask) for name, mask in own.items()},
    )  # fmt: skip
    x, weights = picture(*size, seed=5), weights_for(TWO_STYLES)
    expected = value_and_grad(params, x, targets, weights, objective=TWO_STYLES)
    losses, gradient = value_and_grad(
        params, pad(x), padded, weights, objective=TWO_STYLES, region=Region.full(1, *size)
    )
    assert_same((losses, gradient[:, : size[0], : size[1]]), expected)


def test_checkpoint_and_separate_gradients_know_masks(params):
    size = 67, 75
    targets, _, _ = two_styles(params, TWO_STYLES, size)
    x, weights = picture(*size, seed=5), weights_for(TWO_STYLES)
    expected = value_and_grad(params, x, targets, weights, objective=TWO_STYLES)
    other = dataclasses.replace(TWO_STYLES, checkpoint=True, gradients="separate")
    assert_same(value_and_grad(params, x, targets, weights, objective=other), expected)
