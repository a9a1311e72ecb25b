"""What goes into a picture's recipe (`jnst.io.recipe`), for all that paint: the command line and the studio."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jnst.config import Config
from jnst.io.recipe import InputFile, Recipe

WAYS = ("tile", "checkpoint", "history_dtype")
"""fields of `Config` that `jnst.strategies` may choose"""
_PATHS = ("file", "normalized")
"""fields of the weights' record of which the name is told, not the folder"""


def make_recipe(
    size: tuple[int, int],
    config: Config,
    inputs: Mapping[str, tuple[InputFile, ...]],
    record: Mapping[str, str],
    *,
    way: Config | None = None,
    options: Mapping[str, Any],
    devices: int = 1,
    batch: bool = False,
) -> str:
    """Returns the recipe of one picture, as it is written into its file.

    Args:
        size: (height, width) of the picture in pixels.
        config: the settings, as they were asked for.
        inputs: files by what they are: content, styles, init, ...
        record: of the weights (`Weights.record`).
        way: the settings by which it was computed; None: the same.
        options: sizes as they were asked for, and how the picture is written.
        devices: over which its rows were split.
        batch: whether it was painted beside others.
    """
    from jnst.io.trace import device, versions

    settings, chosen = asdict(config), way or config
    if "init" in inputs:
        settings["init"] = inputs["init"][0].name
    return Recipe(
        size=(int(size[0]), int(size[1])),
        settings=settings,
        way={name: getattr(chosen, name) for name in WAYS if getattr(chosen, name) != getattr(config, name)},
        options=options,
        inputs=inputs,
        # who is shown the picture need not know this machine's folders
        weights={name: Path(value).name if name in _PATHS else value for name, value in record.items()},
        versions=versions(),
        device=device(),
        devices=devices,
        batch=batch,
    ).text()
