"""What jobs are matched with: pictures loaded ahead, target statistics computed once and kept for the next job."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array

from jnst.batching import Size, canvas_of, pad_to
from jnst.colors import recolored, with_luminance
from jnst.engine import Problem, Program, Run, start
from jnst.errors import InputError
from jnst.io.image import resize
from jnst.jobs import Job, Picture, Style, Task, style_size
from jnst.losses import objective as objectives
from jnst.losses.objective import LossWeights
from jnst.network.architecture import Tileable
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

Form = Literal["squares", "absolute"]
"""of total variation"""
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
        scale, program, job = task.scale, task.program, self._seen(task)
        size = (scale.height, scale.width)
        if task.stage == 0:
            self._check(task, job)
        assert task.start is not None
        region = Region.full(1, *size) if program.masked else None
        tileable = task.config.tileable
        content = resize(self.photograph(task), *size, tileable=tileable)
        with_units = not self.own_terms and takes_units(task.config, program.objective)
        found = self._statistics("content", job.content, content, size, program, norms=with_units)
        of_content, norms = found if with_units else (found, {})
        parts = {"content": of_content}
        masks, variations = dict[str, np.ndarray](), []
        for name, style in job.styles.items():
            small = style_size(job, style.picture, scale)
            parts[name], variation = self._of_style(name, style, small, program, form=task.config.tv_form)
            variations.append(variation)
            if style.mask is not None:
                masks[name] = _resize_mask(self.picture(style.mask), size, tileable=tileable)
        targets = objectives.join_targets(
            parts, masks={name: self._put(mask, program.canvas) for name, mask in masks.items()}
        )
        units = objectives.style_units(targets, norms, objective=program.objective)
        if masks and not self.own_terms:
            factors = _area_factors({name: style.weight for name, style in job.styles.items()}, masks)
            for term in program.objective.terms:
                if term.target in factors:
                    units[term.name] = units.get(term.name, 1) * factors[term.target]
        weights = weights_for(
            task.config, targets, program.objective, region=region, own_terms=self.own_terms,
            units=units,
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
        return self.placed((problem, start(program, x)))

    def placed(self, begun: Begun) -> Begun:
        """Returns a problem and its run where arrays lie.

        Args:
            begun: on a device.
        """
        return jax.device_put(begun, self.place) if self.place is not None else begun

    def _of_style(self, name: str, style: Style, size: Size, program: Program, *, form: Form) -> tuple[Any, float]:
        """Target statistics of a painting at a size, and its total variation."""
        stored, objective = style.picture.stored, program.objective
        if stored is not None:
            terms = tuple(term for term in objective.terms if term.target == name)
            levels = stored.levels(size, terms, objective.style_pyramid_levels)
            return jax.device_put(levels, self.place), stored.variation(size, form=form)
        image = resize(self.picture(style.picture), *size)
        found = self._statistics(name, style.picture, image, size, program, own_mask=style.own_mask)
        return found, total_variation_of(image, form=form)

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

    def finished(self, task: Task, image: np.ndarray) -> np.ndarray:
        """Returns an image of a run as it is shown: in the photograph's colours, where these are to stay.

        Args:
            task: whose image it is.
            image: (1, h, w, 3).
        """
        if not task.config.original_colors:
            return image
        content = self._periodic(task.job.content, task)
        return with_luminance(resize(content, *image.shape[1:3], tileable=task.config.tileable), image)

    def _seen(self, task: Task) -> Job:
        """The job with the pictures that the network sees."""
        return recolored(task.job, task.config, self.picture)

    def _check(self, task: Task, job: Job) -> None:
        """Loads what a task needs, refuses what cannot be used, and sets its start."""
        config = task.config
        pictures = {"content": job.content} | {name: style.picture for name, style in job.styles.items()}
        images = {name: self.picture(picture) for name, picture in pictures.items() if picture.stored is None}
        check_images(images)
        for name in images:
            picture = pictures[name]
            (height, width), planned = images[name].shape[1:3], picture.size
            if (height, width) != planned:
                shown = f"{width}x{height} pixels, planned as {planned[1]}x{planned[0]}"
                raise InputError(f"{name} is {shown}: has its file changed?")
        check_network(config, self.params, job.content.size)
        init = None if job.init is None else self.picture(job.init)
        style = images.get("style")
        if style is None and config.init == "style" and init is None:
            style = self.picture(job.style)  # which says what is missing
        start = np.asarray(start_image(images["content"], style, config, init=init), np.float32)
        has_step = init is None and config.init != "noise"
        task.start = periodic_part(start, tileable=config.tileable) if has_step else start

    def _statistics(
        self, name: str, picture: Picture, image: np.ndarray, size: Size, program: Program, *,
        norms: bool = False, own_mask: Picture | None = None,
    ) -> Any:  # fmt: skip
        """Target statistics of a picture at a size, of a photograph with the norms of its own style; computed once."""
        is_content, objective = name == "content", program.objective
        canvas = program.canvas if is_content else canvas_of(size) if program.masked else size
        region = Region.full(1, *size) if program.masked else None
        compute = content_statistics if norms else partial(target_statistics, name=name)

        def make() -> Any:
            more = {}
            if own_mask is not None:
                more["mask"] = self._put(_resize_mask(self.picture(own_mask), size), canvas)
            return compute(self.params, self._put(image, canvas), objective=objective, region=region, **more)

        key = (name, norms, picture.key, size, canvas, objective, None if own_mask is None else own_mask.key)
        return self.statistics["content" if is_content else "style"].get(key, make)

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
        """Returns what the network sees of a task's content, without the step between edges that are to meet.

        Args:
            task: whose content it is.
        """
        return self._periodic(self._seen(task).content, task)

    def _periodic(self, picture: Picture, task: Task) -> np.ndarray:
        tileable = task.config.tileable
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
                known = picture.stored is not None or picture.key in self.pictures.values or picture.key in self.coming
                if not known:
                    self.coming[picture.key] = self.pool.submit(picture.load)


def _resize_mask(mask: np.ndarray, size: Size, *, tileable: Tileable = "no") -> np.ndarray:
    """A mask (1, h, w, 1) at another size."""
    return resize(np.repeat(mask, 3, -1), *size, tileable=tileable)[..., :1]


def _area_factors(weights: dict[str, float], masks: dict[str, np.ndarray]) -> dict[str, float]:
    """By how much a style's terms are weighed less where it acts in a part of the result only.

    Statistics are means over that part; a pixel in it shall feel the style as one of a picture that has it all over.
    """
    given = {name: weight * masks.get(name, np.ones(1, np.float32)) for name, weight in weights.items()}
    together = sum(given.values())
    shares = {name: float(np.mean(here / np.maximum(together, 1e-6))) for name, here in given.items()}
    return {name: share * sum(weights.values()) / weights[name] for name, share in shares.items()}


def _one_each(weights: LossWeights) -> LossWeights:
    """Weights of one image: every leaf (1,)."""
    return jax.tree.map(lambda weight: jnp.reshape(weight, (1,)), weights)
