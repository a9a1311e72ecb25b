import jax
import numpy as np
import pytest
from conftest import picture

from jnst import Config, batch, stylize
from jnst.batch import Job, Picture
from jnst.weights import Weights

SMALL = Config(content_layers=("conv2_1",), style_layers=("conv1_1", "conv3_1"), iterations=20, scales=("2",))
SIZES = [(67, 80), (70, 76), (80, 67)]
STYLES = [(66, 72), (80, 64)]


def jobs_of(sizes=SIZES, styles=STYLES):
    contents = [Picture.of(np.asarray(picture(*size, seed=k))) for k, size in enumerate(sizes)]
    paintings = [Picture.of(np.asarray(picture(*size, seed=50 + k))) for k, size in enumerate(styles)]
    return [Job(c, s, name=(i, j)) for i, c in enumerate(contents) for j, s in enumerate(paintings)]


@pytest.fixture(scope="module")
def singles(vgg16: Weights):
    return {job.name: stylize(job.content.load(), job.style.load(), SMALL, vgg16) for job in jobs_of()}


def compare(results, singles):
    assert sorted(result.job.name for result in results) == sorted(singles)
    for result in results:
        single = singles[result.job.name]
        assert result.image is not None
        np.testing.assert_allclose(result.image, single.image, atol=2 / 255)
        assert result.loss == pytest.approx(single.loss, rel=5e-3)
        assert result.iterations == single.iterations == 20


def test_a_batch_of_padded_images_paints_what_single_runs_paint(vgg16: Weights, singles):
    plans = []
    results = list(batch.stylize_many(jobs_of(), vgg16, SMALL, batch_size=4, tell=plans.append))
    compare(results, singles)
    assert plans[0].waste < 0.15
    assert len(plans[0].buckets) < 2 * len(SIZES)  # of two scales


def test_four_devices_paint_what_one_paints(vgg16: Weights, singles):
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    compare(list(batch.stylize_many(jobs_of(), vgg16, SMALL, batch_size=1, mesh=mesh)), singles)
