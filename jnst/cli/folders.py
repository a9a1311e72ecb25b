"""The pictures of a folder."""

from jnst.cli.checks import require_image
from jnst.cli.terminal import log
from jnst.errors import InputError
from jnst.io.paths import AnyPath, is_folder, listdir
from jnst.io.stores import is_object
from jnst.io.suffixes import picture_suffixes

SHOWN = 5  # names of files that are left out


def list_images(place: AnyPath, *, quiet: bool = False) -> list[AnyPath]:
    """Returns the image files of a folder, by name; a file stands for itself.

    What the folder holds beside them is named in one line; hidden files are not.

    Args:
        place: a folder or a file.
        quiet: whether to leave that line out.

    Raises:
        InputError: no such place, or no image in it.
    """
    if not is_folder(place):
        require_image(place)
        return [place]
    paths = [place / name for name in sorted(listdir(place)) if not name.startswith(".")]
    images = [path for path in paths if path.suffix.lower() in picture_suffixes()]
    others = [path for path in paths if path.suffix.lower() not in picture_suffixes()]
    left_out = _left_out(others) if others else ""
    if not images:
        endings = ", ".join(sorted(picture_suffixes()))
        found = f" ({left_out})" if left_out else ""
        raise InputError(f"{place} holds no picture{found}; it needs files that end in {endings}")
    if left_out:
        log(f"{place}: {left_out}", quiet=quiet)
    return images


def _left_out(paths: list[AnyPath]) -> str:
    """Says how many there are and the first names; a folder's ends in a slash."""
    names = [f"{path.name}/" if not is_object(path) and path.is_dir() else path.name for path in paths[:SHOWN]]
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    verb = "file is no picture" if len(paths) == 1 else "files are no pictures"
    return f"{len(paths)} {verb}: {', '.join(names)}{more}"
