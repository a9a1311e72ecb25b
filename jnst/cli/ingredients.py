"""What a recipe names, found again: input files and weights, by their names and checksums."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jnst.cli.options import Options
from jnst.cli.paintings import EVERYWHERE, MASKS
from jnst.cli.weights import load_weights
from jnst.errors import InputError
from jnst.io.checksums import checksum
from jnst.io.paths import AnyPath, path_errors
from jnst.io.recipe import InputFile, Recipe

if TYPE_CHECKING:
    from jnst.io.weights import Weights

ROLES = {"content": "the photograph", "styles": "a painting", **dict.fromkeys(MASKS[:2], "a mask"),
         "regions": "a picture of regions", "init": "the start image",
         "normalize_with": "the folder of --normalize-with"}  # fmt: skip
"""key of a recipe's inputs -> what it is"""
_INPUTS: dict[str, Literal["caffe", "torch"]] = {"caffe-bgr": "caffe", "torch-rgb": "torch"}
_SHOWN = 12  # digits of a checksum


def find_inputs(recipe: Recipe, picture: AnyPath, given: Sequence[AnyPath]) -> dict[str, list[AnyPath]]:
    """Finds the files that a picture was painted from: among those given, beside the picture, in the current folder.

    Args:
        recipe: of the picture.
        picture: its path.
        given: files, in any order; those without a checksum in the recipe take them in the recipe's.

    Returns:
        Paths by the recipe's keys.

    Raises:
        InputError: one is missing, or is not what it was; or one is given that the picture was not painted from.
    """
    unknown = [role for role in recipe.inputs if role not in ROLES]
    if unknown:
        raise InputError(
            f"{picture} was painted with inputs that this jnst does not know ({unknown[0][:40]}); update jnst"
        )
    for role, most in (("content", 1), ("init", 1), ("normalize_with", 1)):
        if len(recipe.inputs.get(role, ())) > most or (role == "content" and not recipe.inputs.get(role)):
            raise InputError(f"{picture}: its recipe is damaged ({role}); give the picture as jnst has written it")
    digests = {path: checksum(path) for path in given}
    left, found = list(given), dict[str, list[AnyPath]]()
    wanted = [(role, file) for role in ROLES for file in recipe.inputs.get(role, ())]
    for role, file in wanted:
        if file == _EVERYWHERE:
            found.setdefault(role, []).append(EVERYWHERE)
            continue
        place = next((path for path in given if digests[path] == file.sha256), None)
        if place is None and not file.sha256 and left:
            place = left[0]
        left = [path for path in left if path != place]
        found.setdefault(role, []).append(place or MISSING)
    if left:
        raise InputError(_none_of(left[0], digests[left[0]], picture, [file for _, file in wanted]))
    for role, file in wanted:
        places = found[role]
        if MISSING in places:
            places[places.index(MISSING)] = _look_for(file, ROLES[role], picture)
    found.setdefault("styles", [])
    return found


_EVERYWHERE = InputFile(str(EVERYWHERE), "")
MISSING = Path("\0")
"""stands for a file that was not given"""


def _none_of(path: AnyPath, digest: str, picture: AnyPath, wanted: Sequence[InputFile]) -> str:
    same_name = next((file for file in wanted if file.name == path.name), None)
    if same_name:
        return _changed(path, digest, same_name, picture)
    names = ", ".join(f"{file.name} ({file.sha256[:_SHOWN]}...)" for file in wanted)
    return f"{path} ({digest[:_SHOWN]}...) is none of what {picture} was painted from, by SHA-256: {names}"


def _changed(path: AnyPath, digest: str, file: InputFile, picture: AnyPath) -> str:
    return (
        f"{path} is not the file that {picture} was painted from (its SHA-256 is {digest[:_SHOWN]}..., the recipe has "
        f"{file.sha256[:_SHOWN]}...); give that one, or paint another picture by `config` {picture}"
    )


def _look_for(file: InputFile, what: str, picture: AnyPath) -> AnyPath:
    """The file of that name, beside the picture or here."""
    other: str | None = None
    for place in dict.fromkeys((picture.parent / file.name, Path(file.name))):
        with path_errors(place):
            if not place.exists():
                continue
        digest = checksum(place)
        if digest == file.sha256 or not file.sha256:
            return place
        other = other or _changed(place, digest, file, picture)
    raise InputError(
        other or f"{file.name}, {what}, is neither beside {picture} nor in the current folder; give its path, too"
    )


def load_recorded_weights(options: Options, recipe: Recipe, picture: AnyPath, given: Path | None) -> "Weights":
    """Returns the weights that a picture was painted with: the file given, one beside the picture, or what is found.

    Args:
        options: of the command line.
        recipe: of the picture.
        picture: its path.
        given: a weight file; None: searched for.

    Raises:
        InputError: other weights, or none.
    """
    record = recipe.weights
    architecture, digest = record.get("architecture", ""), record.get("sha256", "")
    if architecture not in ("vgg16", "vgg19"):
        raise InputError(f"{picture} was painted with a network that this jnst does not know; update jnst")
    normalizing_size = recipe.options.get("normalizing_size")
    if isinstance(normalizing_size, int):
        options = replace(options, file=replace(options.file, image_size=normalizing_size))
    choice = replace(options.weight, backbone=architecture, weights_input=_INPUTS.get(record.get("input", "")))
    beside = [] if given else _beside(record.get("file", ""), picture)
    loaded = None
    for path in [*beside, given]:
        try:
            loaded = load_weights(replace(options, weight=replace(choice, weights=path)))
        except InputError:
            if path in beside:  # another file of that name
                continue
            raise
        if loaded.sha256 == digest:
            return loaded
    assert loaded is not None
    raise InputError(
        f"{loaded.file} has other weights (SHA-256 {loaded.sha256[:_SHOWN]}...) than {picture} was painted with "
        f"({record.get('file', '')}, {digest[:_SHOWN]}...); give those by `weights`"
    )


def _beside(name: str, picture: AnyPath) -> list[Path]:
    """Files of the weights' name beside the picture and here."""
    if not isinstance(picture, Path) or not name or "/" in name or "\0" in name:
        return []
    return [path for path in dict.fromkeys((picture.parent / name, Path(name))) if path.is_file()]
