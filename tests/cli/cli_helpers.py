"""What the tests of the command line share."""

from helpers import FAST_BATCH

from jnst.cli.main import main

# shallow layers and one size: what is compiled for one test serves all of a file
FAST = [
    "--content-layers", "conv1_2", "--style-layers", "conv1_1", "conv1_2", "--backbone", "vgg16",
    "--image-size", "48", "--iterations", "4", "--no-compilation-cache",
]  # fmt: skip


def paint_one(folder, *arguments):
    """The exit code for the folder's two images."""
    names = [str(folder / name) for name in ("photo.png", "painting.png")]
    return main([*names, *FAST, *map(str, arguments)])


def paint_folders(folder, *arguments):
    """The exit code for the folder's photographs in the manner of its paintings."""
    places = [folder / "photos", folder / "paintings", "-o", folder / "out"]
    return main(list(map(str, [*places, *FAST_BATCH, *arguments])))


def paint_listed(folder, name, *arguments):
    """The exit code for a jobs file in the folder."""
    return main(list(map(str, ["--jobs", folder / name, "-o", folder / "out", *FAST_BATCH, *arguments])))
