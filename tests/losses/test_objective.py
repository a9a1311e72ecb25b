import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import picture
from jax.sharding import NamedSharding, PartitionSpec
from references import FORMS, assert_same, distance, evaluate, features, joint, small, value_and_grad, weights_for
from test_comparisons import loss

from jnst.errors import InputError
from jnst.losses import objective as objectives
from jnst.losses import statistics, terms
from jnst.losses.objective import Objective, Targets
from jnst.losses.pyramid import halve
from jnst.network import vgg
from jnst.network.region import Region

SMALL = small()


@pytest.fixture(scope="module")
def params():
    return vgg.random_params(jax.random.key(0), "vgg16")


@pytest.fixture(scope="module")
def images():
    return picture(36, 41, seed=0), picture(44, 33, seed=1), picture(36, 41, seed=2)


def targets_of(params, content, style, objective, **options):
    return objectives.targets(params, {"content": content, "style": style}, objective=objective, **options)


@pytest.mark.parametrize("form", FORMS)
def test_losses_are_equations_4_and_5(params, images, form):
    content, style, x = images
    objective = small(form=form)
    result = evaluate(
        params, x, targets_of(params, content, style, objective), weights_for(objective), objective=objective
    )

    maps, style_maps = (features(params, image, ("conv1_1", "conv2_1", "conv2_2")) for image in (x, style))
    content_map = features(params, content, ("conv2_2",))["conv2_2"]
    content_loss = loss(terms.content("conv2_2", form=form), maps["conv2_2"], content_map)
    layers = [loss(terms.gram(name, form=form), maps[name], style_maps[name]) for name in ("conv1_1", "conv2_1")]
    np.testing.assert_allclose(result.groups["content"], content_loss, rtol=1e-5)
    np.testing.assert_allclose(result.terms["style/conv2_1"], layers[1], rtol=1e-5)
    np.testing.assert_allclose(result.groups["style"], 0.4 * layers[0] + 0.6 * layers[1], rtol=1e-5)
    np.testing.assert_allclose(result.groups["image"], statistics.total_variation(x), rtol=1e-5)
    total = 0.3 * result.groups["content"] + 0.7 * result.groups["style"] + 0.1 * result.groups["image"]
    np.testing.assert_allclose(result.total, total, rtol=1e-5)


def test_several_content_layers_are_summed(params, images):
    content, style, x = images
    objective = small(content=("conv1_2", "conv2_2"))
    result = evaluate(
        params, x, targets_of(params, content, style, objective), weights_for(objective), objective=objective
    )
    parts = result.terms["content/conv1_2"] + result.terms["content/conv2_2"]
    np.testing.assert_allclose(result.groups["content"], parts, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("gradients", ["shared", "separate"])
def test_gradients_are_that_of_the_joint_loss(params, form, levels, gradients):
    content, style, x = picture(67, 75), picture(64, 80, seed=1), picture(67, 75, seed=2)
    objective = small(form=form, style_pyramid_levels=levels)
    targets, weights = targets_of(params, content, style, objective), weights_for(objective)
    assert len(targets.levels) == levels
    expected = joint(params, x, targets, weights, objective=objective)
    ours = value_and_grad(params, x, targets, weights, objective=dataclasses.replace(objective, gradients=gradients))
    assert_same(ours, expected)


def test_each_group_has_its_own_gradient(params, images):
    """At the content the content's gradient is 0 and the style's is not; weighted, the groups make the whole."""
    content, style, x = images
    targets, weights = targets_of(params, content, style, SMALL), weights_for(SMALL)
    separate = jax.jit(objectives.separate_gradients, static_argnames="objective")
    _, at_content = separate(params, content, targets, weights, objective=SMALL)
    assert np.abs(at_content["content"]).max() < 1e-9
    assert np.abs(at_content["style"]).max() > 1e-6
    losses, parts = separate(params, x, targets, weights, objective=SMALL)
    combined = 0.3 * parts["content"] + 0.7 * parts["style"] + 0.1 * parts["image"]
    assert_same((losses, combined), value_and_grad(params, x, targets, weights, objective=SMALL))


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_is_a_finite_difference(params, images, form):
    with jax.enable_x64(True):
        content, style, x = (jnp.asarray(image, jnp.float64) for image in images)
        params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), params)
        objective = small(form=form)
        targets, weights = targets_of(params, content, style, objective), weights_for(objective, dtype=jnp.float64)
        _, gradient = value_and_grad(params, x, targets, weights, objective=objective)
        direction = jax.random.normal(jax.random.key(1), x.shape, jnp.float64)

        def total(x):
            return evaluate(params, x, targets, weights, objective=objective).total[0]

        h = 1e-7  # short: ReLU and max pooling bend the line
        slope = (total(x + h * direction) - total(x - h * direction)) / (2 * h)
        np.testing.assert_allclose(jnp.vdot(gradient, direction), slope, rtol=1e-4)


def test_a_batch_equals_its_single_images_each_with_its_own_weights(params, images):
    content, style, x = images
    both_x, both_content = jnp.concatenate([x, content[:, ::-1]]), jnp.concatenate([content, x])
    both_style = jnp.concatenate([style, style[:, :, ::-1]])
    targets = targets_of(params, both_content, both_style, SMALL)
    weights = weights_for(SMALL, content=(0.3, 0.2), style=(0.7, 0.9))
    result, gradient = value_and_grad(params, both_x, targets, weights, objective=SMALL)
    for k, (alpha, beta) in enumerate([(0.3, 0.7), (0.2, 0.9)]):
        one = jax.tree.map(lambda leaf, k=k: leaf[k : k + 1], targets)
        own = weights_for(SMALL, content=alpha, style=beta)
        single, single_gradient = value_and_grad(params, both_x[k : k + 1], one, own, objective=SMALL)
        jax.tree.map(lambda a, b, k=k: np.testing.assert_allclose(a[k], b[0], rtol=1e-5), result, single)
        assert distance(gradient[k], single_gradient[0]) < 1e-5


def test_vmap_equals_single_images(params, images):
    content, style, x = images
    objective = small(style=("conv1_1",), more=(terms.gram("conv2_1", mask="left"),))
    mask = jnp.broadcast_to((jnp.arange(41) < 20)[None, None, :, None], (1, 36, 41, 1)).astype(jnp.float32)
    targets = targets_of(params, content, style, objective, masks={"left": mask})
    fixed = partial(
        objectives.value_and_grad, params, targets=targets, weights=weights_for(objective), objective=objective
    )
    both = jnp.stack([x, x[:, ::-1]])
    result, gradient = jax.jit(jax.vmap(lambda x: fixed(x)))(both)
    expected, expected_gradient = jax.jit(lambda x: fixed(x))(both[1])
    np.testing.assert_allclose(result.total[1], expected.total, rtol=1e-5)
    assert distance(gradient[1], expected_gradient) < 1e-5


def test_four_devices_equal_one(params):
    assert len(jax.devices()) >= 4
    content, style, x = (jnp.concatenate([picture(32, 32, seed=4 * k + j) for j in range(4)]) for k in range(3))
    targets, weights = targets_of(params, content, style, SMALL), weights_for(SMALL)
    expected = value_and_grad(params, x, targets, weights, objective=SMALL)

    mesh = jax.make_mesh((4,), ("images",), axis_types=(jax.sharding.AxisType.Auto,))
    split, everywhere = NamedSharding(mesh, PartitionSpec("images")), NamedSharding(mesh, PartitionSpec())
    ours = value_and_grad(
        jax.device_put(params, everywhere),
        jax.device_put(x, split),
        jax.device_put(targets, split),
        jax.device_put(weights, everywhere),
        objective=SMALL,
    )
    assert len(ours[1].sharding.device_set) == 4
    assert_same(ours, expected)


def test_one_trace_a_shape(params, images):
    content, style, x = images
    traces = []

    @partial(jax.jit, static_argnames="objective")
    def counted(params, x, targets, weights, objective):
        traces.append(x.shape)
        return objectives.evaluate(params, x, targets, weights, objective=objective)

    targets = targets_of(params, content, style, SMALL)
    for strength in (0.2, 0.5):
        weights = weights_for(SMALL, content=1 - strength, style=strength)
        counted(params, x, targets, weights, SMALL)
        counted(params, content, targets, weights, small())
    assert len(traces) == 1


@pytest.mark.parametrize("form", ["mse", "sum"])
def test_balance_takes_the_unit_out(params, images, form):
    """Weights that make every map ten times larger change `mse` and `sum` losses, but not the balanced sum."""
    content, style, x = images
    objective, totals = small(form=form), []
    for unit in (1.0, 10.0):
        scaled = {name: {**layer, "bias": unit * layer["bias"]} for name, layer in params.items() if name != "input"}
        scaled["conv1_1"] = {**scaled["conv1_1"], "kernel": unit * scaled["conv1_1"]["kernel"]}
        targets = targets_of(scaled, content, style, objective)
        weights = objectives.balance(targets, 0.7, objective=objective)
        weights = weights._replace(groups=weights.groups | {"image": 0.0})
        totals.append(float(evaluate(scaled, x, targets, weights, objective=objective).total[0]))
    np.testing.assert_allclose(totals[0], totals[1], rtol=1e-4)


def test_balanced_losses_of_zero_maps_are_the_shares(params, images):
    objective = small(form="mse", content=("conv1_2", "conv2_2"), style_pyramid_levels=1)
    targets = targets_of(params, *images[:2], objective)  # pyright: ignore[reportCallIssue]
    weights = objectives.balance(targets, 0.7, objective=objective)
    zero = jax.tree.map(jnp.zeros_like, targets.levels[0])
    shares = {"content": 0.0, "style": 0.0}
    for term in objective.terms[:-1]:
        value = term.compare(zero[term.name], targets.levels[0][term.name])[0]
        shares[term.group] += float(weights.groups[term.group] * weights.terms[term.name] * value)
    np.testing.assert_allclose([shares["content"], shares["style"]], [0.3, 0.7], rtol=1e-5)


def test_balance_of_relative_losses_is_the_strength_itself(params, images):
    weights = objectives.balance(targets_of(params, *images[:2], SMALL), 0.7, objective=SMALL)  # pyright: ignore[reportCallIssue]
    np.testing.assert_allclose([weights.groups["content"], weights.groups["style"]], [0.3, 0.7], rtol=1e-6)
    assert weights.groups["image"] == 1


def test_style_at_several_sizes_is_the_mean_over_the_halvings(params):
    content, style, x = picture(66, 70), picture(80, 65, seed=1), picture(66, 70, seed=2)
    objective = small(style_pyramid_levels=2)
    targets, weights = targets_of(params, content, style, objective), weights_for(SMALL)
    styles = ["style/conv1_1", "style/conv2_1"]
    assert [sorted(level) for level in targets.levels] == [["content/conv2_2", *styles], styles]
    result = evaluate(params, x, targets, weights, objective=objective)
    parts = []
    for half in (lambda a: a, halve):
        one = targets_of(params, half(content), half(style), SMALL)
        parts.append(evaluate(params, half(x), one, weights, objective=SMALL))
    for name in styles:
        mean = (parts[0].terms[name] + parts[1].terms[name]) / 2
        np.testing.assert_allclose(result.terms[name], mean, rtol=1e-5)
    for group in ("content", "image"):
        np.testing.assert_allclose(result.groups[group], parts[0].groups[group], rtol=1e-5)


def test_no_level_is_smaller_than_the_network_takes(params):
    smaller, larger = picture(40, 200), picture(140, 200)
    objective = small(style_pyramid_levels=5)

    def levels(content, style):
        return len(jax.eval_shape(lambda: targets_of(params, content, style, objective)).levels)

    assert [levels(larger, larger), levels(smaller, larger), levels(larger, smaller)] == [3, 1, 1]


@pytest.mark.parametrize(
    "form", ["relative", *(pytest.param(form, marks=pytest.mark.thorough) for form in ("mse", "sum"))]
)
def test_a_part_of_a_larger_array_is_the_image_alone(params, form):
    """The lines of a batch: other sizes, one program (losses and gradients to 1e-5)."""
    objective = small(form=form, style_pyramid_levels=2, more=(terms.moments("conv1_2", weight=0.2),))
    sizes, style_sizes, weights = [(65, 79), (72, 66)], [(64, 70), (80, 67)], weights_for(objective)

    def padded(images):
        return jnp.concatenate(
            [jnp.pad(a, ((0, 0), (0, 80 - a.shape[1]), (0, 96 - a.shape[2]), (0, 0))) for a in images]
        )

    def region(sizes):
        zero, (heights, widths) = jnp.zeros(2, jnp.int32), map(jnp.asarray, zip(*sizes, strict=True))
        return Region(zero, zero, heights, widths)

    contents, xs = ([picture(*size, seed=seed + k) for k, size in enumerate(sizes)] for seed in (0, 10))
    styles = [picture(*size, seed=20 + k) for k, size in enumerate(style_sizes)]
    regions = {"content": region(sizes), "style": region(style_sizes)}
    targets = targets_of(params, padded(contents), padded(styles), objective, regions=regions)
    ours, gradient = value_and_grad(
        params, padded(xs), targets, weights, objective=objective, region=regions["content"]
    )
    for k, (height, width) in enumerate(sizes):
        alone = targets_of(params, contents[k], styles[k], objective)
        expected, expected_gradient = value_and_grad(params, xs[k], alone, weights, objective=objective)
        jax.tree.map(lambda a, b, k=k: np.testing.assert_allclose(a[k], b[0], rtol=1e-5), ours, expected)
        inside = gradient[k, :height, :width]
        assert distance(inside, expected_gradient[0]) < 1e-5
        assert np.linalg.norm(gradient[k]) == pytest.approx(np.linalg.norm(inside))


@pytest.mark.thorough
def test_rows_split_over_devices_give_the_whole_images_losses(params):
    """Of every kind of term: sums, maps, sorted values, pixels, under a mask too."""
    mesh = jax.make_mesh((4,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    more = terms.custom("sorted", ("conv1_1", "conv2_1"), sorted_means), terms.gram("conv1_2", mask="left")
    objective = small(more=more, style_pyramid_levels=2)
    content, style, x = picture(67, 75), picture(64, 80, seed=1), picture(67, 75, seed=2)
    mask = jnp.broadcast_to(jnp.linspace(1, 0, 75)[None, None, :, None], (1, 67, 75, 1))
    targets, weights = targets_of(params, content, style, objective, masks={"left": mask}), weights_for(objective)
    expected = value_and_grad(params, x, targets, weights, objective=objective)
    split = dataclasses.replace(objective, mesh=mesh)
    same_targets = targets_of(params, content, style, split, masks={"left": mask})
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), same_targets, targets)
    assert_same(value_and_grad(params, x, targets, weights, objective=split), expected)


def sorted_means(maps, weights):
    """A statistic of two layers that no window could make: 20 quantiles of the mean over the filters."""
    means = [jnp.sort(jnp.mean(part, -1).reshape(len(part), -1), 1) for part in maps]
    return [part[:, jnp.linspace(0, part.shape[1] - 1, 20).astype(int)] for part in means]


def test_normalized_gradients_have_length_1_each(params, images):
    content, style, x = images
    objective = dataclasses.replace(SMALL, gradients="normalized")
    targets, weights = targets_of(params, content, style, objective), weights_for(objective)
    _, gradient = value_and_grad(params, x, targets, weights, objective=objective)
    _, parts = jax.jit(objectives.separate_gradients, static_argnames="objective")(
        params, x, targets, weights, objective=SMALL
    )
    units = {group: parts[group] / jnp.linalg.norm(parts[group].ravel()) for group in ("content", "style")}
    expected = 0.3 * units["content"] + 0.7 * units["style"] + 0.1 * parts["image"]
    assert distance(gradient, expected) < 1e-5
    _, at_content = value_and_grad(params, content, targets, weights, objective=objective)  # the content's is zero
    assert np.isfinite(at_content).all()


@pytest.mark.parametrize("left_out", ["content", "style"])
def test_one_group_alone_is_the_whole_with_no_weight_on_the_other(params, images, left_out):
    content, style, x = images
    alone = small(**{left_out: ()})  # pyright: ignore[reportArgumentType]
    ours = value_and_grad(params, x, targets_of(params, content, style, alone), weights_for(alone), objective=alone)
    weights = weights_for(SMALL, **{left_out: 0.0})
    whole = value_and_grad(params, x, targets_of(params, content, style, SMALL), weights, objective=SMALL)
    np.testing.assert_allclose(ours[0].total, whole[0].total, rtol=1e-5)
    assert set(ours[0].groups) == {"content", "style", "image"} - {left_out}
    assert distance(ours[1], whole[1]) < 1e-5


def test_the_gradient_can_be_differentiated_in_the_weights(params, images):
    """What implicit differentiation needs: a product with the second derivative, by reverse mode twice."""
    content, style, x = images
    objective = Objective(SMALL.terms)
    targets, direction = targets_of(params, content, style, objective), picture(36, 41, seed=5)

    def slope(beta, value_and_grad):
        weights = weights_for(objective, style=beta)
        return jnp.vdot(value_and_grad(params, x, targets, weights, objective=objective)[1], direction)

    ours = jax.jit(jax.grad(lambda beta: slope(beta, objectives.value_and_grad)))(0.7)
    theirs = slope(1.7, value_and_grad) - slope(0.7, value_and_grad)  # it is linear in beta
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_a_gram_entry_is_that_of_the_matrix(params, images):
    x = images[2]
    matrix = statistics.mean_gram(features(params, x, ("conv2_1",))["conv2_1"])
    entry = objectives.gram_entry(params, x, layer="conv2_1", entry=(3, 17))
    np.testing.assert_allclose(entry, matrix[:, 3, 17], rtol=1e-5)
    with pytest.raises(IndexError, match=r"entry \(3, 128\): conv2_1 has 128 filters"):
        objectives.gram_entry(params, x, layer="conv2_1", entry=(3, 128))


def test_what_a_term_lacks_is_named(params, images):
    content, style, x = images
    targets, weights = targets_of(params, content, style, SMALL), weights_for(SMALL)

    def run(targets=targets, weights=weights, objective=SMALL):
        jax.eval_shape(lambda: objectives.value_and_grad(params, x, targets, weights, objective=objective))

    with pytest.raises(InputError, match=r"images`? must hold style, which terms are compared with, got \['content'\]"):
        objectives.targets(params, {"content": content}, objective=SMALL)
    with pytest.raises(InputError, match=r"targets`? must hold term 'style/conv1_1'"):
        run(targets=Targets(({"content/conv2_2": targets.levels[0]["content/conv2_2"]},), {}))
    with pytest.raises(InputError, match=r"LossWeights.terms`? must hold 'tv'"):
        run(weights=weights._replace(terms={k: v for k, v in weights.terms.items() if k != "tv"}))
    with pytest.raises(InputError, match=r"LossWeights.groups`? must hold 'style', got \['content'\]"):
        run(weights=weights._replace(groups={"content": 1.0}))
    with pytest.raises(InputError, match=r"'style' must be a number or one an image \(1\), got \(3,\)"):
        run(weights=weights_for(SMALL, style=(0.1, 0.2, 0.3)))
    masked = small(more=(terms.gram("conv1_2", mask="sky"),))
    with pytest.raises(InputError, match=r"masks`? must hold 'sky', which a term names, got none"):
        run(targets_of(params, content, style, masked), weights_for(masked), masked)
    with pytest.raises(InputError, match=r"masks`? 'sky' must have the image's size, got \(1, 30, 41, 1\)"):
        run(targets._replace(masks={"sky": jnp.ones((1, 30, 41, 1))}))
    with pytest.raises(InputError, match="as many levels for every style"):
        objectives.join_targets({"style": ({}, {}), "style:1": ({},)})


def memory(objective, params, fresh: Any = None):
    x = jax.ShapeDtypeStruct((1, 192, 256, 3), jnp.float32)
    targets = jax.eval_shape(lambda p, a: targets_of(p, a, a, objective), params, x)
    weights = weights_for(objective)
    function = jax.jit(fresh or (lambda *a: objectives.value_and_grad(*a, objective=objective)))
    analysis: Any = function.lower(params, x, targets, weights).compile().memory_analysis()
    return analysis.temp_size_in_bytes


@pytest.mark.thorough
def test_several_levels_take_little_more_memory_than_one(params):
    one = memory(SMALL, params)
    three = small(style_pyramid_levels=3)
    assert memory(three, params) < 1.1 * one
    assert memory(three, params, lambda *a: joint(*a, objective=three)) > 1.1 * one  # all levels' maps at once


def test_gradients_of_readers_are_not_held_until_they_are_needed(params, monkeypatch):
    objective = small(content=("conv3_1",))
    waiting = memory(objective, params)
    monkeypatch.setattr("jnst.network.scheduling.wait_for", lambda dependency, x: x)
    assert waiting < 0.95 * memory(objective, params)
