"""The endings of the files that are read as pictures: one list for folders, made from what the reader knows."""

from functools import cache

from PIL import Image

from jnst.io.decode import FORMATS, MORE_FORMATS


@cache
def picture_suffixes() -> frozenset[str]:
    """Returns the endings of the formats that are read, as Pillow knows them: `.jpg`, `.jfif`, `.tif`, ...

    Those of the extra `photo` are among them where it is not installed, too: such a picture then fails by itself, with
    a line that says what to install.

    Returns:
        Each in small letters, with its dot.
    """
    Image.init()
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    known.update(*MORE_FORMATS.values())
    return frozenset(known | {".mpo"})  # a JPEG with further ones behind it, as phones write: the first is read
