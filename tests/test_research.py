"""The programs of examples/research, small."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import EXAMPLES, picture

RESEARCH = sorted((EXAMPLES / "research").glob("*.py"))
SMALL = {"iterations": 4, "scales": ("1",), "style_pyramid_levels": 1}


def program(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / "research" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", RESEARCH, ids=lambda path: Path(path).stem)
def test_a_program_has_at_most_25_lines(path):
    assert len(path.read_text().splitlines()) <= 25


def falls(result):
    losses = [row.loss for row in result.history]
    return losses[-1] < 0.9 * losses[0] and np.isfinite(losses).all()


def test_an_own_style_loss_falls(vgg16):
    run = program("sliced_wasserstein").run
    result = run(picture(36, 41), picture(44, 33, seed=1), vgg16, ("conv1_1", "conv2_1"), "conv2_2", **SMALL)
    assert falls(result)
    assert result.image.shape == (1, 36, 41, 3)


def test_a_texture_begins_in_noise_and_gets_likelier(vgg16):
    result = program("texture").run(picture(36, 41), vgg16, "conv2_1", 6, style_pyramid_levels=1)
    assert falls(result)


def test_an_image_is_nearest_to_its_own_mirror_image(vgg16):
    images = [picture(40, 48), picture(40, 48, seed=3) ** 3, picture(40, 48)[:, :, ::-1], picture(48, 40, seed=3) ** 3]
    similarity, nearest = program("retrieval").neighbours(images, vgg16.params, layers=("conv1_1", "conv2_1"))
    np.testing.assert_allclose(jnp.diag(similarity), 1, rtol=1e-5)
    assert list(nearest) == [2, 3, 0, 1]


def test_two_styles_each_act_in_their_part(vgg16):
    """Grey gets black on the left, where the first style acts, and white on the right."""
    grey = jnp.full((1, 36, 48, 3), 0.5)
    layers = {"content_layers": ("conv2_1",), "style_layers": ("conv1_1",)}
    settings = SMALL | layers | {"strength": 0.99, "iterations": 30}
    result = program("two_styles").run(grey, jnp.zeros_like(grey), jnp.ones_like(grey), vgg16, **settings)
    left, right = result.image[:, :, :12].mean(), result.image[:, :, -12:].mean()
    assert left < 0.2
    assert right > 0.8


def test_the_gradient_in_the_styles_weight_is_a_difference_of_results(vgg16):
    gradient = program("weight_gradient").gradient
    content, style = picture(32, 32), picture(40, 36, seed=1)
    measure = lambda x: jnp.mean(jnp.square(x - content))  # noqa: E731
    quick = {"xla_backend_optimization_level": 1}  # plain code takes five times as long for this one
    slope = jax.jit(lambda params, beta: gradient(measure, content, style, params, beta, 4), compiler_options=quick)(
        vgg16.params, jnp.float32(1)
    )
    assert np.isfinite(slope)
    assert slope > 0  # the more style, the farther from the content
