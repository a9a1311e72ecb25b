"""`jnst frames CLIP STYLE -o OUTPUT`: every frame of a clip painted, each from the result of the one before.

No motion is followed (Ruder et al. 2016 warp by optical flow): what moves is repainted where it comes to, which suits
key frames, slow shots and stop motion. All frames have one size, so that nothing is compiled after the second.

Exit codes: 0 done; 1 the film ends where the clip is damaged or the loss left the finite numbers; 2 something given
cannot be used; 130, 143 and 129 stopped by Ctrl-C, SIGTERM and SIGHUP, with a film of the frames so far.
"""

import math
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from jnst.cli.checks import require_at_least, require_common, require_image
from jnst.cli.folders import list_images
from jnst.cli.frame_options import FOLDER_RATE, NEXT_SHARE, FrameOptions, as_single, parse_frames
from jnst.cli.frame_outputs import FrameOutput, open_output, require_frame_output
from jnst.cli.interrupts import exit_code, stop_on_signals
from jnst.cli.options import MISSING_PATH, Options
from jnst.cli.painting import Images, Prepared
from jnst.cli.paintings import Painting
from jnst.cli.parsing import list_presets, make_config
from jnst.cli.progress import Show, display, time_left
from jnst.cli.single import load_painting
from jnst.cli.sizes import tileable_size
from jnst.cli.strategy import choose_strategy
from jnst.cli.terminal import log, say
from jnst.cli.weights import load_weights
from jnst.config import INIT_NAMES, Config
from jnst.errors import InputError, is_out_of_memory
from jnst.io.clip import Clip, open_clip
from jnst.io.metadata import Origin
from jnst.io.paths import is_folder
from jnst.sizes import content_size

if TYPE_CHECKING:
    from jnst.io.weights import Weights
    from jnst.records import Progress

MOST_RATE = 240


@dataclass(frozen=True)
class Task:
    """What is to be painted."""

    clip: Clip
    size: tuple[int, int]
    """(height, width) of the result"""
    every: int
    rate: Fraction
    """frames a second of the result"""
    first: Config
    next: Config
    """of all frames but the first"""

    @property
    def frames(self) -> int:
        """To paint, as far as the clip tells."""
        return math.ceil(self.clip.frames / self.every)


def run(arguments: Sequence[str]) -> int:
    """Paints the frames of a clip.

    Args:
        arguments: without the command's name.

    Returns:
        The exit code.

    Raises:
        InputError: something given cannot be used.
    """
    given = parse_frames(arguments)
    if given.preset.list_presets:
        print(list_presets())
        return 0
    options = as_single(given)
    task = prepare(given, options, make_config(options))
    quiet, output = given.file.quiet, given.file.output
    assert output is not None
    longer = round(max(task.size) * given.file.style_scale)
    style, *_ = load_painting(Painting(given.style), task.size, longer)
    weights = load_weights(options)
    if not options.machine.no_compilation_cache:
        from jnst.io.compile_cache import keep_compiled

        keep_compiled()
    task = choose_way(options, task, style, weights)
    if task.clip.sound:
        log("the clip's sound is not kept", quiet=quiet)
    began, signals = time.perf_counter(), list[int]()
    sink = open_output(output, task.size, task.rate)
    trouble, painter = "", Painter(task, style, weights)
    try:
        with (
            sink,
            display(task.frames, quiet=quiet, prefix="jnst: ") as show,
            stop_on_signals("to quit at once") as signals,
        ):
            trouble = painter.paint(sink, show, signals)
    except KeyboardInterrupt:
        signals = signals or [signal.SIGINT]
    if trouble:
        log(trouble)
    if not sink.frames:
        log("no frame was done; nothing is written")
    else:
        height, width = sink.size
        facts = f"{sink.frames} of {task.frames} frames, {width}x{height}, {float(task.rate):.4g} a second"
        say(f"{output}  ({facts}, {time.perf_counter() - began:.0f} s)", quiet=quiet)
    return exit_code(signals[0]) if signals else int(bool(trouble))


def prepare(given: FrameOptions, options: Options, config: Config) -> Task:
    """Refuses what can be refused before anything is computed or written.

    Args:
        given: of the command.
        options: the same, as those of one picture.
        config: made of them.

    Returns:
        What is to be painted.

    Raises:
        InputError: something given cannot be used.
    """
    file = given.file
    if MISSING_PATH in (given.clip, given.style):
        raise InputError("CLIP and STYLE are required: a clip and a painting; see jnst frames --help")
    if file.output is None:
        raise InputError("give -o OUTPUT: a film, .mp4 .gif or .webp, or a folder of pictures")
    machine = options.machine
    for name, value in {"`plan`": machine.plan, "--for": machine.for_chip, "`devices`": machine.devices != 1}.items():
        if value:
            raise InputError(f"{name} is for single pictures")
    require_common(options)
    for name, number in (("--every", file.every), ("--next-iterations", file.next_iterations)):
        if number is not None and number < 1:
            raise InputError(f"{name} must be at least 1, got {number}")
    if file.fps is not None and not 0 < file.fps <= MOST_RATE:
        raise InputError(f"--fps must be above 0 and at most {MOST_RATE}, got {file.fps:g}")
    if config.init not in INIT_NAMES:
        raise InputError(f"`init` of a clip must be content, style or noise, got {config.init}")
    require_at_least(1, iterations=config.iterations)
    require_image(given.style)
    clip = look_at(given)
    own = Fraction(clip.rate) / file.every if clip.rate else Fraction(FOLDER_RATE)
    rate = own if file.fps is None else Fraction(file.fps).limit_denominator(1001)
    later = file.next_iterations or max(1, round(config.iterations * NEXT_SHARE))
    size = content_size(given.clip, clip.size, file.image_size, upscale=file.upscale)
    size = tileable_size(given.clip, size, config, quiet=given.file.quiet)
    task = Task(clip, size, file.every, rate, config, replace(config, iterations=later, scales=("1",), init="content"))
    require_frame_output(
        file.output, task.frames, task.size, inputs=(given.clip, given.style), overwrite=file.overwrite
    )
    return task


def look_at(given: FrameOptions) -> Clip:
    """Returns what is known of the clip.

    Args:
        given: of the command.

    Raises:
        InputError: no clip, or a damaged one.
    """
    if not is_folder(given.clip):
        return open_clip(given.clip)
    return open_clip(
        given.clip, files=[given.clip / path.name for path in list_images(given.clip, quiet=given.file.quiet)]
    )


def choose_way(options: Options, task: Task, style: Any, weights: "Weights") -> Task:
    """Returns the task with the fastest way of computing that the memory allows.

    Args:
        options: of one picture.
        task: to paint.
        style: the painting, (1, h, w, 3), or of a style file.
        weights: of the network.

    Raises:
        InputError: none does; a layer that the network lacks, an image that is too small.
    """
    from jnst.problem import check_images, check_network

    blank = np.zeros((1, *task.size, 3), np.float32)
    check_images({"content": blank} | ({"style": style} if hasattr(style, "dtype") else {}))
    check_network(task.first, weights.params, task.size)
    way = choose_strategy(options, Prepared(task.first, Images(blank, ((style,),), None, Origin()), weights, None))
    return replace(
        task,
        first=way,
        next=replace(task.next, tile=way.tile, checkpoint=way.checkpoint, history_dtype=way.history_dtype),
    )


class Painter:
    """Paints the frames of a clip, one after the other.

    Attributes:
        done: frames that are painted.
    """

    def __init__(self, task: Task, style: Any, weights: "Weights") -> None:
        """Paints nothing yet.

        Args:
            task: to paint.
            style: the painting, (1, h, w, 3), or of a style file.
            weights: of the network.
        """
        self.task, self.style, self.weights = task, style, weights
        self.done = 0
        self._last: Any = None

    def paint(self, sink: FrameOutput, show: Show, signals: Sequence[int]) -> str:
        """Paints until the clip or a signal ends it; a frame that a signal stops is left out.

        Args:
            sink: takes the frames.
            show: is told how far it is.
            signals: that came.

        Returns:
            What ended it before its time, in one line; empty where nothing did.

        Raises:
            InputError: the first frame cannot be read or painted, or a place takes no more.
        """
        began = time.perf_counter()
        frames = self.task.clip.pictures(self.task.size, every=self.task.every)
        while not signals:
            try:
                number, pixels = next(frames, (None, None))
                if number is None:
                    break
                result = self._frame(pixels, lambda progress: self._show(show, progress, began) or bool(signals))
            except InputError as error:
                if not self.done:
                    raise
                return f"{error}; the film ends there"
            if result.stop_reason == "not_finite":
                return f"the loss left the finite numbers at frame {number}; the film ends there; lower the weights"
            if signals:
                break
            sink.add(number, result.image)
            self._last, self.done = result.image, self.done + 1
        return ""

    def _frame(self, pixels: Any, callback: "Callable[[Progress], bool]") -> Any:
        from jnst.transfer import stylize

        config = self.task.first if self._last is None else self.task.next
        try:
            return stylize(pixels, self.style, config, self.weights, init=self._last, callback=callback)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        height, width = self.task.size
        raise InputError(f"not enough memory for {width}x{height} pixels; give a smaller `image_size`")

    def _show(self, show: Show, progress: "Progress", began: float) -> None:
        seconds, total = time.perf_counter() - began, max(self.task.frames, self.done + 1)
        share = self.done + progress.iteration / max(1, progress.iterations)
        last = self.done + 1 == total and progress.iteration == progress.iterations
        text = f"frame {self.done + 1}/{total}  iteration {progress.iteration}/{progress.iterations}  "
        text += f"loss {progress.best_loss:.4g}"
        if self.done > 1:  # by frames like those that are left
            text += f"  {time_left(total - share, share / seconds)}"
        show(total if last else min(share, total - 0.001), seconds, text)
