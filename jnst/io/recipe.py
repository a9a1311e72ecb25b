"""The recipe of a picture: all that decides its pixels, as JSON inside the picture's own file (docs/recipes.md).

It lies in up to three places, since programs that save a picture again keep some of them and drop others: a text chunk
of PNG, a property in XMP, and EXIF's ImageDescription. Any one of them is enough to read it. The JSON is ASCII.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from jnst.errors import InputError, single_line
from jnst.io.decode import read_texts
from jnst.io.paths import AnyPath

FORMAT = 1
"""version of the JSON object; what is written here is read by all versions that know it"""
NAMESPACE = "urn:x-jnst:recipe/"
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:jnst="{namespace}" xmp:CreatorTool="jnst">
<jnst:recipe>{text}</jnst:recipe></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
_MOST = 2**22  # letters of a text that is looked at
_LONGEST_NAME = 255
_DIGEST = re.compile("[0-9a-f]{64}")


class InputFile(NamedTuple):
    """A file that a picture is made of."""

    name: str
    """without folders"""
    sha256: str
    """of its bytes; empty where nobody knows"""


@dataclass(frozen=True)
class Recipe:
    """What a picture was made of and by."""

    size: tuple[int, int]
    """(height, width) of the picture in pixels"""
    settings: Mapping[str, Any]
    """fields of `Config`, as they were asked for; a start image by its name without folders"""
    way: Mapping[str, Any]
    """those fields that say how it was computed where the settings leave that open"""
    options: Mapping[str, Any]
    """sizes as they were asked for, and how the picture was written, by the names of the options"""
    inputs: Mapping[str, tuple[InputFile, ...]]
    """files by what they are: content, styles, init, ..."""
    weights: Mapping[str, str]
    """of the network, as `Weights.record` has them, without folders"""
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    devices: int = 1
    """over which its rows were split"""
    batch: bool = False
    """whether it was painted beside others"""

    def text(self) -> str:
        """Returns the recipe as JSON, in ASCII."""
        inputs = {role: [_file_record(file) for file in files] for role, files in self.inputs.items()}
        told = {**vars(self), "inputs": inputs}
        return json.dumps({"recipe": FORMAT, "image_size": list(told.pop("size")), **told})


def _file_record(file: InputFile) -> dict[str, str]:
    return {"name": file.name, **({"sha256": file.sha256} if file.sha256 else {})}


def xmp_packet(text: str) -> str:
    """Returns an XMP packet with a recipe.

    Args:
        text: as of `Recipe.text`.
    """
    return _PACKET.format(namespace=NAMESPACE, text=escape(text))


def read_recipe(path: AnyPath) -> Recipe:
    """Reads the recipe of a picture, from whichever of its places has a whole one.

    Args:
        path: of a picture in any format that is read.

    Returns:
        The recipe. Its settings are as they stand there: `Config` judges them.

    Raises:
        InputError: no picture, one without a recipe, or with a damaged one.
    """
    return find_recipe(read_texts(path), path)


def find_recipe(texts: Iterable[str | bytes], path: AnyPath) -> Recipe:
    """Returns the first whole recipe among texts.

    Args:
        texts: that stand beside the pixels of a file, XMP packets among them.
        path: of the file, for messages.

    Raises:
        InputError: there is none, or only damaged ones.
    """
    damage: InputError | None = None
    for text in texts:
        for candidate in _candidates(text):
            try:
                return parse_recipe(candidate)
            except InputError as error:
                damage = damage or error
    if damage:
        raise damage.within(f"{path}")
    raise InputError(f"{path} has no recipe; give a picture as jnst has written it")


def _candidates(text: str | bytes) -> Iterator[str]:
    """What in a text may be a recipe."""
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    plain = plain.strip("\0\ufeff \n\r\t")
    if len(plain) > _MOST:
        return
    if plain.startswith("{") and '"recipe"' in plain:
        yield plain
    elif NAMESPACE in plain:
        yield from _of_packet(plain)


def _of_packet(packet: str) -> Iterator[str]:
    """Recipes of an XMP packet, which another program may have written anew: as an element or as an attribute."""
    if "<!DOCTYPE" in packet or "<!ENTITY" in packet:  # XMP has neither, and entities could grow without end
        return
    try:
        root = ElementTree.fromstring(packet)
    except (ElementTree.ParseError, ValueError):
        yield ""  # there was one
        return
    name = f"{{{NAMESPACE}}}recipe"
    for element in root.iter():
        if name in element.attrib:
            yield element.attrib[name]
        if element.tag == name:
            yield element.text or ""


def parse_recipe(text: str) -> Recipe:
    """Returns the recipe that a text is.

    Keys that are not known are left out: a later version may have added them.

    Args:
        text: JSON.

    Raises:
        InputError: a text cut off or changed, so that it is none, or one of a later format.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        _refuse(single_line(error))
    number = told.get("recipe") if isinstance(told, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        _refuse("it has no version")
    if number > FORMAT:
        raise InputError(f"its recipe is of format {number}, this jnst reads {FORMAT}; update jnst")
    height, width = _size(told.get("image_size"))
    inputs = {role: tuple(map(_input_file, _typed("an input", files, list)))
              for role, files in _typed("inputs", told.get("inputs"), dict).items()}  # fmt: skip
    groups = {name: _typed(name, told.get(name), dict) for name in ("settings", "options", "weights")}
    return Recipe(
        (height, width), groups["settings"], _typed("way", told.get("way", {}), dict), groups["options"], inputs,
        _texts("weights", groups["weights"]), _texts("versions", _typed("versions", told.get("versions", {}), dict)),
        _typed("device", told.get("device", ""), str), _typed("devices", told.get("devices", 1), int),
        _typed("batch", told.get("batch", False), bool),
    )  # fmt: skip


def _refuse(why: str) -> NoReturn:
    raise InputError(f"its recipe is damaged ({why}); give the picture as jnst has written it")


def _typed(name: str, value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        _refuse(f"{name} is missing or of another type")
    return value


def _size(value: Any) -> tuple[int, int]:
    sides = _typed("image_size", value, list)
    if len(sides) != 2:
        _refuse("image_size is no height and width")
    return _typed("image_size", sides[0], int), _typed("image_size", sides[1], int)


def _input_file(value: Any) -> InputFile:
    """A name is no path: what stands in a picture from elsewhere leads to no other folder."""
    told = _typed("an input", value, dict)
    name, digest = _typed("an input's name", told.get("name"), str), _typed("a checksum", told.get("sha256", ""), str)
    if "/" in name or "\0" in name or name in ("", ".", "..") or len(name) > _LONGEST_NAME:
        _refuse("the name of an input is none")
    if digest and not _DIGEST.fullmatch(digest):
        _refuse("a checksum is none")
    return InputFile(name, digest)


def _texts(name: str, values: Mapping[str, Any]) -> dict[str, str]:
    return {key: _typed(name, value, str) for key, value in values.items()}
