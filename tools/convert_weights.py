"""Converts VGG-16 and VGG-19 weight files between all formats that jnst knows, checked layer by layer.

python -m tools.convert_weights vgg19-dcbb9e9d.pth weights/vgg19.h5
python -m tools.convert_weights weights/vgg19.h5 vgg19.safetensors
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from jnst.errors import InputError
from jnst.io import formats, weights


def convert(source: Path, target: Path, *, input: formats.Input | None = None, overwrite: bool = False) -> str:
    """Reads, verifies and writes; what was written, in one line.

    Args:
        source: the file to read.
        target: the file to write, in the format of its ending (`.h5` native, `.keras.h5` Keras's layout).
        input: the input convention, where the numbers are unknown and the source does not tell.
        overwrite: replace an existing target.

    Raises:
        InputError: the source is unusable, or the target exists or cannot hold it.
    """
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists; give --overwrite to replace it")
    if not target.parent.is_dir():
        raise InputError(f"{target} cannot be written: there is no folder {target.parent}; make it first")
    table = formats.read(source, input=input)
    architecture = weights.verify(table, source)
    digest = weights.checksum(table)
    formats.write(dataclasses.replace(table, sha256=digest), target)
    again = formats.read(target, input=input)
    if weights.checksum(again) != digest or again.input != table.input:
        raise InputError(f"{target} does not read back to what was written; choose another format")
    return f"{target}: {architecture}, {table.input}, SHA-256 of the arrays {digest}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a weight file of any kind")
    parser.add_argument(
        "target", type=Path, help=f"the file to write, in the format of its ending: {', '.join(formats.WRITERS)}"
    )
    parser.add_argument(
        "--input", choices=formats.INPUTS, help="the source's input convention, where jnst does not know it"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing target")
    options = parser.parse_args()
    try:
        print(convert(options.source, options.target, input=options.input, overwrite=options.overwrite))
    except (InputError, OSError) as error:
        print(f"convert_weights: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
