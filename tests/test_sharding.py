import jax
import numpy as np
import pytest
from helpers import picture

from jnst import Config, InputError, sharding, strategies, stylize
from jnst.io.weights import Weights

SMALL = Config(content_layers=("conv2_1",), style_layers=("conv1_1", "conv3_1"), iterations=3,
               scales=("2",), style_pyramid_levels=1)  # fmt: skip
SIZE = (67, 72)  # no multiple of anything


@pytest.mark.thorough
def test_four_devices_paint_what_one_paints(vgg16: Weights):
    content, style = picture(*SIZE, seed=3), picture(50, 60, seed=13)  # in which no rounding switches a ReLU
    alone = stylize(content, style, SMALL, vgg16)
    split = stylize(content, style, SMALL, vgg16, mesh=sharding.mesh_of(4))
    np.testing.assert_allclose(split.image, alone.image, atol=1e-5)  # alone it lies in a larger canvas: other sums
    np.testing.assert_allclose([row.loss for row in split.history], [row.loss for row in alone.history], rtol=1e-4)


def test_each_device_holds_its_rows_only(vgg16: Weights, monkeypatch):
    for name in ("OVERHEAD_BYTES", "SCALE_BYTES", "COMPILE_BYTES"):
        monkeypatch.setattr(strategies, name, 0)
    one, four = (
        strategies.peak_bytes(SMALL, vgg16.params, (256, 128), mesh=mesh) for mesh in (None, sharding.mesh_of(4))
    )
    assert four < 0.6 * one  # weights and the solver's history are whole


def test_one_device_needs_no_mesh():
    assert sharding.mesh_of(1) is None


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(InputError, match=f"devices 99: this machine has {jax.local_device_count()}"):
        sharding.mesh_of(99)


def test_tiles_and_several_devices_are_refused(vgg16: Weights):
    config = Config(tile=300, scales=("1",))
    with pytest.raises(InputError, match="tile 300 and several devices"):
        stylize(picture(*SIZE), picture(*SIZE), config, vgg16, mesh=sharding.mesh_of(2))
