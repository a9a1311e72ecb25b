"""`auto` layers of many jobs: each image is measured once (`auto_layers`), by programs that several sizes share."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from jnst.auto_layers import detail, evenness, for_detail, for_evenness
from jnst.batching import canvases, in_corner
from jnst.config import AUTO, Config
from jnst.errors import InputError
from jnst.network.vgg import Params, Region
from jnst.schedule import Job, Picture

T = TypeVar("T")


def choose_many(jobs: Sequence[Job], config: Config, params: Params) -> list[Job]:
    """What `layers.choose` does, for many jobs.

    Args:
        jobs: what to paint; those without `auto` come back as they are, and so do those whose image cannot be loaded,
            with the default layers: whoever paints them will find that.
        config: the settings of all jobs that have none of their own.
        params: as `choose` takes them.
    """
    own = [job.config or config for job in jobs]
    contents = {job.content.key: job.content for job, c in zip(jobs, own, strict=True) if c.content_layers == AUTO}
    styles = {job.style.key: job.style for job, c in zip(jobs, own, strict=True) if c.style_layers == AUTO}
    by_content = _measured(contents, lambda x, region: for_detail(detail(params, x, region)))
    by_style = _measured(styles, lambda x, region: for_evenness(evenness(params, x, ("conv1_1",), region)["conv1_1"]))
    found = []
    for job, settings in zip(jobs, own, strict=True):
        named = {}
        if settings.content_layers == AUTO:
            named["content_layers"] = by_content.get(job.content.key, Config().content_layers)
        if settings.style_layers == AUTO:
            named["style_layers"] = by_style.get(job.style.key, Config().style_layers)
        found.append(replace(job, config=replace(settings, **named)) if named else job)
    return found


def _measured(pictures: Mapping[Hashable, Picture], measure: Callable[[Any, Region], T]) -> dict[Hashable, T]:
    """What is measured of each picture that can be loaded, in the corner of a canvas."""
    canvas = canvases(Counter(picture.size for picture in pictures.values()))
    found = {}
    for key, picture in pictures.items():
        try:
            image = picture.load()
        except (InputError, OSError):
            continue
        found[key] = measure(in_corner(image, canvas[picture.size]), Region.of(1, *picture.size))
    return found
