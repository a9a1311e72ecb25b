"""`--animation`: the run as a film, a frame about every sixtieth of it, at the picture's size.

What goes wrong with the film while it is made is told in one line; the picture is painted all the same.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jnst.cli.terminal import log
from jnst.errors import InputError
from jnst.io.film import Film

if TYPE_CHECKING:
    from jnst.records import Progress

FRAMES = 60  # of a run that has as many iterations
RATES = (4, 15)  # frames a second, fewest and most: a film of four seconds, where the frames are enough for one
HELD_SECONDS = 2.0  # for which the picture itself is seen at the end


def frame_interval(iterations: int) -> int:
    """Returns after how many iterations each a frame is taken.

    Args:
        iterations: of the whole run.
    """
    return max(1, math.ceil(iterations / FRAMES))


def callback_interval(save_every: int, interval: int) -> int:
    """Returns after how many iterations the run has to pause, for films and for intermediate pictures.

    Args:
        save_every: iterations between two intermediate pictures; 0: none.
        interval: between two frames; 0: none.
    """
    return math.gcd(save_every, interval)


class Animation:
    """The film of a run; without a path, nothing.

    Attributes:
        is_there: whether the film was written.
    """

    def __init__(self, path: Path | None, size: tuple[int, int], iterations: int) -> None:
        """Takes nothing yet.

        Args:
            path: of the film; None: there is none.
            size: (height, width) of the picture.
            iterations: of the whole run.
        """
        self.path, self.size = path, size
        self.interval = frame_interval(iterations) if path else 0
        fewest, most = RATES
        self.rate = Fraction(min(most, max(fewest, math.ceil(iterations / max(1, self.interval) / 4))))
        self.is_there = False
        self._film: Film | None = None

    def begin(self, start: Callable[[], Any]) -> None:
        """Begins the film, or begins it again, where the run does.

        Args:
            start: makes the start image, (1, h, w, 3) in [0, 1], which is the first frame.
        """
        self.abandon()
        if self.path:
            self._try(lambda path: self._begin(path, start()))

    def take(self, progress: "Progress") -> None:
        """Takes a frame, where it is time for one.

        Args:
            progress: of the run.
        """
        film = self._film
        if film and progress.new and progress.iteration and progress.iteration % self.interval == 0:
            self._try(lambda path: film.add(progress.image()))

    def finish(self, picture: Any) -> None:
        """Writes the film.

        Args:
            picture: the result, (1, h, w, 3) in [0, 1], which is the last frame.
        """
        film = self._film
        if film:
            self._try(lambda path: self._finish(film, picture))

    def abandon(self) -> None:
        """Leaves no film and no half of one; after `finish`, does nothing."""
        if self._film:
            self._film.abandon()
            self._film = None

    def _begin(self, path: Path, start: Any) -> None:
        self._film = Film(path, self.size, self.rate)
        self._film.add(start)

    def _finish(self, film: Film, picture: Any) -> None:
        film.add(picture, seconds=HELD_SECONDS)
        self._film = None
        film.close()
        self.is_there = True

    def _try(self, act: Callable[[Path], None]) -> None:
        assert self.path is not None
        try:
            act(self.path)
        except (InputError, OSError, MemoryError) as error:
            self.abandon()
            log(f"no film: {error}")
