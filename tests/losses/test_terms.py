import dataclasses

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jnst.errors import InputError
from jnst.losses import terms
from jnst.losses.base import Objective
from jnst.losses.observation import observations


def first_map(maps, weights):
    return maps[0]


def test_terms_made_alike_are_equal_and_share_a_hash():
    for make in (terms.content, terms.gram, terms.moments, terms.wasserstein):
        assert make("conv1_1", form="mse") == make("conv1_1", form="mse")
        assert hash(make("conv1_1")) == hash(make("conv1_1"))
        assert make("conv1_1") != make("conv1_1", form="mse")
    assert terms.sliced("conv1_1") == terms.sliced("conv1_1") != terms.sliced("conv2_1")
    alike = [terms.neighbours(("conv1_1", "conv3_1")) for _ in range(2)]
    assert len(set(alike)) == 1
    assert terms.custom("a", "conv1_1", first_map) == terms.custom("a", ("conv1_1",), first_map)


@pytest.mark.parametrize("make", [terms.content, terms.gram, terms.moments])
def test_an_unknown_form_is_refused(make, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match=r"unknown `?form`? 'huber': use one of relative, mse, sum"):
        make("conv1_1", form="huber")


def test_every_term_belongs_to_a_group():
    made = [terms.content("conv1_1"), terms.gram("conv1_1", target="style:1"), terms.total_variation()]
    assert [term.group for term in made] == ["content", "style", "image"]
    assert [term.name for term in made] == ["content/conv1_1", "style/conv1_1:1", "tv"]
    assert terms.gram("conv2_1", mask="sky").name == "style/conv2_1@sky"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": ()}, "at least one layer"),
        ({"layers": ("pixels", "conv1_1")}, "'pixels' must stand alone"),
        ({"target": "photo"}, "`target` must be content, style, style:1"),
        ({"reduce": "mean"}, "unknown `reduce` 'mean': use one of sum, place, whole"),
        ({"weight": float("nan")}, "`weight` must be finite"),
    ],
)
def test_terms_that_mean_nothing_are_refused(fields, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError) as caught:
        terms.custom("mine", **({"layers": ("conv1_1",), "observe": first_map} | fields))
    assert message.replace("`", "") in str(caught.value).replace("`", "")


def test_what_several_terms_observe_is_observed_once():
    styles = [terms.gram("conv1_1"), terms.gram("conv1_1", target="style:1", form="mse", weight=0.2)]
    assert len(observations(styles)) == 1
    assert len(observations([*styles, terms.gram("conv1_1", mask="sky"), terms.moments("conv1_1")])) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"terms": (terms.gram("conv1_1"), terms.gram("conv1_1"))}, "`terms` must have different names"),
        ({"pooling": "median"}, "unknown `pooling` 'median': use one of max, average"),
        ({"precision": "float16"}, "unknown `precision` 'float16'"),
        ({"gradients": "joint"}, "unknown `gradients` 'joint': use one of shared, separate, normalized"),
        ({"tile": -1}, "`tile` must be at least 0"),
        ({"style_pyramid_levels": 0}, "`style_pyramid_levels` must be at least 1"),
        ({"tile": 64, "terms": (terms.custom("swd", "conv1_1", first_map),)}, "`tile` must be 0: term 'swd'"),
    ],
)
def test_an_objective_that_exists_is_valid(fields, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError) as caught:
        Objective(**({"terms": (terms.gram("conv1_1"),)} | fields))
    assert message.replace("`", "") in str(caught.value).replace("`", "")


def test_an_objective_lists_its_layers_groups_and_images_once():
    made = terms.content("conv2_1"), terms.gram("conv1_1"), terms.gram("conv2_1", target="style:1")
    objective = Objective((*made, terms.total_variation()), tile=64)  # of pixels: outside windows
    assert objective.layers == ("conv2_1", "conv1_1")
    assert objective.groups == ("content", "style", "image")
    assert objective.sources == ("content", "style", "style:1")
    assert [term.name for term in objective.at_level(1)] == ["style/conv1_1", "style/conv2_1:1"]
    same = Objective((*made, terms.total_variation()), tile=64)
    assert {objective: 1}[same] == 1
    assert hash(dataclasses.replace(objective, tile=0)) != hash(objective)


def test_weights_multiply_what_is_summed_over_positions():
    maps = jax.random.uniform(jax.random.key(0), (2, 4, 5, 3))
    weights = jax.random.uniform(jax.random.key(1), (2, 4, 5, 1))
    gram = terms.gram("conv1_1").observe((maps,), (weights,))
    np.testing.assert_allclose(gram, jnp.einsum("nhwi,nhw,nhwj->nij", maps, weights[..., 0], maps), rtol=1e-5)
    moments = terms.moments("conv1_1").observe((maps,), (weights,))
    np.testing.assert_allclose(moments["square"], jnp.einsum("nhwi,nhw->ni", maps**2, weights[..., 0]), rtol=1e-5)
    place = terms.content("conv1_1").observe((maps,), (weights,))
    np.testing.assert_allclose(place**2, maps**2 * weights, rtol=1e-5)
