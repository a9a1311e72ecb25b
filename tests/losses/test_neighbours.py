"""Every place of the result held to the place of the painting that is most like it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from references import value_and_grad, weights_for

import jnst
from jnst.errors import InputError
from jnst.losses import neighbours, terms
from jnst.losses import objective as objectives
from jnst.losses.objective import Objective
from jnst.network.region import Region

CONTENT, STYLE = picture(36, 44), picture(40, 52, seed=1)
LAYERS = ("conv1_1", "conv2_1", "conv3_1")


def observed(columns, weight=None):
    return {"columns": columns, "weight": jnp.ones((*columns.shape[:3], 1)) if weight is None else weight}


def test_hypercolumns_lie_side_by_side_each_over_its_filters():
    small, own, large = (jax.random.normal(jax.random.key(k), s) for k, s in enumerate(
        [(1, 12, 17, 2), (1, 3, 4, 5), (1, 1, 2, 3)]
    ))  # fmt: skip
    found = neighbours.columns((own, small, large), ("conv3_1", "conv1_1", "conv4_1"))
    assert found.shape == (1, 3, 4, 10)
    np.testing.assert_allclose(found[..., :5], own / 5, rtol=1e-6)
    np.testing.assert_allclose(found[0, 1, 2, 5:7], small[0, 4:8, 8:12].mean((0, 1)) / 2, rtol=1e-5)
    np.testing.assert_allclose(found[0, 1, 3, 7:], large[0, 0, 1] / 3, rtol=1e-6)
    assert (found[0, 2, :, 7:] == 0).all()  # beyond the coarser map


def test_the_match_is_the_highest_cosine_of_centred_columns():
    painting, start = (jax.random.normal(jax.random.key(k), (1, 6, 7 + k, 5)) + 2 for k in (0, 1))
    found = neighbours.match(observed(painting), observed(start))["columns"]
    p, s = (np.asarray(x[0]).reshape(-1, 5) for x in (painting, start))
    centred = [x - x.mean(0) for x in (p, s)]
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in centred]
    np.testing.assert_allclose(np.asarray(found[0]).reshape(-1, 5), p[(unit[1] @ unit[0].T).argmax(1)], rtol=1e-6)


def test_places_are_looked_for_in_chunks_alike(monkeypatch):
    painting, start = (jax.random.normal(jax.random.key(k), (1, 6, 7, 5)) for k in (0, 1))
    whole = neighbours.match(observed(painting), observed(start))["columns"]
    monkeypatch.setattr(neighbours, "CHUNK", 8)
    np.testing.assert_array_equal(neighbours.match(observed(painting), observed(start))["columns"], whole)


def test_places_without_weight_are_not_taken_and_do_not_count():
    painting, start = (jax.random.normal(jax.random.key(k), (1, 6, 8, 5)) for k in (0, 1))
    weight = jnp.ones((1, 6, 8, 1)).at[:, :, 4:].set(0)
    half = neighbours.match(observed(painting[:, :, :4]), observed(start))["columns"]
    np.testing.assert_allclose(neighbours.match(observed(painting, weight), observed(start))["columns"], half)
    target = {"columns": painting}
    first = neighbours.distance(observed(start[:, :, :4]), {"columns": painting[:, :, :4]})
    np.testing.assert_allclose(neighbours.distance(observed(start, weight), target), first, rtol=1e-6)


def test_a_place_of_the_painting_is_its_own_neighbour(vgg16):
    objective = Objective((terms.neighbours(LAYERS),))
    targets = objectives.targets(vgg16.params, {"style": STYLE}, objective=objective, start=STYLE)
    loss, gradient = value_and_grad(vgg16.params, STYLE, targets, weights_for(objective), objective=objective)
    np.testing.assert_allclose(loss.total, 0, atol=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_the_start_is_the_photograph_unless_another_is_given(vgg16):
    objective = Objective((terms.content("conv2_1"), terms.neighbours(LAYERS)))
    images = {"content": CONTENT, "style": STYLE}
    plain, named = (
        objectives.targets(vgg16.params, images, objective=objective, start=start) for start in (None, CONTENT)
    )
    jax.tree.map(np.testing.assert_array_equal, plain, named)
    with pytest.raises(InputError, match="start must be given"):
        objectives.targets(vgg16.params, {"style": STYLE}, objective=Objective((terms.neighbours(LAYERS),)))


def test_a_padded_image_has_the_same_loss(vgg16):
    objective = Objective((terms.neighbours(("conv3_1", "conv1_1", "conv4_1")),))
    pad = lambda a, to: jnp.pad(a, ((0, 0), (0, to[0] - a.shape[1]), (0, to[1] - a.shape[2]), (0, 0)))  # noqa: E731
    x, images = picture(36, 44, seed=5), {"style": STYLE}
    alone = objectives.targets(vgg16.params, images, objective=objective, start=CONTENT)
    region = Region.full(1, 36, 44)
    wide = objectives.match_targets(
        vgg16.params, pad(CONTENT, (48, 64)), objectives.join_targets(
            {"style": objectives.target_statistics(
                vgg16.params, pad(STYLE, (48, 64)), "style", objective=objective, region=Region.full(1, 40, 52)
            )}
        ), objective=objective, region=region,
    )  # fmt: skip
    expected = value_and_grad(vgg16.params, x, alone, weights_for(objective), objective=objective)
    losses, gradient = value_and_grad(
        vgg16.params, pad(x, (48, 64)), wide, weights_for(objective), objective=objective, region=region
    )
    np.testing.assert_allclose(losses.total, expected[0].total, rtol=1e-4)
    np.testing.assert_allclose(gradient[:, :36, :44], expected[1], atol=1e-4 * np.abs(expected[1]).max())


def test_a_run_goes_down_by_it_at_every_scale(vgg16):
    config = jnst.Config(
        content_layers=("conv2_1",), style_layers=LAYERS, iterations=8, style_loss="neighbours", scales=("2",)
    )
    result = jnst.stylize(picture(72, 88), picture(80, 66, seed=1), config, vgg16)
    for scale in (result.history[:4], result.history[5:]):
        assert scale[-1].style_loss < scale[0].style_loss
    assert list(result.history[-1].style_layers) == ["neighbours"]


def test_what_it_cannot_be_is_refused():
    with pytest.raises(InputError, match="takes no style_layer_weights"):
        jnst.Config(style_loss="neighbours", style_layer_weights=(1, 1, 1, 1, 1))
    with pytest.raises(InputError, match="must name a layer of block 3 for style_loss neighbours"):
        terms.neighbours(("conv1_1", "conv4_1"))
