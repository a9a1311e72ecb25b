"""SHA-256 of the files that a picture is made of: taken while their pictures are read, so that none is read twice."""

import hashlib

from jnst.errors import InputError
from jnst.io import image
from jnst.io.paths import AnyPath, canonical, listdir, path_errors, read_streamed, require_file


class Checksums:
    """Reads pictures and remembers the checksums of their files, as they were then."""

    def __init__(self) -> None:
        self._known: dict[AnyPath, str] = {}

    def read(self, path: AnyPath, *, size: tuple[int, int]) -> image.Photograph:
        """Reads an image file.

        Args:
            path: the file.
            size: (height, width) to bring it to.

        Returns:
            Pixels and origin.

        Raises:
            InputError: as of `image.load`.
        """
        photograph = image.read(path, size=size)
        self._known[path] = photograph.sha256
        return photograph

    def load(self, path: AnyPath, *, size: tuple[int, int]) -> image.NumpyImage:
        """Reads the pixels of an image file.

        Args:
            path: the file.
            size: as of `read`.

        Returns:
            RGB in [0, 1].

        Raises:
            InputError: as of `image.load`.
        """
        return self.read(path, size=size).pixels

    def of(self, path: AnyPath) -> str:
        """Returns the checksum of a file, or of a folder's files; what was not read here before is read now.

        Args:
            path: of any file or folder.

        Returns:
            64 hexadecimal digits; empty where nothing can be read.
        """
        if path not in self._known:
            try:
                self._known[path] = checksum(path)
            except (InputError, OSError):  # moved away meanwhile
                return ""
        return self._known[path]


def checksum(path: AnyPath) -> str:
    """Computes the SHA-256 of a file's bytes; of a folder, that of the list of its files with theirs.

    Args:
        path: a file, also an object or an open pipe, or a folder, of which hidden files and folders do not count.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: it cannot be read.
        OSError: what the system says.
    """
    with path_errors(path):
        is_folder = path.is_dir()
    if is_folder:
        files = [path / name for name in sorted(listdir(path)) if not name.startswith(".")]
        lines = [f"{file.name}\0{checksum(file)}\n" for file in files if not file.is_dir()]
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    require_file(path)
    whole = read_streamed(path)
    if whole is not None:
        return hashlib.sha256(whole).hexdigest()
    with path_errors(path), open(canonical(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
