"""Where a single picture and its intermediate ones are written."""

from pathlib import Path

from jnst.cli.options import Options
from jnst.cli.parsing import make_config
from jnst.config import Config
from jnst.io.paths import AnyPath
from jnst.io.pipes import is_open_pipe

MOST_NAMES = 3  # of paintings, in a picture's name


def style_name(options: Options) -> str:
    """Returns what the name of a picture says of its style.

    Args:
        options: of the command line, with a style.
    """
    names = [path.stem for path in (options.style, *options.more_styles)]
    return "_".join(names) if len(names) <= MOST_NAMES else f"{names[0]}_and_{len(names) - 1}_more"


def output_path(options: Options) -> AnyPath:
    """Returns where the picture goes: beside the content, named after both, where the user names no place.

    What comes through a pipe has no folder: there it is the current one.

    Args:
        options: of the command line, with both images.
    """
    second = style_name(options)
    if options.style == options.content:  # one image: what of it is kept
        second = "content" if make_config(options).active_losses()[0] else "texture"
    if options.file.output:
        return options.file.output
    folder = Path() if is_open_pipe(options.content) else options.content.parent
    return folder / f"{options.content.stem}_{second}.png"


def intermediate_paths(options: Options, config: Config) -> dict[int, AnyPath]:
    """Returns the files of `--save-every` by their iterations.

    Args:
        options: of the command line, with both images.
        config: made of them.
    """
    output, every = output_path(options), options.report.save_every
    steps = range(every, config.iterations + 1, every) if every else ()
    return {step: output.with_stem(f"{output.stem}-{step:04d}") for step in steps}
