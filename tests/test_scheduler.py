import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst import Config, InputError, capacity, scheduler, stylize
from jnst.capacity import Capacity
from jnst.io.weights import Weights
from jnst.jobs import Extras, Job, Picture, make_schedule
from jnst.losses import objective as objectives
from jnst.losses import terms
from jnst.losses.objective import Objective
from jnst.network.region import Region
from jnst.scheduler import Scheduler, stylize_many

SMALL = Config(content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"), iterations=4,
               scales=("1",), style_pyramid_levels=1)  # fmt: skip
SIZES = [(36, 48), (33, 48), (48, 36)]
STYLES = [(33, 36), (48, 36)]


def smooth(height, width, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    a, b, c = rng.uniform(0.05, 0.3, (3, 3))
    return (0.5 + 0.4 * np.sin(x[..., None] * a + y[..., None] * b + 20 * c)).astype(np.float32)[None]


def not_a_number(found, target):
    return jnp.full(len(found), jnp.nan)


def jobs_of(config=None, *, times=1):
    """Every content with every style, of sizes so many times as large."""
    sizes, styles = ([(times * h, times * w) for h, w in sizes] for sizes in (SIZES, STYLES))
    contents = [Picture.from_array(smooth(*size, seed=k)) for k, size in enumerate(sizes)]
    paintings = [Picture.from_array(smooth(*size, seed=50 + k)) for k, size in enumerate(styles)]
    return [Job(c, s, config, (i, j)) for i, c in enumerate(contents) for j, s in enumerate(paintings)]


@pytest.fixture(scope="module")
def singles(vgg16: Weights):
    return {job.name: stylize(job.content.load(), job.style.load(), SMALL, vgg16) for job in jobs_of()}


def compare(results, singles):
    assert sorted(result.name for result in results) == sorted(singles)
    for result in results:
        single = singles[result.name]
        assert result.image is not None
        assert result.image.shape == single.image.shape
        np.testing.assert_allclose(result.image, single.image, atol=2 / 255)
        assert np.abs(result.image - single.image).mean() < 1e-4
        assert result.loss == pytest.approx(single.loss, rel=1e-4)
        assert result.iterations == single.iterations == 4
        assert result.stop_reason == "max_iterations"


def test_a_batch_of_padded_images_paints_what_single_runs_paint(vgg16: Weights, singles):
    """Four slots and six jobs of three sizes: slots are taken again."""
    plans, steps = [], []
    found = stylize_many(jobs_of(), vgg16, config=SMALL, batch_size=4, on_schedule=plans.append, on_step=steps.append)
    results = list(found)
    compare(results, singles)
    assert [step.share for step in steps] == sorted(step.share for step in steps)
    assert steps[0].share == 0 < steps[-1].share < 1
    assert sum(step.compiles for step in steps) == len(plans[0].buckets)
    assert len(plans[0].buckets) < len(SIZES)
    assert any(bucket.masked for bucket in plans[0].buckets)
    assert 0 < plans[0].waste < 0.15


def test_nothing_to_paint_wastes_nothing():
    assert make_schedule([], SMALL).waste == 0


def test_eight_devices_paint_what_one_paints(vgg16: Weights, singles):
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    jobs = jobs_of()[:4]  # of one program
    found = list(stylize_many(jobs, vgg16, config=SMALL, batch_size=1, mesh=mesh))
    compare(found, {job.name: singles[job.name] for job in jobs})


@pytest.mark.thorough
def test_a_long_run_differs_by_no_more_than_rounding_does(vgg16: Weights):
    """After 20 iterations two single runs from starts 1e-7 apart are far from each other too."""
    config = dataclasses.replace(SMALL, iterations=20)
    job, other, *_ = jobs_of(config)[::2]
    found = {result.name: result for result in stylize_many([job, other], vgg16, batch_size=2)}
    content, style = job.content.load(), job.style.load()
    noise = np.random.default_rng(0).normal(0, 1e-7, content.shape)
    single = stylize(content, style, config, vgg16)
    moved = stylize(content, style, config, vgg16, init=np.clip(content + noise, 0, 1).astype(np.float32))
    by_rounding = np.abs(moved.image - single.image).mean()
    assert np.abs(np.asarray(found[job.name].image) - single.image).mean() < 3 * by_rounding + 1e-6
    assert found[job.name].loss == pytest.approx(single.loss, rel=0.02)


def test_each_image_has_its_own_weights_and_its_own_number_of_iterations(vgg16: Weights):
    light = dataclasses.replace(SMALL, strength=0.5, iterations=2)
    kept = dataclasses.replace(SMALL, style_weight=0.0, tv_weight=0.0, iterations=1)  # content alone
    jobs = [
        *jobs_of()[:1],
        *(dataclasses.replace(jobs_of(c)[0], name=n) for c, n in ((light, "light"), (kept, "kept"))),
    ]
    found = {result.name: result for result in stylize_many(jobs, vgg16, config=SMALL, batch_size=2)}
    assert found["light"].iterations == 2
    np.testing.assert_allclose(np.asarray(found["kept"].image), jobs[2].content.load(), atol=1e-6)
    assert found[0, 0].iterations == 4
    single = stylize(jobs[1].content.load(), jobs[1].style.load(), light, vgg16)
    np.testing.assert_allclose(np.asarray(found["light"].image), single.image, atol=3e-4)


def test_scales_follow_each_other_in_a_batch(vgg16: Weights):
    config = dataclasses.replace(SMALL, scales=("2",), style_pyramid_levels=2, iterations=6)
    job = jobs_of(config, times=2)[0]
    work = Scheduler(make_schedule([job], config), vgg16.params)
    (result,) = work.run()
    assert work.meter.done == work.meter.total > 0
    single = stylize(job.content.load(), job.style.load(), config, vgg16)
    assert result.iterations == single.iterations == 6
    assert result.evaluations == single.evaluations
    np.testing.assert_allclose(np.asarray(result.image), single.image, atol=2 / 255)


@pytest.mark.parametrize("form", ["relative", "mse", "sum"])
def test_balance_looks_at_the_image_only(vgg16: Weights, form):
    objective = Objective((terms.content("conv2_1", form=form), terms.gram("conv1_1", form=form)))
    content, style = jnp.asarray(smooth(40, 50, 0)), jnp.asarray(smooth(40, 50, 1))
    padded = jnp.pad(content, ((0, 0), (0, 24), (0, 14), (0, 0)))
    region, params = Region.full(1, 40, 50), vgg16.params
    alone = objectives.targets(params, {"content": content, "style": style}, objective=objective)
    inside = objectives.targets(
        params, {"content": padded, "style": style}, objective=objective, regions={"content": region, "style": region}
    )
    expected = objectives.balance(alone, jnp.float32(0.9), objective=objective)
    found = objectives.balance(inside, jnp.float32(0.9), objective=objective, region=region)
    for group in ("content", "style"):
        np.testing.assert_allclose(found.groups[group], expected.groups[group], rtol=1e-5)


def test_an_image_that_cannot_be_loaded_does_not_stop_the_others(vgg16: Weights):
    def fail():
        raise InputError("a.jpg cannot be read")

    jobs = jobs_of(dataclasses.replace(SMALL, iterations=1))[:1]
    jobs.append(dataclasses.replace(jobs[0], content=Picture("broken", SIZES[0], fail), name="broken"))
    work = Scheduler(make_schedule(jobs, SMALL), vgg16.params)
    found = {result.name: result for result in work.run()}
    assert work.meter.done == work.meter.total > 0
    assert found["broken"].error == "a.jpg cannot be read"
    assert found["broken"].image is None
    assert found[0, 0].image is not None


def test_where_the_memory_does_not_last_fewer_are_painted_at_a_time(vgg16: Weights, singles, monkeypatch):
    counts = []

    def scarce(program, mesh, params, problem, run, ticks, pause):
        counts.append(len(problem.size))
        if len(counts) == 3:  # in the middle of the run
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return run_chunk(program, mesh, params, problem, run, ticks, pause)

    run_chunk = scheduler.run_chunk
    monkeypatch.setattr(scheduler, "run_chunk", scarce)
    work = Scheduler(make_schedule(jobs_of(), SMALL), vgg16.params, batch_size=4)
    compare(list(work.run()), singles)
    assert counts[:4] == [4, 4, 4, 2]
    assert work.meter.done == work.meter.total > 0


def test_one_that_does_not_fit_even_alone_is_told(vgg16: Weights, monkeypatch):
    def none(*_):
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(scheduler, "run_chunk", none)
    found = list(stylize_many(jobs_of()[:3], vgg16, config=SMALL, batch_size=2))
    assert {result.error for result in found} == {"not enough memory; give a smaller image_size"}
    assert len(found) == 3


def test_the_batch_is_as_large_as_the_memory_allows(vgg16: Weights, monkeypatch):
    """By the compiled program; the fits of 1 and 4 slots of 72 x 96 px differ by three images' maps."""
    schedule = make_schedule(jobs_of(times=2)[:4], SMALL)
    work = Scheduler(schedule, vgg16.params)
    task = schedule.tasks[0]
    program, begun, params = task.program, work.store.begin(task), work.store.prepared_params(task.program)
    assert work.capacity.slots(program, params, begun) == 4
    one, four = (capacity.chunk_bytes(program, None, params, begun, n) for n in (1, 4))
    assert 2 * one < four < 6 * one
    monkeypatch.setattr(capacity, "BYTES_PER_PIXEL", 10**9)  # so that the compiler is asked
    monkeypatch.setattr(capacity, "resident", lambda: 10**9)
    memory = int((10**9 + (one + four) / 2) / capacity.MEMORY_FRACTION)
    assert dataclasses.replace(work.capacity, memory=memory).slots(program, params, begun) in (1, 2)
    with pytest.raises(InputError, match=r"96x72 pixels need more than 1.0 GB; give a smaller image_size"):
        dataclasses.replace(work.capacity, memory=10**9).slots(program, params, begun)


def test_a_run_that_leaves_the_finite_numbers_counts_as_done_work(vgg16: Weights):
    """Its finer scales are not begun."""
    config = dataclasses.replace(SMALL, scales=("2",), iterations=6)
    edge = terms.custom("edge", ("pixels",), lambda maps, weights: maps[0], compare=not_a_number, target=None)
    extras = Extras(terms=(edge,))
    work = Scheduler(make_schedule(jobs_of(config, times=2)[:1], config, extras=extras), vgg16.params, extras=extras)
    (result,) = work.run()
    assert "left the finite numbers" in result.error
    assert result.stop_reason == "not_finite"
    assert work.meter.done == work.meter.total > 0


def test_the_last_wave_is_as_full_as_the_others(vgg16: Weights):
    """Of 72 x 96 px a CPU takes four at a time; five jobs are three and two, not four and one."""
    schedule = make_schedule(5 * jobs_of(times=2)[:1], SMALL)
    assert Capacity(schedule).slots(schedule.tasks[0].program, vgg16.params, None) == 3


def test_a_style_that_the_memory_does_not_hold_is_refused_before_any_work(vgg16: Weights):
    with pytest.raises(InputError, match=r"a style of 36x48 pixels needs 0\.\d GB, there are 0\.\d; give a smaller"):
        next(stylize_many(jobs_of(), vgg16, config=SMALL, memory=10**6))


def test_what_is_for_single_pictures_is_refused(vgg16: Weights):
    for settings, message in (
        ({"tile": 300}, "tile 300 is for single pictures"),
        ({"normalize_filters": True}, "normalize_filters is for single pictures; a batch needs normalize_with"),
    ):
        with pytest.raises(InputError, match=message):
            list(stylize_many(jobs_of(), vgg16, config=dataclasses.replace(SMALL, **settings)))


def test_a_picture_of_another_size_than_planned_fails_by_itself(vgg16: Weights):
    """Its file changed, or its head told another size than its pixels have."""
    content, style = smooth(40, 48, seed=0), Picture.from_array(smooth(36, 36, seed=50))
    jobs = [Job(Picture("turned", (48, 40), lambda: content), style, None, "turned")]
    (result,) = stylize_many(jobs, vgg16, config=SMALL)
    assert result.image is None
    assert result.error == "content is 48x40 pixels, planned as 40x48: has its file changed?"
