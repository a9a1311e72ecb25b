import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture

from jnst.network import vgg
from jnst.network.architecture import layer_names
from jnst.network.normalize import mean_activations, normalize_filters

SOME = ("conv1_1", "conv2_2", "conv3_1", "conv5_1")


@pytest.fixture(scope="module")
def params():
    return vgg.random_params(jax.random.key(0), "vgg16")


@pytest.fixture(scope="module")
def means(params):
    return mean_activations(params, [picture(48, 48), picture(48, 48, seed=1)])


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_features_change_by_exactly_these_factors(params, means, pooling):
    x = picture(48, 48, seed=2)
    before = vgg.features(params, x, SOME, pooling=pooling)
    after = vgg.features(normalize_filters(params, means), x, SOME, pooling=pooling)
    for layer in SOME:
        factor = 1 / np.where(means[layer] > 0, means[layer], 1)
        scale = float(jnp.max(jnp.abs(after[layer])))
        np.testing.assert_allclose(after[layer], before[layer] * factor[None, None, None], rtol=2e-3, atol=1e-5 * scale)


def test_every_filter_then_has_mean_activation_1(params, means):
    again = mean_activations(normalize_filters(params, means), [picture(48, 48), picture(48, 48, seed=1)])
    for layer in layer_names("vgg16"):
        silent = np.asarray(means[layer]) == 0
        np.testing.assert_allclose(np.asarray(again[layer])[~silent], 1, rtol=1e-3)
        np.testing.assert_array_equal(np.asarray(again[layer])[silent], 0)


def test_a_silent_filter_stays_silent(params, means):
    bias = jnp.full_like(jnp.asarray(params["conv1_1"]["bias"]), -1e3)
    dead = {**params, "conv1_1": {**params["conv1_1"], "bias": bias}}
    found = mean_activations(dead, [picture(48, 48)])
    kernel = normalize_filters(dead, found)["conv1_1"]["kernel"]
    np.testing.assert_array_equal(kernel, params["conv1_1"]["kernel"])


def test_images_count_alike_whatever_their_size(params):
    one, two = picture(32, 32), picture(48, 48, seed=1)
    both = mean_activations(params, [one, two])["conv1_1"]
    alone = [mean_activations(params, [image])["conv1_1"] for image in (one, two)]
    np.testing.assert_allclose(both, (alone[0] + alone[1]) / 2, rtol=1e-6)
