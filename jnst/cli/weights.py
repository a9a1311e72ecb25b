"""The network of a run, as the command line names it: looked up, downloaded with a bar, normalised by a folder."""

from dataclasses import replace
from typing import TYPE_CHECKING

from jnst.cli.folders import list_images
from jnst.cli.options import Options
from jnst.cli.progress import download_bar
from jnst.cli.terminal import log
from jnst.errors import InputError
from jnst.io import image
from jnst.io.paths import path_errors
from jnst.io.pipes import is_special

if TYPE_CHECKING:
    from jnst.io.formats import Input
    from jnst.io.weights import Weights

_INPUTS: dict[str, "Input"] = {"caffe": "caffe-bgr", "torch": "torch-rgb"}


def load_weights(options: Options) -> "Weights":
    """Returns the weights, normalised where a folder says by what, with a bar for a download and a line for a stand-in.

    Args:
        options: of the command line.

    Raises:
        InputError: no weights, or files that cannot be read.
    """
    from jnst.io import weights

    choice, quiet = options.weight, options.report.quiet
    if choice.weights:
        with path_errors(choice.weights):
            if is_special(choice.weights):
                raise InputError(f"{choice.weights} is a pipe or a device; give a weight file")
    with download_bar(quiet=quiet) as progress:
        loaded = weights.find(
            backbone=choice.backbone,
            path=str(choice.weights) if choice.weights else None,
            input=_INPUTS[choice.weights_input] if choice.weights_input else None,
            offline=choice.offline,
            notify=lambda message: log(message, quiet=quiet),
            progress=progress,
        )
    if choice.normalize_with is None:
        return loaded
    from jnst.network.normalize import mean_activations, normalize_filters

    images = (
        image.load(path, image_size=options.file.image_size) for path in list_images(choice.normalize_with, quiet=quiet)
    )
    means = mean_activations(loaded.params, images, pooling=options.layer.pooling)
    return replace(loaded, params=normalize_filters(loaded.params, means), normalized=str(choice.normalize_with))
