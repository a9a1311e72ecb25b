"""What jobs are matched with: pictures loaded ahead, target statistics computed once and kept for the next job."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array

from jnst.batching import Size, canvas_of, pad_to
from jnst.engine import Problem, Program, Run, start
from jnst.errors import InputError
from jnst.io.image import resize
from jnst.jobs import Picture, Task, style_size
from jnst.losses import objective as objectives
from jnst.losses.objective import LossWeights
from jnst.network.region import Region
from jnst.network.vgg import Params, prepare_for_inference
from jnst.periodic import periodic_part
from jnst.problem import (
    check_images,
    check_network,
    finer_start,
    start_image,
    takes_units,
    total_variation_of,
    weights_for,
)
from jnst.programs import content_statistics, target_statistics

PREFETCH_TASKS = 16  # tasks whose images are loaded before they are begun
LOADER_THREADS = 8  # images that are loaded at a time: in part by waiting, where they lie in an object store
CACHE_BYTES = 2**29  # of images, of content targets, and of style targets each

Begun = tuple[Problem, Run]
"""one problem and its run, n = 1, before the first evaluation"""


class Cache:
    """The values last used, up to so many bytes; the last one always."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self.values: OrderedDict[Any, tuple[Any, int]] = OrderedDict()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """Returns the value of a key.

        Args:
            key: hashable.
            make: computes the value, a pytree of arrays, where it is not kept.
        """
        if key not in self.values:
            value = make()
            size = sum(leaf.nbytes for leaf in jax.tree.leaves(value))
            self.values[key] = value, size
            self.used += size
            while self.used > self.limit and len(self.values) > 1:
                self.used -= self.values.popitem(last=False)[1][1]
        self.values.move_to_end(key)
        return self.values[key][0]


class TargetStore:
    """Begins tasks: loads their pictures, computes their targets, and puts them on the device.

    Args:
        params: parameters of the network, as they are.
        place: where arrays lie: on all devices, where there are several.
        cache_bytes: of each kind of value that is kept.
        own_terms: whether the terms are the caller's own, which weigh themselves.
    """

    def __init__(
        self, params: Params, *,
        place: NamedSharding | None = None, cache_bytes: int = CACHE_BYTES, own_terms: bool = False,
    ) -> None:  # fmt: skip
        self.place, self.own_terms = place, own_terms
        self.params = jax.device_put(params, place)
        self.statistics, self.pictures = (
            {"content": Cache(cache_bytes), "style": Cache(cache_bytes)},
            Cache(cache_bytes),
        )
        self.prepared: dict[Any, Params] = {}
        self.pool = ThreadPoolExecutor(LOADER_THREADS)
        self.coming: dict[Any, Future] = {}

    def close(self) -> None:
        """Ends the loading threads."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    def prepared_params(self, program: Program) -> Params:
        """Returns the parameters as fast as this machine has them; a checkpoint, which saves memory, takes them plain.

        Args:
            program: whose layers and precision count.
        """
        objective = program.objective
        key = objective.layers, objective.precision, objective.checkpoint
        if key not in self.prepared:
            self.prepared[key] = (
                self.params
                if objective.checkpoint
                else prepare_for_inference(self.params, objective.layers, precision=objective.precision)
            )
        return self.prepared[key]

    def begin(self, task: Task) -> Begun:
        """Returns the problem and the run of a task's scale, not evaluated yet.

        Args:
            task: at the scale that is to begin.

        Raises:
            InputError: a picture that cannot be read or used.
        """
        scale, program, job = task.scale, task.program, task.job
        size = (scale.height, scale.width)
        if task.stage == 0:
            self._check(task)
        assert task.start is not None
        region = Region.full(1, *size) if program.masked else None
        tileable = task.config.tileable
        content = resize(self.photograph(task), *size, tileable=tileable)
        with_units = not self.own_terms and takes_units(task.config, program.objective)
        found = self._statistics("content", job.content, content, size, program, norms=with_units)
        of_content, norms = found if with_units else (found, {})
        parts = {"content": of_content}
        masks, variations = {}, []
        for name, style in job.styles.items():
            small = style_size(job, style.picture, scale)
            image = resize(self.picture(style.picture), *small)
            parts[name] = self._statistics(name, style.picture, image, small, program)
            variations.append(total_variation_of(image))
            if style.mask is not None:
                masks[name] = self._put(_resize_mask(self.picture(style.mask), size), program.canvas)
        targets = objectives.join_targets(parts, masks=masks)
        weights = weights_for(
            task.config, targets, program.objective, region=region, own_terms=self.own_terms,
            units=objectives.style_units(targets, norms, objective=program.objective),
            variation=float(np.average(variations, weights=[style.weight for style in job.styles.values()])),
        )  # fmt: skip
        problem = Problem(
            targets, _one_each(weights), jnp.asarray([size], jnp.int32), jnp.asarray([scale.iterations], jnp.int32)
        )
        begin = self.enlarge(task, task.start, size) if task.stage else resize(task.start, *size, tileable=tileable)
        x = self._put(begin, program.canvas)
        if any(term.match for term in program.objective.terms):
            targets = objectives.match_targets(self.params, x, targets, objective=program.objective, region=region)
            problem = problem._replace(targets=targets)
        run = start(program, x)
        return jax.device_put((problem, run), self.place) if self.place is not None else (problem, run)

    def enlarge(self, task: Task, image: np.ndarray, size: Size) -> np.ndarray:
        """Returns the result of a scale at a finer one's size, with the photograph's detail where a run starts with it.

        Args:
            task: whose result it is.
            image: (1, h, w, 3).
            size: (height, width) in pixels.
        """
        if task.job.init is not None or task.config.init != "content":
            return resize(image, *size, tileable=task.config.tileable)
        return finer_start(image, self.photograph(task), *size, tileable=task.config.tileable)

    def _check(self, task: Task) -> None:
        """Loads what a task needs, refuses what cannot be used, and sets its start."""
        job, config = task.job, task.config
        pictures = {"content": job.content} | {name: style.picture for name, style in job.styles.items()}
        images = {name: self.picture(picture) for name, picture in pictures.items()}
        check_images(images)
        for name, picture in pictures.items():
            (height, width), planned = images[name].shape[1:3], picture.size
            if (height, width) != planned:
                shown = f"{width}x{height} pixels, planned as {planned[1]}x{planned[0]}"
                raise InputError(f"{name} is {shown}: has its file changed?")
        check_network(config, self.params, job.content.size)
        init = None if job.init is None else self.picture(job.init)
        start = np.asarray(start_image(images["content"], images["style"], config, init=init), np.float32)
        has_step = init is None and config.init != "noise"
        task.start = periodic_part(start, tileable=config.tileable) if has_step else start

    def _statistics(
        self, name: str, picture: Picture, image: np.ndarray, size: Size, program: Program, *, norms: bool = False
    ) -> Any:
        """Target statistics of a picture at a size, of a photograph with the norms of its own style; computed once."""
        is_content, objective = name == "content", program.objective
        canvas = program.canvas if is_content else canvas_of(size) if program.masked else size
        region = Region.full(1, *size) if program.masked else None
        compute = content_statistics if norms else partial(target_statistics, name=name)
        return self.statistics["content" if is_content else "style"].get(
            (name, norms, picture.key, size, canvas, objective),
            lambda: compute(self.params, self._put(image, canvas), objective=objective, region=region),
        )

    def _put(self, image: np.ndarray, canvas: Size) -> Array:
        return jax.device_put(pad_to(image, canvas), self.place)

    def picture(self, picture: Picture) -> np.ndarray:
        """Returns the array of a picture, loaded now or before.

        Args:
            picture: what to load.
        """
        future = self.coming.pop(picture.key, None)
        return self.pictures.get(picture.key, future.result if future else picture.load)

    def photograph(self, task: Task) -> np.ndarray:
        """Returns the array of a task's content, without the step between edges that are to meet.

        Args:
            task: whose content it is.
        """
        picture, tileable = task.job.content, task.config.tileable
        if tileable == "no":
            return self.picture(picture)
        make = partial(periodic_part, self.picture(picture), tileable=tileable)
        return self.pictures.get(("periodic", tileable, picture.key), make)

    def prefetch(self, tasks: Iterable[Task]) -> None:
        """Loads what tasks need, by other threads.

        Args:
            tasks: those that come next.
        """
        for task in tasks:
            for picture in (task.job.content, *(style.picture for style in task.job.styles.values())):
                if picture.key not in self.pictures.values and picture.key not in self.coming:
                    self.coming[picture.key] = self.pool.submit(picture.load)


def _resize_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask (1, h, w, 1) at another size."""
    return resize(np.repeat(mask, 3, -1), *size)[..., :1]


def _one_each(weights: LossWeights) -> LossWeights:
    """Weights of one image: every leaf (1,)."""
    return jax.tree.map(lambda weight: jnp.reshape(weight, (1,)), weights)
