"""The one thread that owns the device: takes jobs by rank, and lets urgent ones in between two chunks of long ones.

A draft or a sheet takes the place of the one before. A job of a lower rank that comes while another is at work is done
inside that one's callback, on the same thread; the other waits meanwhile, as it is.
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jnst.config import Config
from jnst.errors import InputError, single_line
from jnst.io.atomic import UnwritableError, write_whole
from jnst.studio.events import Broker
from jnst.studio.jobs import RANKS, Job, Pace, now
from jnst.studio.settings import parse_order
from jnst.studio.store import Picture, Store

if TYPE_CHECKING:
    from jnst.io.weights import Weights
    from jnst.records import Progress, Result

MOST_QUEUED = 100
SHOWN_SECONDS = 0.5  # at least, between two previews
_KEPT = 20  # jobs that are over and still told of
_log = logging.getLogger("jnst")


class Worker:
    """The queue and its thread.

    Attributes:
        device: in a word; empty until it is known.
        rate: seconds of an iteration a pixel, as measured last; None: not yet.
    """

    def __init__(
        self, store: Store, broker: Broker, load: "Callable[[], Weights]", *, base: Config | None = None
    ) -> None:
        """Takes up what an earlier server has left; the thread begins by `start`.

        Args:
            store: of images and results.
            broker: is told of everything.
            load: finds the weights.
            base: all settings that the page says nothing of.
        """
        self.store, self.broker, self.base = store, broker, base or Config()
        self.device, self.rate = "", _read_rate(store)
        self._load = load
        self._weights: Weights | None = None
        self._jobs: dict[str, Job] = {}
        self._over: deque[str] = deque()
        self._changed, self._closing, self._next = threading.Condition(), False, 1
        self._thread = threading.Thread(target=self._run, name="jnst-studio")
        for record in store.jobs():
            try:
                job = Job("paint", parse_order(record.get("request")), id=record["id"])
                self._number(job)
                self._jobs[job.id] = job
            except InputError as error:
                _log.warning(f"a job that an earlier studio has left cannot be read: {error}")

    def start(self) -> None:
        """Begins the thread."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread: what is at work stops after its chunk, and is kept with what waits."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def jobs(self) -> list[Job]:
        """Returns the jobs, in their order."""
        with self._changed:
            return sorted(self._jobs.values(), key=lambda job: job.number)

    def job(self, key: str) -> Job | None:
        """Returns a job; None where there is none.

        Args:
            key: its id.
        """
        return self._jobs.get(key)

    def submit(self, job: Job) -> Job:
        """Takes a job; a draft or a sheet takes the place of the one before.

        Args:
            job: new.

        Returns:
            The job.

        Raises:
            InputError: too many wait.
        """
        with self._changed:
            if sum(not other.is_over for other in self._jobs.values()) >= MOST_QUEUED:
                raise InputError(f"{MOST_QUEUED} pictures wait already; wait, or stop some")
            if job.kind != "paint":
                for other in list(self._jobs.values()):
                    if other.kind == job.kind and not other.is_over:
                        self._stop(other)
            self._number(job)
        if job.kind == "paint":
            self.store.keep_job(job.record())
        with self._changed:
            self._jobs[job.id] = job
            self._changed.notify()
        self._tell(job)
        return job

    def stop(self, key: str) -> Job | None:
        """Stops a job: one at work keeps its best so far, one that waits is dropped.

        Args:
            key: its id.

        Returns:
            The job; None where there is none.
        """
        with self._changed:
            job = self._jobs.get(key)
            dropped = job is not None and job.state == "queued"
            if job is not None and not job.is_over:
                self._stop(job)
        if job is not None and dropped:
            self._forget(job)
        return job

    def _number(self, job: Job) -> None:
        job.number, self._next = self._next, self._next + 1

    def _forget(self, job: Job) -> None:
        """What waits is kept in files, what is over is not. Not under the lock, for which the page would wait."""
        if job.kind == "paint":
            self.store.drop_job(job.id)

    def _stop(self, job: Job) -> None:
        job.stop.set()
        if job.state == "queued":
            self._end(job, "cancelled")

    def _take(self, below: int) -> Job | None:
        """The job that is next, of those with a lower rank, marked as at work."""
        with self._changed:
            waiting = [j for j in self._jobs.values() if j.state == "queued" and RANKS[j.kind] < below]
            job = min(waiting, key=lambda job: (RANKS[job.kind], job.number), default=None)
            if job is not None and not self._closing:
                job.state, job.phase = "working", "reading"
                return job
        return None

    def _run(self) -> None:
        try:
            self._ready()
        except Exception as error:  # the first job will say it again
            _log.warning(single_line(error))
        while not self._closing:
            job = self._take(len(RANKS))
            if job is not None:
                self._do(job)
                continue
            with self._changed:
                if not self._closing and not any(j.state == "queued" for j in self._jobs.values()):
                    self._changed.wait()

    def _ready(self) -> "Weights":
        """Imports JAX and reads the weights, where that is not done."""
        if self._weights is None:
            import jax

            from jnst.io.compile_cache import keep_compiled

            keep_compiled()
            self.device = jax.default_backend()
            self._weights = self._load()
        return self._weights

    def _do(self, job: Job) -> None:
        """One job, whatever comes of it."""
        self._tell(job)
        try:
            (self._sheet if job.kind == "sheet" else self._paint)(job, self._ready())
        except Exception as error:
            if not isinstance(error, InputError):
                _log.exception("a job of the studio failed")
            job.error = self.store.told(error)
            self._forget(job)
            self._end(job, "failed")

    def _serve_urgent(self, job: Job) -> None:
        """Does what is more urgent, inside a job."""
        while (urgent := self._take(RANKS[job.kind])) is not None:
            began = time.perf_counter()
            self._do(urgent)
            job.paused += time.perf_counter() - began

    def _paint(self, job: Job, weights: "Weights") -> None:
        from jnst.losses.sizes import scales
        from jnst.studio import painting

        assert job.order is not None
        order, is_draft = job.order, job.kind == "draft"
        side = painting.DRAFT_SIDE if is_draft else order.settings.image_size
        config = order.settings.config(self.base, quality="draft" if is_draft else None)
        images = painting.load(self.store, order, min(side, order.settings.image_size))
        size: tuple[int, int] = images.content.shape[1:3]
        pace = Pace(scales(*size, config.iterations, config.scales))
        job.height, job.width = size
        job.scales, job.iterations, job.phase = len(pace.stages), config.iterations, "compiling"
        self._tell(job)
        shown = 0.0

        def on_chunk(progress: "Progress") -> bool:
            nonlocal shown
            _advance(job, progress, pace)
            if not job.stop.is_set() and time.perf_counter() - shown >= SHOWN_SECONDS:
                job.preview("", painting.preview(progress.image(), painting.PREVIEW_SIDE))
                self._tell(job)
                shown = time.perf_counter()
            self._serve_urgent(job)
            return self._closing or job.stop.is_set()

        checkpoint = None if is_draft else self.store.checkpoint(job.id)
        result = painting.paint(images, config, weights, on_chunk, checkpoint)
        if result.stop_reason != "stopped":
            self._learn_rate((result.seconds - result.compile_seconds - job.paused) / pace.total)
        elif is_draft or (self._closing and not job.stop.is_set()):
            self._leave(job)
            return
        if result.stop_reason == "not_finite":
            raise InputError("the loss left the finite numbers; choose a lower strength")
        job.loss = result.loss
        job.preview("", painting.preview(result.image, painting.PREVIEW_SIDE))
        if not is_draft:
            job.phase = "writing"
            self._tell(job)
            text = painting.recipe(self.store, order, size, config, result.config, weights)
            self._keep(job, result, text)
            self._forget(job)
        self._end(job, "stopped" if result.stop_reason == "stopped" else "done")

    def _leave(self, job: Job) -> None:
        """A draft that is no longer wanted; or a picture that the end of the server stops, which waits for the next."""
        if job.kind == "paint":
            job.state, job.phase = "queued", None
        else:
            self._end(job, "cancelled")

    def _keep(self, job: Job, result: "Result", recipe: str) -> None:
        assert job.order is not None
        order, photograph = job.order, self.store.image(job.order.photograph)
        name = f"{Path(photograph.name).stem}-{Path(self.store.image(order.paintings[0].image).name).stem}"
        picture = Picture(
            id=job.id, name=name, width=job.width, height=job.height, created=now(), photograph=order.photograph,
            paintings=[part.image for part in order.paintings], settings=order.public()["settings"],
            loss=result.loss, seconds=job.seconds, recipe=recipe,
        )  # fmt: skip
        self.store.add_result(picture, result.image)
        job.result = picture.id
        self.broker.publish("result", picture.public())

    def _sheet(self, job: Job, weights: "Weights") -> None:
        from jnst.studio import painting
        from jnst.studio.settings import Settings

        config = Settings(quality="draft").config(self.base)
        job.height, job.width = painting.size_of(self.store, job.photograph, painting.SHEET_SIDE)
        job.scales, job.iterations, job.phase = 1, config.iterations, "compiling"
        self._tell(job)
        began, told, shown = time.perf_counter(), 0.0, dict[str, float]()

        def on_step(step: Any) -> bool:
            nonlocal told
            job.progress, job.seconds = step.share, time.perf_counter() - began - job.paused
            job.phase = "compiling" if step.compiles else "painting"
            if step.compiles or time.perf_counter() - told >= SHOWN_SECONDS:
                self._tell(job)
                told = time.perf_counter()
            self._serve_urgent(job)
            return self._closing or job.stop.is_set()

        def on_chunk(progress: "Progress") -> bool:
            if time.perf_counter() - shown.get(progress.name, 0.0) >= 2 * SHOWN_SECONDS:
                job.preview(progress.name, painting.preview(progress.image(), painting.SHEET_SIDE))
                shown[progress.name] = time.perf_counter()
            return self._closing or job.stop.is_set()

        failed = []
        for result in painting.paint_sheet(
            self.store, job.photograph, job.paintings, config, weights, on_chunk, on_step
        ):
            if result.image is None:
                failed.append(result.error)
            elif result.stop_reason != "stopped":
                job.preview(result.name, painting.preview(result.image, painting.SHEET_SIDE))
                self._tell(job)
        if len(failed) == len(job.paintings):
            raise InputError(failed[0])
        self._end(job, "cancelled" if job.stop.is_set() or self._closing else "done")

    def _end(self, job: Job, state: str) -> None:
        with self._changed:
            job.state, job.phase, job.seconds_left = state, None, None
            job.progress = 1.0 if state == "done" else job.progress
            self._over.append(job.id)
            while len(self._over) > _KEPT:
                self._jobs.pop(self._over.popleft(), None)
            for other in self._jobs.values():  # of drafts and sheets one is shown
                if other is not job and other.kind == job.kind != "paint" and other.is_over:
                    other.previews.clear()
        self._tell(job)

    def _tell(self, job: Job) -> None:
        self.broker.publish("job", job.public())

    def _learn_rate(self, rate: float) -> None:
        self.rate = max(rate, 1e-12)
        try:
            write_whole(self.store.folder / "rate.json", lambda file: file.write(json.dumps(self.rate).encode()))
        except UnwritableError as error:
            _log.warning(str(error))


def _read_rate(store: Store) -> float | None:
    try:
        rate = json.loads((store.folder / "rate.json").read_bytes())
    except (OSError, ValueError):
        return None
    return rate if isinstance(rate, float) and rate > 0 else None


def _advance(job: Job, progress: "Progress", pace: Pace) -> None:
    """Takes over how far a run is."""
    job.phase, job.iteration, job.scale = "painting", progress.iteration, pace.scale(progress.iteration)
    job.seconds, job.loss = progress.seconds - job.paused, progress.best_loss
    job.progress, job.seconds_left = pace.work(progress.iteration) / pace.total, pace.left(job.iteration, job.seconds)
    job.add_losses([(row.iteration, row.loss) for row in progress.new])
