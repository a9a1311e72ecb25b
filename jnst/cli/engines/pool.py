"""The workers of a Ray cluster: one actor a device, as many as the cluster has room for while there is work.

Ray places the actors. It does not try their methods again (`max_task_retries`): such a try waits for a new place of
that very actor, which may never come where a machine was taken back, while other actors are idle. So the loss of an
actor is an answer, and whoever gave the task hands it to the next idle one.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from jnst.cli.engines.ray_worker import Duty, Started, Worker
from jnst.cli.terminal import log
from jnst.errors import InputError, single_line
from jnst.io.optional import find

TICK = 0.5  # seconds between two looks at signals and news
LOOK_SECONDS = 5.0  # between two looks at the cluster's devices
PATIENCE = 30.0  # seconds without a worker, until the user is told what is waited for
MOST_BAD_STARTS = 3  # one after the other, before the cluster counts as unfit


@dataclass
class Task:
    """What a worker is asked to do."""

    method: str
    arguments: tuple[Any, ...]
    about: Any
    """the caller's"""


@dataclass(frozen=True)
class Lost:
    """Instead of an answer: the worker has died, or raised what it should not."""

    reason: str


@dataclass
class Member:
    """A worker."""

    number: int
    actor: Any
    answer: Any
    """that is awaited, of Ray; None where it is idle"""
    task: Task | None = None
    """at work; None where it starts or is idle"""
    news: tuple[int, int, float] = (0, 0, 0.0)
    """as `Worker.news` says, of the task at work"""
    asked: Any = field(default=None, repr=False)
    """the news that are awaited"""


class Pool:
    """The workers of a run.

    Attributes:
        network: what tells the weights of all from others; empty until the first one has started.
        device: what a worker takes of a machine: "GPU", "TPU" or "CPU".
    """

    def __init__(self, duty: Duty, *, most: int, rows: int) -> None:
        """Begins as many workers as there are devices.

        Args:
            duty: of all workers.
            most: workers, 0: one a device; where there are only processors, one a machine.
            rows: of the batch: more workers are of no use.
        """
        self.ray, self.errors = find("ray"), find("ray.exceptions")
        self.duty, self.most, self.rows = duty, most, rows
        resources = self.ray.cluster_resources()
        self.device = next((kind for kind in ("GPU", "TPU") if resources.get(kind, 0) >= 1), "CPU")
        self.members: list[Member] = []
        self.network: dict[str, str] = {}
        self.begun, self.bad_starts, self.left_out, self.looked, self.stopped = 0, 0, 0, 0.0, False
        self.room = 1
        self._fit(rows)

    @property
    def size(self) -> int:
        """Workers that have started or may start."""
        return len(self.members)

    def wait(self) -> None:
        """Waits until a worker has started.

        Raises:
            InputError: none can.
        """
        began, told = time.monotonic(), False
        while not self.network:
            self._fit(1)
            self._ready()
            if not told and not self.network and time.monotonic() - began > PATIENCE:
                told = True
                log(f"waiting for the cluster to start a worker (it needs one {self.device})")

    def answers(self, tasks: deque[Task], tick: Callable[[], None]) -> Iterator[tuple[Task, Any]]:
        """Hands out tasks to idle workers until all are answered.

        Args:
            tasks: to do; the caller may add and take away meanwhile.
            tick: is called about twice a second.

        Yields:
            A task, and what its method returned, or `Lost`.

        Raises:
            InputError: no worker is left, and none can be started.
        """
        while tasks or any(member.task for member in self.members):
            self._fit(len(tasks))
            for member in self.members:
                if tasks and member.answer is None:
                    member.task, member.news = tasks.popleft(), (0, 0, 0.0)
                    member.answer = getattr(member.actor, member.task.method).remote(*member.task.arguments)
            yield from self._ready()
            self._ask()
            tick()

    def working(self) -> list[Member]:
        """Returns the workers with a task."""
        return [member for member in self.members if member.task]

    def stop(self, number: int) -> None:
        """Lets all workers end after their running step.

        Args:
            number: of the signal.
        """
        if not self.stopped:
            self.stopped = True
            for member in self.members:
                member.actor.stop.remote(number)

    def release(self) -> None:
        """Gives back the devices of workers without a task, so that a cluster may shrink."""
        for member in [member for member in self.members if member.task is None]:
            self._drop(member)

    def _fit(self, waiting: int) -> None:
        """Begins workers where there is work and room for them."""
        if self.stopped or (self.members and time.monotonic() - self.looked < LOOK_SECONDS):
            return
        self.looked = time.monotonic()
        self.room = self.most or self._devices()
        wanted = min(self.room - self.left_out, self.rows, waiting + len(self.working()))
        while len(self.members) < wanted:
            self._begin()

    def _devices(self) -> int:
        if self.device == "CPU":
            return max(1, sum(node["Alive"] and node["Resources"].get("CPU", 0) >= 1 for node in self.ray.nodes()))
        return max(1, int(self.ray.cluster_resources().get(self.device, 0)))

    def _begin(self) -> None:
        needs: dict[str, Any] = {
            "num_cpus": 1,
            "max_concurrency": 3,
            "max_restarts": 0,
            "scheduling_strategy": "SPREAD",
        }
        if self.device == "GPU":
            needs["num_gpus"] = 1
        elif self.device == "TPU":
            needs["resources"] = {"TPU": 1}
        machines = max(1, sum(node["Alive"] for node in self.ray.nodes()))
        crowd = -(-self.room // machines) if self.device == "CPU" else 1
        actor = self.ray.remote(Worker).options(**needs).remote(self.duty, self.begun, crowd)
        self.members.append(Member(self.begun, actor, actor.start.remote()))
        self.begun += 1

    def _ready(self) -> Iterator[tuple[Task, Any]]:
        """Answers that have come, after at most a tick."""
        waited = {member.answer: member for member in self.members if member.answer is not None}
        if not waited:
            time.sleep(TICK)
            return iter(())
        refs = list(waited)
        first, rest = self.ray.wait(refs, timeout=TICK)
        more = self.ray.wait(rest, num_returns=len(rest), timeout=0)[0] if rest else []
        return iter([answer for ref in (*first, *more) if (answer := self._take(waited[ref]))])

    def _take(self, member: Member) -> tuple[Task, Any] | None:
        """What a worker has answered; None where it has only started, or cannot."""
        ref, task = member.answer, member.task
        member.answer = member.task = None
        member.news = (0, 0, 0.0)
        try:
            answer = self.ray.get(ref)
        except self.errors.RayTaskError as error:
            answer = Lost(single_line(error.cause or error)[:300])
        except self.errors.RayError as error:
            answer = Lost("killed for want of memory" if "OutOfMemory" in repr(error) else "its process has ended")
            self._drop(member)
        if task is not None:
            return task, answer
        self._started(member, answer)
        return None

    def _started(self, member: Member, answer: Started | Lost) -> None:
        """Takes a worker in, or leaves it out."""
        if isinstance(answer, Started) and not answer.error:
            other = self.network and answer.network != self.network
            if not other:
                for line in () if self.network or self.duty.options.report.quiet else answer.lines:
                    log(line)
                self.network, self.bad_starts = answer.network, 0
                return
            answer = Started(answer.host, error=f"{answer.host} has other weights; give all machines the same file")
        reason = answer.error if isinstance(answer, Started) else f"a worker could not start: {answer.reason}"
        self._drop(member)
        self.bad_starts += 1
        if not self.members and (not self.network or self.bad_starts >= MOST_BAD_STARTS):
            raise InputError(reason)
        if isinstance(answer, Started) or self.bad_starts >= MOST_BAD_STARTS:
            self.left_out += 1
        log(f"{reason}; the others go on")

    def _drop(self, member: Member) -> None:
        """Ends a worker."""
        with contextlib.suppress(Exception):  # it is dead already
            self.ray.kill(member.actor)
        if member in self.members:
            self.members.remove(member)

    def _ask(self) -> None:
        """Asks the workers how far they are, and reads what those asked before have said."""
        for member in self.working():
            if member.asked is not None and self.ray.wait([member.asked], timeout=0)[0]:
                with contextlib.suppress(self.errors.RayError):
                    member.news = self.ray.get(member.asked)
                member.asked = None
            if member.asked is None:
                member.asked = member.actor.news.remote()
