"""The command line for one picture: validate, load, prepare, paint, write, report.

What cannot be used is refused before anything is computed or written. JAX is imported by a thread while the images are
read. Exit codes: 0 done; 1 the loss left the finite numbers; 2 the plan does not fit, or the
picture is not where it should be; 130, 143 and 129 stopped by Ctrl-C, SIGTERM and SIGHUP.
"""

import importlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jnst.cli.checkpointing import require_checkpoint, resumed_config
from jnst.cli.checks import require_at_least, require_common, require_image, require_output, require_streams
from jnst.cli.companions import require_companions
from jnst.cli.engines.chosen import require_engine
from jnst.cli.options import MISSING_PATH, Options
from jnst.cli.outputs import intermediate_paths, output_path
from jnst.cli.painting import Images, Prepared, paint_and_write, style_argument
from jnst.cli.paintings import Painting, paintings_of
from jnst.cli.parsing import make_config
from jnst.cli.progress import PhaseTimer
from jnst.cli.sizes import tileable_size
from jnst.cli.strategy import choose_strategy, print_plan
from jnst.cli.texture_maps import load_maps, map_files, require_texture_maps
from jnst.cli.weights import load_weights
from jnst.config import INIT_NAMES, Config
from jnst.errors import InputError
from jnst.io import image
from jnst.io.atomic import sweep
from jnst.io.checksums import Checksums
from jnst.io.decode import read_size
from jnst.io.paths import canonical, is_folder, parse_path
from jnst.io.pipes import STANDARD_OUTPUT
from jnst.io.style_file import is_style_file
from jnst.sizes import content_size, style_size

if TYPE_CHECKING:
    from jnst.io.weights import Weights


def run_single(
    options: Options, *, load: "Callable[[Options], Weights]" = load_weights, way: Mapping[str, Any] | None = None
) -> int:
    """Paints one picture from files to a file.

    Args:
        options: of the command line.
        load: finds the weights.
        way: settings that say how it is computed where the options leave that open; None: it is chosen.

    Returns:
        The exit code.

    Raises:
        InputError: something given cannot be used.
    """
    timer = PhaseTimer()
    config = make_config(options)
    options = fill_in_style(options, config)
    paintings = validate_single(options, config)
    if options.file.output != STANDARD_OUTPUT:
        sweep(canonical(output_path(options)).parent)
    if options.report.checkpoint_file is not None:
        sweep(canonical(options.report.checkpoint_file).parent)
    # JAX, while the images are read; no daemon: a process that ends in the middle of it would be aborted
    threading.Thread(target=importlib.import_module, args=("jnst.transfer",)).start()
    images = load_images(options, config, paintings)
    timer.phase("images")
    weights = load(options)
    timer.phase("weights")
    importlib.import_module("jnst.transfer")  # or waits for the thread
    if not options.machine.no_compilation_cache:
        from jnst.io.compile_cache import keep_compiled

        keep_compiled()
    timer.phase("import")
    prepared = prepare(options, replace(config, **(way or {})), images, weights)
    if options.machine.plan:
        return print_plan(options, prepared)
    begun = resumed_config(options, prepared, style_argument(options, images))
    prepared = replace(prepared, config=begun or choose_strategy(options, prepared))
    return paint_and_write(options, prepared, timer)


def validate_single(options: Options, config: Config) -> tuple[Painting, ...]:
    """Refuses what can be refused before anything is loaded.

    Args:
        options: of the command line, with both images.
        config: made of them.

    Returns:
        The paintings of the style, as they are found now.

    Raises:
        InputError: a value out of range, a missing image, or a place that cannot be written.
    """
    require_common(options)
    require_at_least(1, devices=options.machine.devices)
    require_at_least(0, save_every=options.report.save_every)
    if options.batch.shard is not None:
        raise InputError("`shard` is for many pictures; give a folder, or `jobs`")
    if options.batch.engine != "local":
        raise InputError("`engine` ray is for many pictures; give a folder, or `jobs`")
    require_engine(options.batch)
    if options.machine.devices > 1 and options.machine.for_chip:
        raise InputError("--for is of one chip; leave out `devices`")
    if options.machine.devices > 1 and config.tile not in ("auto", 0):
        raise InputError(f"`tile` {config.tile} and `devices` {options.machine.devices}: give one of the two")
    if options.machine.devices > 1 and config.tileable != "no":
        raise InputError(f"`tileable` {config.tileable} and `devices` {options.machine.devices}: give one of the two")
    if MISSING_PATH in (options.content, options.style):
        raise InputError("CONTENT and STYLE are required: a photograph and a painting; see --help")
    require_streams(options)
    for place in (options.content, options.style, *options.more_styles):
        if not is_folder(place):  # of paintings
            require_image(place)
    paintings = paintings_of(options)
    files = [path for painting in paintings for path in painting.files] + list(map_files(options).values())
    for path in files:
        require_image(path)
    inputs = {options.content, *files, *([] if config.init in INIT_NAMES else [parse_path(config.init)])}
    output, trace = output_path(options), options.report.trace
    read, overwrite = {canonical(path) for path in inputs}, options.file.overwrite
    own, steps = require_checkpoint(options, config, files), intermediate_paths(options, config)
    for path in (output, *steps.values()):
        mine = overwrite or canonical(path) in own
        require_output(path, inputs=read, overwrite=mine, writing=options.writing, probe=path == output)
    if trace and canonical(trace) == canonical(output):
        raise InputError(f"`trace` and `output` are both {trace}; give two places")
    if trace:
        mine = overwrite or canonical(trace) in own
        require_output(trace, option="trace", inputs=read, overwrite=mine, as_image=False)
    taken = read | {canonical(path) for path in [output, *steps.values()]}
    taken |= {canonical(trace)} if trace else set()
    require_companions(options, taken | require_texture_maps(options, config, taken, mine=own))
    return paintings


def fill_in_style(options: Options, config: Config) -> Options:
    """Returns the options with both images, where one is enough.

    A texture needs no photograph, a reconstruction no painting.

    Args:
        options: of the command line.
        config: made of them.

    Raises:
        InputError: one image and a start from it, which has nothing left to do.
    """
    if options.content == MISSING_PATH or options.style != MISSING_PATH or all(config.active_losses()):
        return options
    if config.init in ("content", "style"):
        raise InputError(f"one image and `init` {config.init}: the start is the result already; give `init` noise")
    return replace(options, style=options.content)


def load_images(options: Options, config: Config, paintings: Sequence[Painting]) -> Images:
    """Returns the content at the result's size, the style in proportion, and the start where it is a file.

    Args:
        options: of the command line, with both images.
        config: made of them.
        paintings: of the style.

    Raises:
        InputError: a file that cannot be read, or is too narrow.
    """
    file, content = options.file, options.content
    size = content_size(content, read_size(content), file.image_size, upscale=file.upscale)
    size = tileable_size(content, size, config, quiet=options.report.quiet)
    longer = round(max(size) * file.style_scale)
    checksums = Checksums()
    photograph = checksums.read(content, size=size)
    styles = tuple(load_painting(painting, size, longer, load=checksums.load) for painting in paintings)
    return Images(
        photograph.pixels,
        styles,
        None if config.init in INIT_NAMES else checksums.load(parse_path(config.init), size=size),
        photograph.origin,
        checksums,
        tuple(paintings),
        load_maps(options, styles[0][0].shape[1:3]) if file.texture_maps else {},
    )


def load_painting(
    painting: Painting, size: tuple[int, int], longer: int, *, load: Callable[..., Any] = image.load
) -> tuple[Any, ...]:
    """Returns a painting as `stylize` takes it: image, mask, weight, own mask.

    Args:
        painting: in files.
        size: (height, width) of the result.
        longer: most pixels of the painting's longer side.
        load: reads the pixels of a file, as `image.load` does.

    Raises:
        InputError: a file that cannot be read, or is too narrow; a mask of another shape than its picture.
    """
    path, mask, own = painting.path, painting.mask, painting.own_mask
    if is_style_file(path):
        if own is not None:
            raise InputError(f"{path} has no picture; `style_masks` and `regions` need the painting itself")
        from jnst import stored_style

        stored = stored_style.load(path)
        stored = stored.at(style_size(path, stored.size, longer))
        return stored, mask and mask.load(size=size), painting.weight, None
    own_size = style_size(path, read_size(path), longer)
    return (
        load(path, size=own_size), mask and mask.load(size=size), painting.weight, own and own.load(size=own_size)
    )  # fmt: skip


def prepare(options: Options, config: Config, images: Images, weights: "Weights") -> Prepared:
    """Checks the images against the network and finds the devices.

    Args:
        options: of the command line.
        config: made of them.
        images: that are read.
        weights: of the network.

    Returns:
        All that painting needs.

    Raises:
        InputError: a layer that the network lacks, windows that are too small, more devices than there are.
    """
    from jnst import sharding
    from jnst.problem import check_images, check_network

    arrays = {f"style {k}": style[0] for k, style in enumerate(images.styles) if hasattr(style[0], "dtype")}
    check_images({"content": images.content} | arrays)
    check_network(config, weights.params, images.size)
    return Prepared(config, images, weights, sharding.mesh_of(options.machine.devices))
