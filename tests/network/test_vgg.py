import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from helpers import picture
from jax import lax

from jnst.errors import InputError
from jnst.io.weights import Weights
from jnst.network import conv, vgg
from jnst.network.architecture import detect, layer_names, stride_of

REFERENCE = Path(__file__).parent.parent / "reference.npz"


def plain_conv(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def plain_max_pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def plain_average_pool(x):
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


@pytest.mark.parametrize("shape", [(2, 7, 9, 4), (1, 1, 5, 4), (1, 8, 8, 4)])
def test_conv3x3_has_the_values_and_gradients_of_jax(shape):
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 3)
        x = jax.random.normal(keys[0], shape)
        kernel = jax.random.normal(keys[1], (3, 3, shape[-1], 5))
        direction = jax.random.normal(keys[2], (*shape[:3], 5))
        ours, pull_ours = jax.vjp(partial(conv.conv3x3, precision="float32"), x, kernel)
        theirs, pull_theirs = jax.vjp(plain_conv, x, kernel)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
        for a, b in zip(pull_ours(direction), pull_theirs(direction), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_the_image_gradient_of_conv3x3_is_an_ordinary_convolution():
    """Why it is there: a convolution that is not NHWC/HWIO leaves XLA:CPU's fast path inside loops."""
    x, kernel = jnp.ones((1, 8, 8, 4)), jnp.ones((3, 3, 4, 4))

    def layouts(convolve):
        text = jax.jit(jax.grad(lambda x: convolve(x, kernel).sum())).lower(x).as_text()
        return re.findall(r"stablehlo.convolution.*?dim_numbers = (.*?), window", text)

    assert layouts(plain_conv) == ["[b, 0, 1, f]x[0, 1, o, i]->[b, 0, 1, f]"]
    assert layouts(partial(conv.conv3x3, precision="float32")) == ["[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"]


@partial(jax.jit, static_argnames=("layers", "precision", "checkpoint"))
def maps_and_gradient(params, image, layers, **options):
    maps, pull = jax.vjp(lambda x: vgg.features(params, x, layers, **options), image)
    return maps, pull(jax.tree.map(jnp.ones_like, maps))[0]


def test_the_prepared_network_is_the_same_network(random_vgg19):
    """On the CPU its wide layers go through Winograd's convolution: other sums, equal values and image gradients."""
    layers = ("conv1_1", "conv4_2", "conv5_1")
    prepared = vgg.prepare_for_inference(random_vgg19, layers)
    wide = [name for name in prepared if "winograd" in prepared[name]]
    names = layer_names("vgg19")[: layer_names("vgg19").index("conv5_1") + 1]
    assert set(prepared) == {"input", *names}
    expected = list(names[3:])
    assert wide == (expected if jax.default_backend() == "cpu" else [])
    by_four = [name for name in prepared if "winograd_gradient" in prepared[name]]
    # but for those of 512 to 512 channels, which would take the memory
    assert by_four == (list(names[3:9]) if jax.default_backend() == "cpu" else [])
    image = picture(48, 37)
    results = []
    for params in (random_vgg19, prepared):
        results.append(maps_and_gradient(params, image, layers))
    (maps, gradient), (same_maps, same_gradient) = results
    for name in layers:
        np.testing.assert_allclose(same_maps[name], maps[name], rtol=1e-3, atol=1e-5 * np.abs(maps[name]).max())
    assert np.linalg.norm(same_gradient - gradient) < 1e-2 * np.linalg.norm(gradient)  # a few ReLUs may switch


def test_checkpoint_computes_the_same_from_less(random_vgg19):
    layers, image = ("conv1_1", "conv2_2", "conv3_1"), picture(37, 32)
    kept = maps_and_gradient(random_vgg19, image, layers)
    recomputed = maps_and_gradient(random_vgg19, image, layers, checkpoint=True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), kept, recomputed)

    def memory(checkpoint):
        lowered = maps_and_gradient.lower(random_vgg19, picture(256, 192), ("conv5_1",), checkpoint=checkpoint)
        analysis = lowered.compile().memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    assert memory(True) < 0.8 * memory(False)


@pytest.mark.parametrize(("precision", "kind", "error"), [("tensorfloat32", "f32", 1e-3), ("bfloat16", "bf16", 0.03)])
def test_the_convolutions_have_the_precision_that_is_asked_for(precision, kind, error, random_vgg19):
    layers, image = ("conv1_1", "conv3_1"), picture(40, 32)
    exact, gradient = maps_and_gradient(random_vgg19, image, layers)
    maps, rough_gradient = maps_and_gradient(random_vgg19, image, layers, precision=precision)
    for name in layers:
        assert maps[name].dtype == jnp.float32
        assert np.linalg.norm(maps[name] - exact[name]) < error * np.linalg.norm(exact[name])
    assert rough_gradient.dtype == jnp.float32
    assert np.linalg.norm(rough_gradient - gradient) < 0.3 * np.linalg.norm(gradient)  # where ReLUs switch
    text = maps_and_gradient.lower(random_vgg19, image, layers, precision=precision).as_text()
    convolutions = re.findall(r"stablehlo.convolution.*?precision_config = \[(.*?)\].*?tensor<[0-9x]*x(\w+)>", text)
    level = {"tensorfloat32": "HIGH", "bfloat16": "DEFAULT"}[precision]
    assert len(convolutions) == 10
    assert {(word, where) for word, where in convolutions} == {
        (f"#stablehlo<precision {level}>, #stablehlo<precision {level}>", kind)
    }


@pytest.mark.parametrize(("ours", "plain"), [(conv.max_pool, plain_max_pool), (conv.average_pool, plain_average_pool)])
@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (1, 7, 9, 3), (1, 2, 3, 3)])
def test_pooling_has_the_values_and_gradients_of_jax(ours, plain, shape):
    # few different values, so that windows hold equal ones: the gradient must go to the same one
    x = jnp.round(2 * jax.nn.relu(jax.random.normal(jax.random.key(1), shape)))
    out, pull = jax.vjp(ours, x)
    expected, expected_pull = jax.vjp(plain, x)
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    direction = jax.random.normal(jax.random.key(2), out.shape)
    np.testing.assert_allclose(pull(direction)[0], expected_pull(direction)[0], rtol=1e-6)


@pytest.fixture(scope="module")
def random_vgg19():
    return vgg.random_params(jax.random.key(0), "vgg19")


@pytest.mark.parametrize("size", [(32, 32), (37, 45)])
def test_map_sizes_are_floor_halves(random_vgg19, size):
    maps = vgg.features(random_vgg19, picture(*size), layer_names("vgg19"))
    assert list(maps) == list(layer_names("vgg19"))
    for name, values in maps.items():
        stride = stride_of(name)
        assert values.shape[:3] == (1, size[0] // stride, size[1] // stride)
        assert np.isfinite(values).all()
        assert values.min() >= 0


def test_nothing_above_the_deepest_layer_is_computed(random_vgg19):
    def convolutions(*layers):
        return str(jax.make_jaxpr(partial(vgg.features, layers=layers))(random_vgg19, picture(32, 32))).count(
            "conv_general_dilated["
        )

    assert convolutions("conv1_1") == 1
    assert convolutions("conv3_2", "conv1_2") == 6
    assert convolutions("conv5_1") == 13


def test_pooling_is_a_choice(random_vgg19):
    image = picture(32, 32)
    highest, mean = (vgg.features(random_vgg19, image, ["conv1_2", "conv2_1"], pooling=p) for p in ("max", "average"))
    np.testing.assert_array_equal(highest["conv1_2"], mean["conv1_2"])
    assert not np.allclose(highest["conv2_1"], mean["conv2_1"])


def test_unknown_layers_and_too_small_images_are_refused(vgg16: Weights, random_vgg19):
    with pytest.raises(InputError, match="unknown layer 'conv6_1': vgg19 has conv1_1"):
        vgg.features(random_vgg19, picture(32, 32), ["conv6_1"])
    with pytest.raises(InputError, match="unknown layer 'conv3_4': vgg16 has conv1_1"):
        vgg.features(vgg16.params, picture(32, 32), ["conv3_4"])
    with pytest.raises(InputError, match="conv5_1 needs an image of at least 16x16 pixels, got 40x15"):
        vgg.features(random_vgg19, picture(15, 40), ["conv1_1", "conv5_1"])
    with pytest.raises(InputError, match=r"unknown `?architecture`? 'vgg13': use one of vgg16, vgg19"):
        vgg.random_params(jax.random.key(0), "vgg13")


@pytest.mark.parametrize("shape", [(64, 64, 3), (1, 64, 64, 1)])
def test_an_image_of_another_shape_is_refused_in_one_line(random_vgg19, shape, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    with pytest.raises(InputError, match=re.escape(f"image must have the shape (n, h, w, 3), got {shape}")):
        vgg.features(random_vgg19, jnp.zeros(shape), ["conv1_1"])


@pytest.mark.parametrize(("field", "value"), [("pooling", "median"), ("precision", "float16")])
def test_a_choice_that_is_none_is_refused(random_vgg19, field, value, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match=f"unknown `?{field}`? '{value}': use one of"):
        vgg.features(random_vgg19, picture(32, 32), ["conv1_1"], **{field: value})


def test_the_input_convention_is_data_of_the_weights(random_vgg19):
    """A network trained on (image - mean) / std, given so, sees what the same network without `input` is handed."""
    image = picture(32, 32)
    plain = {name: layer for name, layer in random_vgg19.items() if name != "input"}
    mean, std = np.array([0.4, 0.5, 0.6], np.float32), np.array([0.2, 0.3, 0.4], np.float32)
    trained = {**plain, "input": {"mean": mean, "std": std}}
    expected = vgg.features(plain, (image - mean.reshape(1, 1, 1, 3)) / std.reshape(1, 1, 1, 3), ["conv2_1"])
    np.testing.assert_allclose(
        vgg.features(trained, image, ["conv2_1"])["conv2_1"], expected["conv2_1"], rtol=1e-4, atol=1e-5
    )


def seeded_vgg19():
    """The network `random_vgg19` of tools/make_reference.py, written out again."""
    rng, channels, params = np.random.RandomState(2), 3, {}
    for name in layer_names("vgg19"):
        width = (64, 128, 256, 512, 512)[int(name[4]) - 1]
        kernel = rng.standard_normal((3, 3, channels, width)) * np.sqrt(2 / (9 * channels))
        bias = 0.1 * rng.standard_normal(width)
        params[name] = {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
        channels = width
    return params


@pytest.mark.parametrize("network", ["bundled_vgg16", "random_vgg19", "keras_vgg19"])
def test_features_agree_with_pytorch_at_every_layer(network, request):
    if network == "random_vgg19":
        params = seeded_vgg19()
    else:
        params = request.getfixturevalue(network.removeprefix("bundled_")).params
    with np.load(REFERENCE) as reference:
        maps = vgg.features(params, jnp.asarray(reference["image"])[None], layer_names(detect(params)))
        for name, values in maps.items():
            flat = np.asarray(values, np.float64).ravel()
            entries = reference[f"{network}/{name}/entries"]
            chosen = flat[np.linspace(0, flat.size - 1, entries.size).astype(int)]
            assert np.linalg.norm(chosen - entries) < 1e-4 * np.linalg.norm(entries), name
            assert abs(np.linalg.norm(flat) / reference[f"{network}/{name}/norm"] - 1) < 1e-4, name
