import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import picture

import jnst
from jnst import Config, InputError, problem
from jnst.config import DEFAULT_STRENGTH
from jnst.io.image import resize
from jnst.io.weights import Weights
from jnst.losses import objective as objectives
from jnst.losses import terms
from jnst.network.normalize import mean_activations, normalize_filters
from jnst.records import Progress

# shallow layers, so that a compile is short; the same shape and layers throughout, so that there is one
SMALL = Config(content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"), iterations=6, style_unit="painting")
CONTENT, STYLE = picture(36, 44, seed=0), picture(40, 33, seed=1)


def stylize(vgg16, config=SMALL, **options):
    return jnst.stylize(CONTENT, STYLE, config, vgg16, **options)


def test_the_result_is_in_the_box_and_better_than_the_start(vgg16: Weights):
    result = stylize(vgg16)
    assert result.image.shape == CONTENT.shape
    assert result.image.dtype == np.float32
    assert result.image.min() >= 0
    assert result.image.max() <= 1
    assert result.loss < 0.7 * result.history[0].loss
    assert result.stop_reason == "max_iterations"
    assert result.iterations == 6
    assert result.weights is not None
    assert result.weights["architecture"] == "vgg16"
    assert len(result.weights["sha256"]) == 64


def test_the_loss_of_the_result_is_the_objective_of_its_image(vgg16: Weights):
    result = stylize(vgg16)
    objective = problem.objective_for(SMALL)
    targets = objectives.targets(vgg16.params, {"content": CONTENT, "style": STYLE}, objective=objective)
    weights = problem.weights_for(SMALL, targets, objective, variation=problem.total_variation_of(STYLE))
    evaluate = jax.jit(objectives.evaluate, static_argnames="objective")
    again = evaluate(vgg16.params, jnp.asarray(result.image), targets, weights, objective=objective)
    np.testing.assert_allclose(result.loss, again.total[0], rtol=1e-4)


def test_history_tells_every_iteration(vgg16: Weights):
    result = stylize(vgg16)
    history = result.history
    assert [row.iteration for row in history] == list(range(7))
    assert history[0].content_loss == 0  # the start is the content
    for row, following in itertools.pairwise(history):
        assert following.evaluations > row.evaluations
        assert following.seconds >= row.seconds
    last = history[-1]
    np.testing.assert_allclose(last.style_loss, np.mean(list(last.style_layers.values())), rtol=1e-5)
    variation = problem.total_variation_of(result.image) / problem.total_variation_of(STYLE)
    r = DEFAULT_STRENGTH
    total = (1 - r) * last.content_loss + r * last.style_loss + SMALL.tv_weight * variation
    np.testing.assert_allclose(last.loss, total, rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam"},
        {"loss": "mse", "history_dtype": "bfloat16", "checkpoint": True},
        pytest.param({"loss": "mse"}, marks=pytest.mark.thorough),
        pytest.param({"loss": "sum"}, marks=pytest.mark.thorough),
        pytest.param({"tv_weight": 10.0}, marks=pytest.mark.thorough),
        pytest.param({"history_dtype": "bfloat16"}, marks=pytest.mark.thorough),
        pytest.param({"precision": "bfloat16"}, marks=pytest.mark.thorough),
        pytest.param({"checkpoint": True}, marks=pytest.mark.thorough),
    ],
)
def test_other_settings_descend_too(vgg16: Weights, settings):
    result = stylize(vgg16, dataclasses.replace(SMALL, **settings))
    assert result.loss < 0.95 * result.history[0].loss


def test_a_config_says_how_the_network_is_computed():
    config = Config(precision="bfloat16", checkpoint=True, pooling="average", gradients="separate")
    objective = problem.objective_for(config)
    computed = objective.precision, objective.checkpoint, objective.pooling, objective.gradients
    assert computed == ("bfloat16", True, "average", "separate")


def test_start_images(vgg16: Weights):
    def start(**settings):
        init = settings.pop("init_image", None)
        return stylize(vgg16, dataclasses.replace(SMALL, iterations=0, **settings), init=init).image

    np.testing.assert_array_equal(start(), CONTENT)
    noise = start(init="noise", seed=3)
    np.testing.assert_array_equal(noise, start(init="noise", seed=3))
    assert np.abs(noise - start(init="noise", seed=4)).max() > 0.1
    style = start(init="style")
    assert style.shape == CONTENT.shape
    assert abs(style.mean() - np.mean(STYLE)) < 0.02
    given = picture(36, 44, seed=9)
    np.testing.assert_array_equal(start(init_image=given), given)
    with pytest.raises(InputError, match="init must have the content's shape"):
        start(init_image=picture(36, 40))
    with pytest.raises(InputError, match=r"init must be content, style or noise, got 'photo.jpg'"):
        start(init="photo.jpg")


def test_a_true_answer_of_the_callback_stops_the_run(vgg16: Weights):
    seen = []

    def callback(progress):
        seen.append((progress.iteration, progress.image(), [row.iteration for row in progress.new]))
        return progress.iteration >= 3

    result = stylize(vgg16, dataclasses.replace(SMALL, iterations=50), callback=callback)
    assert result.stop_reason == "stopped"
    assert 3 <= result.iterations < 50
    assert [k for *_, rows in seen for k in rows] == list(range(result.iterations + 1))
    np.testing.assert_array_equal(seen[-1][1], result.image)


def test_the_callback_is_called_at_its_multiples(vgg16: Weights):
    seen = []
    stylize(
        vgg16, dataclasses.replace(SMALL, iterations=8), callback_every=3, callback=lambda p: seen.append(p.iteration)
    )
    assert {3, 6, 8} <= set(seen)


def test_content_that_is_the_style_stays(vgg16: Weights):
    result = jnst.stylize(CONTENT, CONTENT, dataclasses.replace(SMALL, tv_weight=0.0), vgg16)
    np.testing.assert_allclose(result.image, CONTENT, atol=1e-6)
    assert result.loss < 1e-9


def test_style_or_content_alone(vgg16: Weights):
    """Content reconstruction and texture synthesis: each loss can stand alone."""
    for weights in ({"content_weight": 1.0, "style_weight": 0.0}, {"content_weight": 0.0, "style_weight": 1.0}):
        result = stylize(vgg16, dataclasses.replace(SMALL, init="noise", **weights))
        assert result.loss < 0.7 * result.history[0].loss


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[0], r"content must have the shape \(1, h, w, 3\), got \(36, 44, 3\)"),
        (CONTENT[..., :1], r"content must have the shape \(1, h, w, 3\)"),
        (CONTENT[:, :20], r"content must have sides of at least 32 pixels, got \(20, 44\)"),
        (255 * CONTENT, r"content must lie in \[0, 1\], got 1.31836 to 254.313; divide 8-bit images by 255"),
        (CONTENT * jnp.nan, r"content must lie in \[0, 1\], got nan to nan"),
    ],
)
def test_wrong_arrays_are_refused(vgg16: Weights, content, message):
    with pytest.raises((InputError, TypeError), match=message):
        problem.check_images({"content": content})


def test_a_layer_that_this_network_lacks_is_refused(vgg16: Weights):
    with pytest.raises(InputError, match="unknown layer 'conv3_4': vgg16 has"):
        stylize(vgg16, dataclasses.replace(SMALL, content_layers=("conv3_4",)))


def test_equal_settings_share_one_compile(vgg16: Weights, monkeypatch):
    traces, value_and_grad = [], objectives.value_and_grad

    def counted(*args, **options):
        traces.append(args)
        return value_and_grad(*args, **options)

    monkeypatch.setattr(objectives, "value_and_grad", counted)
    config = dataclasses.replace(SMALL, history_size=3, iterations=2)  # a program of its own, traced here
    stylize(vgg16, config)
    before = len(traces)
    assert before > 0
    stylize(vgg16, dataclasses.replace(config, strength=0.5, iterations=5, init="noise"))
    assert len(traces) == before


COARSE = dataclasses.replace(SMALL, content_layers=("conv1_2",), style_layers=("conv1_1",), scales=("2",))


def test_the_second_scale_starts_from_the_first(vgg16: Weights):
    """A content of 72x88 in two scales; the rows go on through both."""
    content, seen = picture(72, 88), []
    result = jnst.stylize(content, STYLE, COARSE, vgg16, callback=lambda p: seen.append((p.iteration, p.image())))
    assert result.image.shape == content.shape
    assert [row.iteration for row in result.history] == list(range(7))
    assert [row.size for row in result.history] == 4 * [(36, 44)] + 3 * [(72, 88)]
    for row, following in itertools.pairwise(result.history):
        assert following.evaluations > row.evaluations
        assert following.seconds >= row.seconds
    assert result.history[4].evaluations >= result.history[3].evaluations + 2  # the start of the second, and a step
    assert [iteration for iteration, _ in seen] == sorted(iteration for iteration, _ in seen)
    assert {image.shape[1] for _, image in seen} == {36, 72}
    alone = jnst.stylize(content, STYLE, dataclasses.replace(COARSE, scales=("1",), iterations=3), vgg16)
    assert not np.allclose(result.image, alone.image, atol=0.02)


def test_a_finer_scale_has_the_detail_that_the_coarse_one_could_not_hold(vgg16: Weights):
    """Content alone, and from the content: nothing is to be painted, so nothing may be lost on the way."""
    content = picture(72, 88)
    kept = dataclasses.replace(COARSE, style_weight=0.0, tv_weight=0.0)
    np.testing.assert_allclose(jnst.stylize(content, STYLE, kept, vgg16).image, content, atol=1e-4)


def test_another_start_than_the_content_gets_none_of_its_detail(vgg16: Weights):
    content = picture(72, 88)
    painted = dataclasses.replace(COARSE, content_weight=0.0, style_weight=1.0, iterations=2)  # one a scale
    flat = jnst.stylize(content, STYLE, painted, vgg16, init=np.full(content.shape, 0.5, np.float32)).image
    detail = content - resize(resize(content, 36, 44), 72, 88)
    assert abs(np.corrcoef(flat.ravel(), np.ravel(detail))[0, 1]) < 0.2


def test_a_stop_on_a_coarse_scale_gives_the_whole_size_with_the_detail(vgg16: Weights):
    content, coarse = picture(72, 88), []

    def stop(progress: Progress) -> bool:
        coarse.append(progress.image())
        return True

    result = jnst.stylize(content, STYLE, COARSE, vgg16, callback=stop)
    assert result.stop_reason == "stopped"
    assert result.history[-1].size == (36, 44)
    np.testing.assert_array_equal(result.image, problem.finer_start(coarse[-1], content, 72, 88))
    other = jnst.stylize(content, STYLE, COARSE, vgg16, init=content, callback=stop)
    np.testing.assert_array_equal(other.image, resize(coarse[-1], 72, 88))


def test_normalized_gradients_are_weighed_by_the_strength_itself():
    """Adam's first step is as long for every unit of the loss."""
    config = Config(gradients="normalized", optimizer="adam", strength=0.8, loss="mse", tv_weight=0.0)
    weights = problem.weights_for(config, objectives.join_targets({}), problem.objective_for(config))
    assert {name: np.asarray(weight).item() for name, weight in weights.groups.items()} == pytest.approx(
        {"content": 0.2, "style": 0.8}
    )


def test_filters_are_normalized_by_the_two_images(vgg16: Weights):
    start = dataclasses.replace(SMALL, iterations=0)
    found = stylize(vgg16, dataclasses.replace(start, normalize_filters=True)).loss
    params = normalize_filters(vgg16.params, mean_activations(vgg16.params, (CONTENT, STYLE)))
    assert found == pytest.approx(jnst.stylize(CONTENT, STYLE, start, params).loss, rel=1e-5)
    assert found != pytest.approx(stylize(vgg16, start).loss, rel=1e-2)
    by_others = dataclasses.replace(vgg16, normalized="a folder")  # is taken as it is
    assert stylize(by_others, dataclasses.replace(start, normalize_filters=True)).loss == stylize(vgg16, start).loss


def test_several_styles_act_where_their_masks_say(vgg16: Weights):
    """Left the one, right the other: each half comes nearer to its own painting's mean colour."""
    red, blue = (jnp.broadcast_to(jnp.asarray(colour), (1, 40, 40, 3)) for colour in ([0.9, 0.1, 0.1], [0.1, 0.1, 0.9]))
    left = np.zeros((1, 36, 44, 1), np.float32)
    left[:, :, :22] = 1
    config = dataclasses.replace(SMALL, strength=0.99, iterations=20, style_layers=("conv1_1",), scales=("1",))
    image = jnst.stylize(CONTENT, [(red, left), (blue, 1 - left)], config, vgg16).image[0]
    redness = image[..., 0] - image[..., 2]
    assert redness[:, :20].mean() > 0.2
    assert redness[:, 24:].mean() < -0.2


def test_own_terms_and_an_optax_transformation(vgg16: Weights):
    """A texture of one layer: no content image, Adam's cousin instead of the bounded L-BFGS."""
    config = dataclasses.replace(SMALL, iterations=12, scales=("1",))
    result = jnst.stylize(None, STYLE, config, vgg16, terms=[terms.gram("conv2_1")], optimizer=optax.amsgrad(0.05))
    assert result.image.shape == STYLE.shape
    assert result.loss < 0.5 * result.history[0].loss
    assert result.history[0].style_layers.keys() == {"conv2_1"}
    assert 0 <= result.image.min() <= result.image.max() <= 1


def test_a_style_in_a_quarter_of_the_picture_is_weighed_by_a_quarter(vgg16: Weights):
    """A pixel there feels it as in a picture that has it all over."""
    mask = np.zeros((1, 36, 44, 1), np.float32)
    mask[:, :, :11] = 1
    once = dataclasses.replace(SMALL, iterations=1)
    first = jnst.stylize(CONTENT, [(STYLE, mask)], once, vgg16).history[0]
    np.testing.assert_allclose(first.style_loss, np.mean(list(first.style_layers.values())) / 4, rtol=1e-5)
    everywhere = jnst.stylize(CONTENT, [(STYLE, np.ones_like(mask))], once, vgg16).history[0]
    np.testing.assert_allclose(everywhere.style_loss, np.mean(list(everywhere.style_layers.values())), rtol=1e-5)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((None, 0.0), "the weight of style 1 must be a finite number above 0, got 0"),
        ((None, float("nan")), "the weight of style 1 must be a finite number above 0, got nan"),
        ((np.ones((1, 9, 9, 1)), 1.0), r"mask 1 must have the shape \(1, 36, 44, 1\), got \(1, 9, 9, 1\)"),
        ((np.zeros((1, 36, 44, 1)), 1.0), r"mask 1 must lie in \[0, 1\] and have a place above 0"),
        ((None, 1.0, np.ones((1, 9, 9, 1))), r"own_mask 1 must have the shape \(1, 40, 33, 1\)"),
    ],
)
def test_weights_and_masks_that_cannot_be_are_refused(vgg16: Weights, more, told):
    with pytest.raises(InputError, match=told):
        jnst.stylize(CONTENT, [(STYLE,), (STYLE, *more)], SMALL, vgg16)
