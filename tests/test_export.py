"""The device's program lowers for machines that are not at hand, without calls to the host and without float64."""

import jax
import jax.numpy as jnp
import pytest
from helpers import picture
from jax import export

from jnst import Config, engine
from jnst.io.weights import Weights
from jnst.jobs import Job, Picture, make_schedule
from jnst.targets import TargetStore

BACKENDS = {"cpu": "cpu", "cuda": "gpu", "rocm": "gpu", "tpu": "tpu"}


@pytest.fixture(scope="module")
def problem(vgg16: Weights):
    """The default recipe's program for a small picture, but for deep layers, and what it takes."""
    config = Config(content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"), scales=("1",), iterations=4)
    job = Job(Picture.from_array(picture(36, 48)), Picture.from_array(picture(33, 33, seed=1)))
    (task,) = make_schedule([job], config).tasks
    store = TargetStore(vgg16.params)
    problem, run = store.begin(task)
    return task.program, store.params, problem, run


@pytest.mark.parametrize("platform", BACKENDS)
def test_the_program_lowers_for(platform, problem, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: BACKENDS[platform])
    program, *arrays = problem
    jax.clear_caches()  # what was traced for another device

    def step(params, problem, run):
        return engine.run_chunk(program, None, params, problem, run, jnp.int32(1), jnp.int32(9))

    exported = export.export(jax.jit(step), platforms=[platform])(*arrays)
    assert exported.platforms == (platform,)
    text = exported.mlir_module()
    assert "callback" not in text
    assert "f64" not in text
