"""The recipe of a picture that the command line has painted, single or of a batch (`jnst.io.recipe`)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from jnst.cli.options import Options
from jnst.cli.paintings import EVERYWHERE, MASKS, WEIGHTS, Painting, unblend
from jnst.config import INIT_NAMES, Config
from jnst.io.checksums import Checksums
from jnst.io.paths import AnyPath, parse_path
from jnst.io.recipe import InputFile
from jnst.recipes import make_recipe

if TYPE_CHECKING:
    from jnst.io.weights import Weights


class Recipes:
    """Makes the recipes of a run's pictures."""

    def __init__(self, options: Options, weights: "Weights", checksums: Checksums) -> None:
        """Remembers what all pictures of a run have in common.

        Args:
            options: of the command line.
            weights: of the network.
            checksums: by which the pictures' files are read.
        """
        self.weights, self.checksums, self.writing = weights, checksums, asdict(options.writing)
        self.devices = options.machine.devices
        self.normalizing = options.weight.normalize_with
        self.normalizing_size = options.file.image_size

    def text(
        self,
        content: AnyPath,
        paintings: Sequence[Painting],
        size: tuple[int, int],
        config: Config,
        *,
        way: Any = None,
        batch: bool = False,
        **sizes: Any,
    ) -> str:
        """Returns the recipe of one picture, as it is written into its file.

        Args:
            content: the photograph's path.
            paintings: of its style.
            size: (height, width) of the picture in pixels.
            config: the settings, as they were asked for.
            way: the settings by which it was computed; None: the same.
            batch: whether it was painted beside others.
            sizes: image_size, upscale and style_scale, as they were asked for.
        """
        styles, blend = unblend(paintings)
        inputs = {"content": [content], "styles": styles}
        inputs |= {name: list(getattr(blend, name)) for name in MASKS if getattr(blend, name)}
        if config.init not in INIT_NAMES:
            inputs["init"] = [parse_path(config.init)]
        options = {**sizes, **self.writing}
        if blend.weights is not None:
            options[WEIGHTS] = list(blend.weights)
        if self.normalizing is not None:
            inputs["normalize_with"] = [self.normalizing]
            options["normalizing_size"] = self.normalizing_size
        files = {role: tuple(map(self._file, paths)) for role, paths in inputs.items()}
        return make_recipe(
            size, config, files, self.weights.record(), way=way if isinstance(way, Config) else None, options=options,
            devices=self.devices, batch=batch,
        )  # fmt: skip

    def _file(self, path: AnyPath) -> InputFile:
        return InputFile(path.name or "photograph", "" if path == EVERYWHERE else self.checksums.of(path))
