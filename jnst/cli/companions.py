"""What a single run makes beside its picture: film and plot; where they may lie, and the last lines that name them."""

from collections.abc import Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jnst.cli.animation import Animation
from jnst.cli.checks import require_output
from jnst.cli.options import Options, ReportOptions
from jnst.cli.terminal import log
from jnst.errors import InputError
from jnst.io.film import require_film
from jnst.io.paths import AnyPath, canonical
from jnst.io.plot import require_plot, write_plot

if TYPE_CHECKING:
    from jnst.cli.painting import Prepared
    from jnst.records import Progress, Result

REASONS = {"converged": "nothing is left to gain", "line_search": "no step lowers the loss", "stopped": "by a signal"}
"""why a run ended before its last iteration, by `Result.stop_reason`"""


def require_companions(options: Options, taken: Set[AnyPath]) -> None:
    """Refuses places of films and plots where they must not, or cannot, be written.

    Args:
        options: of the command line.
        taken: canonical paths of what is read, and of the pictures that are written.

    Raises:
        InputError: an unknown extension, a package that is missing, one place for two things, no place.
    """
    report, taken = options.report, set(taken)
    if report.trace:
        taken.add(canonical(report.trace))
    for option, path, require in (("animation", report.animation, require_film), ("plot", report.plot, require_plot)):
        if path:
            require(path)
            require_output(path, option=option, inputs=taken, overwrite=options.file.overwrite, as_image=False)


class Companions:
    """The film and the plot of a run, as far as they are asked for. Their failures are told, and end nothing.

    Attributes:
        there: those that were written, by their names.
    """

    def __init__(self, report: ReportOptions, prepared: "Prepared") -> None:
        """Makes nothing yet.

        Args:
            report: what is asked for.
            prepared: the picture.
        """
        self.plot, self.prepared = report.plot, prepared
        self.film = Animation(report.animation, prepared.images.size, prepared.config.iterations)
        self.there: dict[str, Path] = {}

    @property
    def interval(self) -> int:
        """Iterations between two frames of the film; 0: there is none."""
        return self.film.interval

    def begin(self) -> None:
        """Begins, or begins again where the run does."""
        self.film.begin(self._start)

    def take(self, progress: "Progress") -> None:
        """Takes what is due.

        Args:
            progress: of the run.
        """
        self.film.take(progress)

    def finish(self, result: "Result", *, title: str) -> None:
        """Writes all.

        Args:
            result: of the run.
            title: of the plot.
        """
        self.film.finish(result.image)
        if self.film.path and self.film.is_there:
            self.there["film"] = self.film.path
        if self.plot:
            try:
                write_plot(self.plot, result.history, title=title)
                self.there["plot"] = self.plot
            except (InputError, OSError) as error:
                log(f"no plot: {error}")

    def close(self) -> None:
        """Leaves no half of anything."""
        self.film.abandon()

    def _start(self) -> Any:
        from jnst.problem import start_image

        images, config = self.prepared.images, self.prepared.config
        return np.asarray(start_image(images.content, images.styles[0][0], config, init=images.init))


def summary_lines(result: "Result", seconds: Mapping[str, float], files: Mapping[str, Path | None]) -> list[str]:
    """Returns what is worth knowing of a run that is over, in two lines at most.

    Args:
        result: of the run.
        seconds: of each phase of the job, by its name.
        files: written beside the picture, by what they are; None for those that were not.
    """
    from jnst.io.trace import peak_memory

    peak = peak_memory()
    facts = [f"{seconds.get('compile', 0):.0f} s before the first iterations (compiling, targets)",
             f"{seconds.get('iterations', 0):.0f} s in them"]  # fmt: skip
    if result.stop_reason in REASONS:
        facts.insert(0, f"stopped early: {REASONS[result.stop_reason]}")
    facts += [f"peak memory {peak['process'] / 1e9:.1f} GB"] if peak["process"] else []
    facts += [f"of the device {peak['device'] / 1e9:.1f} GB"] if peak["device"] else []
    beside = [f"{name} {path}" for name, path in files.items() if path]
    return [", ".join(facts), *([", ".join(beside)] if beside else [])]
