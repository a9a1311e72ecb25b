import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from jax.sharding import NamedSharding, PartitionSpec

from jnst import resample
from jnst.losses import objective
from jnst.losses import statistics as losses
from jnst.losses.objective import LossWeights, Spec
from jnst.network import vgg

SMALL = Spec(content_layers=("conv2_2",), style_layers=("conv1_1", "conv2_1"))
FORMS = ["relative", "mse", "sum"]


def loss_weights(content=0.3, style=0.7, layers=(0.4, 0.6), tv=0.0):
    return LossWeights(*(jnp.asarray(w, jnp.float32) for w in (content, style, layers, tv)))


@pytest.fixture(scope="module")
def params():
    return vgg.random_params(jax.random.key(0), "vgg16")


@pytest.fixture(scope="module")
def images():
    return picture(36, 41, seed=0), picture(44, 33, seed=1), picture(36, 41, seed=2)


value_and_grad = jax.jit(objective.value_and_grad, static_argnames="spec")


@pytest.mark.parametrize("form", FORMS)
def test_losses_are_equations_4_and_5(params, images, form):
    content, style, x = images
    spec = dataclasses.replace(SMALL, form=form)
    target = objective.targets(params, content, style, spec=spec)
    weights = loss_weights(tv=0.1)
    result = objective.evaluate(params, x, target, weights, spec=spec)

    maps, style_maps = (vgg.features(params, image, ("conv1_1", "conv2_1", "conv2_2")) for image in (x, style))
    content_map = vgg.features(params, content, ("conv2_2",))["conv2_2"]
    content_loss = losses.content_loss(maps["conv2_2"], content_map, form=form)
    layers = [
        losses.style_loss(losses.mean_gram(maps[name]), losses.mean_gram(style_maps[name]), form=form)
        for name in ("conv1_1", "conv2_1")
    ]
    np.testing.assert_allclose(result.content, content_loss, rtol=1e-5)
    np.testing.assert_allclose(result.style_layers[0], np.ravel(layers), rtol=1e-5)
    np.testing.assert_allclose(result.style, 0.4 * layers[0] + 0.6 * layers[1], rtol=1e-5)
    total = 0.3 * result.content + 0.7 * result.style + 0.1 * result.tv
    np.testing.assert_allclose(result.total, total, rtol=1e-5)


def test_several_content_layers_are_summed(params, images):
    content, style, x = images
    parts = []
    for layers in (("conv1_2",), ("conv2_2",), ("conv1_2", "conv2_2")):
        spec = dataclasses.replace(SMALL, content_layers=layers)
        target = objective.targets(params, content, style, spec=spec)
        parts.append(objective.evaluate(params, x, target, loss_weights(), spec=spec).content)
    np.testing.assert_allclose(parts[0] + parts[1], parts[2], rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_separate_shared_and_joint_gradients_are_equal(params, images, form):
    content, style, x = images
    weights = loss_weights(tv=0.5)
    found = {}
    for gradients in ("separate", "shared", "joint"):
        spec = dataclasses.replace(SMALL, form=form, gradients=gradients)
        target = objective.targets(params, content, style, spec=spec)
        found[gradients] = value_and_grad(params, x, target, weights, spec=spec)
    result, expected = found["joint"]
    for gradients in ("separate", "shared"):
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), found[gradients][0], result)
        error = np.linalg.norm(found[gradients][1] - expected) / np.linalg.norm(expected)
        assert error < 1e-5, (gradients, error)


def test_each_loss_has_its_own_gradient(params, images):
    """At the content the content's gradient is 0 and the style's is not; weighted, the two make the whole."""
    content, style, x = images
    target = objective.targets(params, content, style, spec=SMALL)
    _, at_content, style_gradient = objective.separate_gradients(params, content, target, loss_weights(), spec=SMALL)
    assert np.abs(at_content).max() < 1e-9
    assert np.abs(style_gradient).max() > 1e-6
    result, content_gradient, style_gradient = objective.separate_gradients(
        params, x, target, loss_weights(), spec=SMALL
    )
    whole, gradient = value_and_grad(params, x, target, loss_weights(), spec=SMALL)
    np.testing.assert_allclose(result.total, whole.total, rtol=1e-6)
    np.testing.assert_allclose(0.3 * content_gradient + 0.7 * style_gradient, gradient, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_is_a_finite_difference(params, images, form):
    with jax.enable_x64(True):
        content, style, x = (jnp.asarray(image, jnp.float64) for image in images)
        params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), params)
        spec = dataclasses.replace(SMALL, form=form)
        target = objective.targets(params, content, style, spec=spec)
        weights = LossWeights(*(jnp.asarray(w, jnp.float64) for w in (0.3, 0.7, (0.4, 0.6), 0.5)))
        _, gradient = value_and_grad(params, x, target, weights, spec=spec)
        direction = jax.random.normal(jax.random.key(1), x.shape, jnp.float64)

        def total(x):
            return objective.evaluate(params, x, target, weights, spec=spec).total[0]

        h = 1e-7  # short: ReLU and max pooling bend the line
        slope = (total(x + h * direction) - total(x - h * direction)) / (2 * h)
        np.testing.assert_allclose(jnp.vdot(gradient, direction), slope, rtol=1e-4)


def test_a_batch_equals_its_single_images(params, images):
    content, style, x = images
    other = images[0][:, ::-1]
    both_x, both_content = jnp.concatenate([x, other]), jnp.concatenate([content, x])
    both_style = jnp.concatenate([style, style[:, :, ::-1]])
    target = objective.targets(params, both_content, both_style, spec=SMALL)
    result, gradient = value_and_grad(params, both_x, target, loss_weights(), spec=SMALL)
    for k in range(2):
        one = objective.targets(params, both_content[k : k + 1], both_style[k : k + 1], spec=SMALL)
        single, single_gradient = value_and_grad(params, both_x[k : k + 1], one, loss_weights(), spec=SMALL)
        np.testing.assert_allclose(result.total[k], single.total[0], rtol=1e-5)
        np.testing.assert_allclose(gradient[k], single_gradient[0], rtol=1e-3, atol=1e-8)


def test_vmap_equals_single_images(params, images):
    content, style, x = images
    target = objective.targets(params, content, style, spec=SMALL)
    single = partial(objective.value_and_grad, params, target=target, weights=loss_weights(), spec=SMALL)
    both = jnp.stack([x, x[:, ::-1]])
    result, gradient = jax.jit(jax.vmap(lambda x: single(x)))(both)
    expected, expected_gradient = single(both[1])
    np.testing.assert_allclose(result.total[1], expected.total, rtol=1e-5)
    np.testing.assert_allclose(gradient[1], expected_gradient, rtol=1e-3, atol=1e-8)


def test_four_devices_equal_one(params):
    assert len(jax.devices()) >= 4
    content, style, x = (jnp.concatenate([picture(32, 32, seed=4 * k + j) for j in range(4)]) for k in range(3))
    target = objective.targets(params, content, style, spec=SMALL)
    expected, expected_gradient = value_and_grad(params, x, target, loss_weights(), spec=SMALL)

    mesh = jax.make_mesh((4,), ("images",), axis_types=(jax.sharding.AxisType.Auto,))
    split, everywhere = NamedSharding(mesh, PartitionSpec("images")), NamedSharding(mesh, PartitionSpec())
    result, gradient = value_and_grad(
        jax.device_put(params, everywhere),
        jax.device_put(x, split),
        jax.device_put(target, split),
        jax.device_put(loss_weights(), everywhere),
        spec=SMALL,
    )
    assert len(gradient.sharding.device_set) == 4
    np.testing.assert_allclose(result.total, expected.total, rtol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-3, atol=1e-8)


def test_one_trace_a_shape(params, images):
    content, style, x = images
    traces = []

    @partial(jax.jit, static_argnames="spec")
    def counted(params, x, target, weights, spec):
        traces.append(x.shape)
        return objective.value_and_grad(params, x, target, weights, spec=spec)

    target = objective.targets(params, content, style, spec=SMALL)
    for strength in (0.2, 0.5):
        counted(params, x, target, loss_weights(1 - strength, strength), SMALL)
        counted(params, content, target, loss_weights(1 - strength, strength), Spec(**dataclasses.asdict(SMALL)))
    assert len(traces) == 1


@pytest.mark.parametrize("form", ["mse", "sum"])
def test_balance_takes_the_unit_out(params, images, form):
    """Weights that make every map ten times larger change `mse` and `sum` losses, but not the balanced sum."""
    content, style, x = images
    spec = dataclasses.replace(SMALL, form=form)
    totals = []
    for unit in (1.0, 10.0):
        scaled = {name: {**layer, "bias": unit * layer["bias"]} for name, layer in params.items() if name != "input"}
        scaled["conv1_1"] = {**scaled["conv1_1"], "kernel": unit * scaled["conv1_1"]["kernel"]}
        target = objective.targets(scaled, content, style, spec=spec)
        alpha, beta = objective.balance(target, jnp.float32(0.7), spec=spec)
        weights = LossWeights(alpha, beta, jnp.array([0.5, 0.5]), jnp.zeros(()))
        totals.append(float(objective.evaluate(scaled, x, target, weights, spec=spec).total[0]))
    np.testing.assert_allclose(totals[0], totals[1], rtol=1e-4)


def test_balance_of_relative_losses_is_the_strength_itself(params, images):
    target = objective.targets(params, *images[:2], spec=SMALL)
    alpha, beta = objective.balance(target, jnp.float32(0.7), spec=SMALL)
    np.testing.assert_allclose([alpha, beta], [0.3, 0.7], rtol=1e-6)


def test_style_at_several_sizes_is_the_mean_over_the_halvings(params):
    content, style, x = picture(66, 70), picture(80, 65, seed=1), picture(66, 70, seed=2)
    spec = dataclasses.replace(SMALL, style_sizes=2)
    target = objective.targets(params, content, style, spec=spec)
    assert [sorted(part.content) for part in target] == [["conv2_2"], []]
    result = objective.evaluate(params, x, target, loss_weights(tv=0.1), spec=spec)
    parts = []
    for half in (lambda a: a, resample.halve):
        one = objective.targets(params, half(content), half(style), spec=SMALL)
        parts.append(objective.evaluate(params, half(x), one, loss_weights(tv=0.1), spec=SMALL))
    np.testing.assert_allclose(result.style_layers, (parts[0].style_layers + parts[1].style_layers) / 2, rtol=1e-5)
    np.testing.assert_allclose(result.content, parts[0].content, rtol=1e-5)
    np.testing.assert_allclose(result.tv, parts[0].tv, rtol=1e-5)


def test_no_size_is_smaller_than_the_network_takes(params):
    small, large = picture(40, 200), picture(140, 200)
    spec = dataclasses.replace(SMALL, style_sizes=5)
    assert len(objective.targets(params, large, large, spec=spec)) == 3
    assert len(objective.targets(params, small, large, spec=spec)) == 1
    assert len(objective.targets(params, large, small, spec=spec)) == 1


@pytest.mark.parametrize("gradients", ["shared", "separate"])
def test_the_gradient_of_several_sizes_is_that_of_the_joint_loss(params, gradients):
    content, style, x = picture(67, 75), picture(64, 80, seed=1), picture(67, 75, seed=2)
    spec = dataclasses.replace(SMALL, style_sizes=2, gradients=gradients)
    joint = dataclasses.replace(spec, gradients="joint")
    target = objective.targets(params, content, style, spec=spec)
    found, gradient = value_and_grad(params, x, target, loss_weights(tv=0.3), spec=spec)
    expected, expected_gradient = value_and_grad(params, x, target, loss_weights(tv=0.3), spec=joint)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), found, expected)
    assert np.linalg.norm(gradient - expected_gradient) < 1e-5 * np.linalg.norm(expected_gradient)


def test_several_sizes_take_little_more_memory_than_one(params):
    def memory(style_sizes):
        spec = dataclasses.replace(SMALL, style_sizes=style_sizes)
        x = jax.ShapeDtypeStruct((1, 192, 256, 3), jnp.float32)
        target = jax.eval_shape(lambda p, a: objective.targets(p, a, a, spec=spec), params, x)
        found: Any = value_and_grad.lower(params, x, target, loss_weights(), spec=spec).compile().memory_analysis()
        return found.temp_size_in_bytes

    assert memory(3) < 1.1 * memory(1)  # kept together, the maps would take 1.3 times


@pytest.mark.parametrize("form", FORMS)
def test_a_part_of_a_larger_array_is_the_image_alone(params, form):
    """The lines of a batch: other sizes, one program (losses and gradients to 1e-5)."""
    spec = dataclasses.replace(SMALL, form=form, style_sizes=2)
    sizes, style_sizes, weights = [(65, 79), (72, 66)], [(64, 70), (80, 67)], loss_weights(tv=0.3)

    def canvas(images):
        return jnp.concatenate(
            [jnp.pad(a, ((0, 0), (0, 80 - a.shape[1]), (0, 96 - a.shape[2]), (0, 0))) for a in images]
        )

    def region(sizes):
        zero, (heights, widths) = jnp.zeros(2, jnp.int32), map(jnp.asarray, zip(*sizes, strict=True))
        return vgg.Region(zero, zero, heights, widths)

    contents, xs = ([picture(*size, seed=seed + k) for k, size in enumerate(sizes)] for seed in (0, 10))
    styles = [picture(*size, seed=20 + k) for k, size in enumerate(style_sizes)]
    regions = region(sizes), region(style_sizes)
    target = objective.targets(params, canvas(contents), canvas(styles), spec=spec, regions=regions)
    found, gradient = value_and_grad(params, canvas(xs), target, weights, spec=spec, region=regions[0])
    for k, (height, width) in enumerate(sizes):
        alone = objective.targets(params, contents[k], styles[k], spec=spec)
        expected, expected_gradient = value_and_grad(params, xs[k], alone, weights, spec=spec)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours[k], theirs[0], rtol=1e-5)
        inside = gradient[k, :height, :width]
        assert np.linalg.norm(inside - expected_gradient[0]) < 1e-5 * np.linalg.norm(expected_gradient)
        assert np.linalg.norm(gradient[k]) == pytest.approx(np.linalg.norm(inside))


def test_gram_gradients_are_not_held_until_they_are_needed(params, monkeypatch):
    spec = dataclasses.replace(SMALL, style_layers=("conv1_1", "conv2_1"), content_layers=("conv3_1",))

    def memory():
        x = jax.ShapeDtypeStruct((1, 192, 256, 3), jnp.float32)
        target = jax.eval_shape(lambda p, a: objective.targets(p, a, a, spec=spec), params, x)
        fresh = jax.jit(lambda p, x, t: objective.value_and_grad(p, x, t, loss_weights(), spec=spec))
        found: Any = fresh.lower(params, x, target).compile().memory_analysis()
        return found.temp_size_in_bytes

    waiting = memory()
    monkeypatch.setattr(vgg, "after", lambda gradient, x: x)
    assert waiting < 0.95 * memory()


def test_normalized_gradients_have_length_1_each(params, images):
    content, style, x = images
    spec = dataclasses.replace(SMALL, gradients="normalized")
    target, weights = objective.targets(params, content, style, spec=spec), loss_weights()
    _, gradient = value_and_grad(params, x, target, weights, spec=spec)
    _, of_content, of_style = objective.separate_gradients(params, x, target, weights, spec=SMALL)
    expected = sum(w * g / jnp.linalg.norm(g.ravel()) for w, g in ((0.3, of_content), (0.7, of_style)))
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-6)
    _, at_content = value_and_grad(params, content, target, weights, spec=spec)  # where the content's is zero
    assert np.isfinite(at_content).all()


@pytest.mark.parametrize("left_out", ["content", "style"])
def test_one_part_alone_is_the_whole_with_no_weight_on_the_other(params, images, left_out):
    content, style, x = images
    both = objective.targets(params, content, style, spec=SMALL)
    if left_out == "content":
        spec, weights = dataclasses.replace(SMALL, content_layers=()), loss_weights(content=0.0)
        own = weights
    else:
        spec, weights = dataclasses.replace(SMALL, style_layers=()), loss_weights(style=0.0)
        own = weights._replace(style_layers=jnp.zeros(0))
    alone = objective.targets(params, content, style, spec=spec)
    result, gradient = value_and_grad(params, x, alone, own, spec=spec)
    expected, whole = value_and_grad(params, x, both, weights, spec=SMALL)
    np.testing.assert_allclose(result.total, expected.total, rtol=1e-5)
    np.testing.assert_allclose(gradient, whole, rtol=1e-4, atol=1e-7)


def test_a_gram_entry_is_that_of_the_matrix(params, images):
    x = images[2]
    matrix = losses.mean_gram(vgg.features(params, x, ("conv2_1",))["conv2_1"])
    found = objective.gram_entry(params, x, layer="conv2_1", entry=(3, 17))
    np.testing.assert_allclose(found, matrix[:, 3, 17], rtol=1e-5)
    with pytest.raises(IndexError, match=r"entry \(3, 128\): conv2_1 has 128 filters"):
        objective.gram_entry(params, x, layer="conv2_1", entry=(3, 128))
