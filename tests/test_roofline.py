import dataclasses

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jnst import Config, roofline, strategies
from jnst.chips import CHIPS
from jnst.io.weights import Weights
from jnst.network.conv import conv3x3

SMALL = Config(content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"), scales=("1",))


def count(function, *shapes):
    return roofline.count_products(jax.jit(function).trace(*shapes).jaxpr)


def test_products_are_counted_by_their_precision():
    a, b = jnp.zeros((3, 5, 7)), jnp.zeros((3, 7, 11))
    for precision, name in zip(
        (lax.Precision.HIGHEST, lax.Precision.HIGH, lax.Precision.DEFAULT), ("float32", "tensorfloat32", "bfloat16"),
        strict=True,
    ):  # fmt: skip
        assert count(lambda a, b, p=precision: jnp.matmul(a, b, precision=p), a, b) == {name: 2 * 3 * 5 * 7 * 11}
    assert count(jnp.matmul, a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)) == {"bfloat16": 2 * 3 * 5 * 7 * 11}
    assert count(jnp.matmul, a, b) == {"float32": 2 * 3 * 5 * 7 * 11}


def test_a_convolution_counts_once_forward_and_once_for_its_gradient():
    x, kernel = jnp.zeros((2, 8, 6, 4)), jnp.zeros((3, 3, 4, 5))
    once = 2 * 2 * 8 * 6 * 9 * 4 * 5
    assert count(lambda x, k: conv3x3(x, k, "float32"), x, kernel) == {"float32": once}
    gradient = jax.grad(lambda x, k: jnp.sum(jnp.square(conv3x3(x, k, "float32"))))
    assert count(gradient, x, kernel) == {"float32": 2 * once}


def test_rounds_and_branches_count_as_they_run():
    a = jnp.eye(4)
    once = 2 * 4**3
    assert count(lambda a: lax.fori_loop(0, 5, lambda _, b: b @ a, a), a) == {"float32": 5 * once}
    assert count(lambda a: lax.cond(a[0, 0] > 0, lambda a: a @ a, lambda a: a @ a @ a, a), a) == {"float32": 2 * once}
    assert count(lambda a: lax.while_loop(lambda b: b[0, 0] > 0, lambda b: b @ a, a), a) == {"float32": once}


def test_the_slower_of_products_and_memory_is_the_time():
    v5e = CHIPS["v5e"]
    work = roofline.Work({"bfloat16": 197e9, "float32": 197e9}, 0)
    assert roofline.seconds(work, v5e) == pytest.approx(7e-3)  # six passes of bfloat16 for each of float32
    assert roofline.seconds(work._replace(moved=8.19e9), v5e) == pytest.approx(10e-3)


def test_the_step_has_the_network_s_products(vgg16: Weights):
    """Two convolutions of each layer, one forward and one back; those of kernels are not asked for."""
    config = dataclasses.replace(SMALL, precision="bfloat16", style_pyramid_levels=1)
    step = strategies.step_of(config, vgg16.params, (64, 64), prepared=False)
    work = roofline.work_of(step)
    area = 64 * 64
    convolutions = 2 * 2 * 9 * area * (3 * 64 + 64 * 64 + 64 * 128 / 4)
    assert work.products["bfloat16"] == pytest.approx(convolutions)
    assert 0 < work.products["float32"] < convolutions
    assert work.moved > 4 * 3 * area * 2 * config.history_size
