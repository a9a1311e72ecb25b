"""The one thread: who goes first, who waits, what is stopped, and what is left of it all in memory."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from studio_helpers import png, until

from jnst.config import Config
from jnst.errors import InputError
from jnst.records import Iteration, Progress, Result
from jnst.studio import painting, worker
from jnst.studio.events import Broker
from jnst.studio.jobs import MOST_LOSSES, Job, Pace
from jnst.studio.settings import Order, Part, Settings
from jnst.studio.store import Store
from jnst.studio.worker import Worker

PIXELS = np.full((1, 48, 72, 3), 0.5, np.float32)


class Painter:
    """Paints chunk by chunk, as it is let; in place of the network."""

    def __init__(self):
        self.log, self.chunks, self.fail = [], threading.Semaphore(0), False
        self.seeds = []

    def __call__(self, images, config, weights, callback, checkpoint):
        name = "paint" if checkpoint else "draft"
        self.log.append(f"{name} begins")
        self.seeds.append(config.seed)
        for k in range(1, config.iterations + 1):
            if name == "paint":
                assert self.chunks.acquire(timeout=60)
            if self.fail:
                raise RuntimeError("the device\nfell off")
            row = Iteration(k, (48, 72), k, float(k), 1 / k, 0.0, 0.0, {})
            if callback(Progress(k, config.iterations, float(k), 1 / k, [row], lambda: PIXELS)):
                self.log.append(f"{name} stops")
                return Result(PIXELS, 1 / k, k, k, float(k), stop_reason="stopped", config=config)
        self.log.append(f"{name} ends")
        return Result(PIXELS, 0.1, stop_reason="max_iterations", config=config, seconds=1.0)


@pytest.fixture
def painter(monkeypatch):
    painter = Painter()
    monkeypatch.setattr(painting, "paint", painter)
    return painter


@pytest.fixture
def begin(tmp_path):
    """Begins workers on one folder, one after the other."""
    begun = []

    def begin():
        store = Store(tmp_path)
        record = {"file": "w", "sha256": "0"}
        load = lambda: SimpleNamespace(record=lambda: record, params={})  # noqa: E731
        one = Worker(store, Broker(), load, base=Config(scales=("1",)))  # type: ignore[arg-type]
        one.start()
        begun.append(one)
        return one

    yield begin
    for one in begun:
        if one._thread.is_alive():
            one.close()
        one.store.close()


def order(store, **settings):
    keys = []
    for name, role, seed in (("a.png", "photograph", 1), ("b.png", "painting", 2)):
        path = store.new_file()
        path.write_bytes(png(seed=seed))
        keys.append(store.add_image(path, name, role).id)
    return Order(keys[0], (Part(keys[1]),), Settings(**settings))


def test_a_draft_is_let_in_between_two_chunks(begin, painter):
    one = begin()
    asked = order(one.store)
    paint = one.submit(Job("paint", asked))
    painter.chunks.release(1)
    until(lambda: paint.iteration == 1)
    draft = one.submit(Job("draft", asked))
    assert draft.state == "queued"
    painter.chunks.release(1)
    until(lambda: draft.state == "done")
    assert paint.state == "working"
    painter.chunks.release(98)
    until(lambda: paint.state == "done")
    assert painter.log == ["paint begins", "draft begins", "draft ends", "paint ends"]
    assert paint.result == paint.id == one.store.results()[0].id
    assert draft.result is None


def test_a_new_draft_takes_the_place_of_the_one_before(begin, painter, monkeypatch):
    one = begin()
    asked = order(one.store)
    entered, go = threading.Event(), threading.Event()
    preview = painting.preview

    def held(pixels, side):  # in the first chunk of the first draft
        entered.set()
        assert go.wait(60)
        return preview(pixels, side)

    monkeypatch.setattr(painting, "preview", held)
    first = one.submit(Job("draft", asked))
    assert entered.wait(60)
    second, third = one.submit(Job("draft", asked)), one.submit(Job("draft", order(one.store, seed=7)))
    assert second.state == "cancelled"
    go.set()
    until(lambda: third.state == "done")
    assert first.state == "cancelled"
    assert first.iteration == 1  # within a chunk
    assert painter.seeds == [0, 7]
    assert not first.previews
    assert third.previews


def test_paint_jobs_wait_in_line(begin, painter):
    one = begin()
    asked = order(one.store)
    jobs = [one.submit(Job("paint", asked)) for _ in range(3)]
    until(lambda: jobs[0].state == "working")
    assert one.stop(jobs[1].id) is jobs[1]
    assert jobs[1].state == "cancelled"
    painter.chunks.release(1000)
    until(lambda: jobs[2].state == "done")
    assert [job.state for job in jobs] == ["done", "cancelled", "done"]
    assert one.stop("0123456789abcdef") is None
    assert one.store.jobs() == []


def test_stop_keeps_the_best_so_far(begin, painter):
    one = begin()
    paint = one.submit(Job("paint", order(one.store)))
    painter.chunks.release(1)
    until(lambda: paint.iteration == 1)
    one.stop(paint.id)
    painter.chunks.release(1)
    until(lambda: paint.is_over)
    assert paint.state == "stopped"
    (result,) = one.store.results()
    assert result.loss == 0.5
    assert np.array_equal(one.store.pixels(result.id), PIXELS)
    assert one.store.jobs() == []


def test_the_end_of_the_server_keeps_what_is_at_work_and_what_waits(begin, painter):
    one = begin()
    asked = order(one.store)
    at_work, waits = one.submit(Job("paint", asked)), one.submit(Job("paint", asked))
    one.submit(Job("draft", asked))
    painter.chunks.release(1)
    until(lambda: at_work.iteration == 1)
    painter.chunks.release(1)
    one.close()
    one.store.close()
    assert one.store.results() == []
    painter.chunks.release(1000)
    two = begin()
    assert [job.id for job in two.jobs()] == [at_work.id, waits.id]
    until(lambda: all(job.state == "done" for job in two.jobs()))
    assert [result.id for result in two.store.results()] == [at_work.id, waits.id]


def test_a_failure_is_told_in_one_line_and_the_next_job_goes_on(begin, painter, caplog):
    one = begin()
    painter.fail = True
    paint = one.submit(Job("paint", order(one.store)))
    painter.chunks.release(1)
    until(lambda: paint.is_over)
    assert (paint.state, paint.error) == ("failed", "the device fell off")
    painter.fail = False
    gone = one.submit(Job("draft", Order("0123456789abcdef", (Part("0123456789abcdef"),))))
    until(lambda: gone.is_over)
    assert gone.error is not None
    assert gone.error.startswith("there is no image")
    draft = one.submit(Job("draft", order(one.store)))
    until(lambda: draft.state == "done")


def test_nothing_grows_with_the_drafts(begin, painter, monkeypatch):
    monkeypatch.setattr(worker, "SHOWN_SECONDS", 0.0)
    one = begin()
    asked = order(one.store)
    jobs = []
    for _ in range(25):
        jobs.append(one.submit(Job("draft", asked)))
        until(lambda: jobs[-1].is_over)
    last = jobs[-1]
    assert len(one.jobs()) <= 20
    assert [job.id for job in one.jobs() if job.previews] == [last.id]
    assert len(last.previews) == 1
    assert len(one.broker._events) <= 300


def test_too_many_jobs_are_refused(begin, painter, monkeypatch):
    monkeypatch.setattr(worker, "MOST_QUEUED", 2)
    one = begin()
    asked = order(one.store)
    jobs = [one.submit(Job("paint", asked)) for _ in range(2)]
    with pytest.raises(InputError, match="wait already"):
        one.submit(Job("paint", asked))
    assert len(one.store.jobs()) == 2
    painter.chunks.release(1000)
    until(lambda: all(job.state == "done" for job in jobs))


def test_the_curve_has_few_points_and_both_ends():
    job = Job("paint")
    for start in range(0, 5000, 10):
        job.add_losses([(k, 1 / (k + 1)) for k in range(start, start + 10)])
    assert len(job.losses) <= MOST_LOSSES
    assert job.losses[0] == (0, 1.0)
    assert job.losses[-1][0] > 4900


def test_the_time_left_does_not_count_what_is_compiled_between_two_scales():
    stages = [SimpleNamespace(height=10, width=10, iterations=10), SimpleNamespace(height=20, width=20, iterations=10)]
    pace = Pace(stages)  # type: ignore[arg-type]
    assert pace.left(1, 100.0) is None
    assert pace.left(6, 105.0) == pytest.approx((10 * 100 + 10 * 400 - 600) / 100)
    pace.left(10, 109.0)
    assert pace.left(10, 500.0) == pytest.approx(40)
    assert pace.left(15, 520.0) == pytest.approx(20)
    assert (pace.scale(0), pace.scale(10), pace.scale(20)) == (1, 2, 2)
    assert pace.work(20) == pace.total == 5000


def test_previews_come_twice_a_second_at_most(begin, painter):
    one = begin()
    began = time.monotonic()
    draft = one.submit(Job("draft", order(one.store)))
    until(lambda: draft.state == "done")
    assert draft.iteration == 30
    assert draft.version is not None
    assert draft.version <= 2 + (time.monotonic() - began) / worker.SHOWN_SECONDS
