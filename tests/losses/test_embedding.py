import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from references import features

from jnst.losses.embedding import style_embedding
from jnst.losses.statistics import mean_gram
from jnst.network import vgg

LAYERS = ("conv1_1", "conv2_1")


@pytest.fixture(scope="module")
def params():
    return vgg.random_params(jax.random.key(0), "vgg16")


def test_the_inner_product_is_the_mean_cosine_of_the_gram_matrices(params):
    images = jnp.concatenate([picture(36, 40, seed=k) for k in range(2)])
    embedding = jax.jit(style_embedding, static_argnames="layers")
    vectors = embedding(params, images, layers=LAYERS)
    assert vectors.shape == (2, 64 * 65 // 2 + 128 * 129 // 2)
    grams = [np.asarray(mean_gram(maps), np.float64) for maps in features(params, images, LAYERS).values()]
    cosines = [np.vdot(g[0], g[1]) / np.linalg.norm(g[0]) / np.linalg.norm(g[1]) for g in grams]
    np.testing.assert_allclose(jnp.vdot(vectors[0], vectors[1]), np.mean(cosines), rtol=1e-4)
    np.testing.assert_allclose(jnp.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    silent = params | {layer: jax.tree.map(jnp.zeros_like, params[layer]) for layer in ("conv1_1", "conv2_1")}
    assert np.isfinite(embedding(silent, images, layers=LAYERS)).all()
