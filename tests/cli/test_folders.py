"""Folders take what single runs read and name the rest."""

import pytest
from PIL import Image

from jnst import InputError
from jnst.cli.folders import list_images
from jnst.io import image
from jnst.io.decode import MORE_FORMATS
from jnst.io.suffixes import picture_suffixes


def test_a_folder_gives_its_images_by_name_and_names_the_rest(folders, capsys):
    photos = folders / "photos"
    (photos / "sub").mkdir()
    for name in (".hidden.png", "notes.txt", "B.JPG"):
        (photos / name).write_text("")
    assert [path.name for path in list_images(photos)] == ["B.JPG", "a.png", "b.png"]
    assert capsys.readouterr().err == f"jnst: {photos}: 2 files are no pictures: notes.txt, sub/\n"
    list_images(photos, quiet=True)
    assert capsys.readouterr().err == ""
    assert list_images(photos / "a.png") == [photos / "a.png"]


def test_of_many_files_the_first_are_named(folders, capsys):
    for k in range(7):
        (folders / "photos" / f"{k}.doc").write_text("")
    list_images(folders / "photos")
    assert "7 files are no pictures: 0.doc, 1.doc, 2.doc, 3.doc, 4.doc and 2 more\n" in capsys.readouterr().err


def test_a_folder_without_pictures_says_what_it_holds(tmp_path):
    with pytest.raises(InputError, match=r"holds no picture; it needs files that end in .apng, .avif, "):
        list_images(tmp_path)
    (tmp_path / "a.docx").write_text("")
    with pytest.raises(InputError, match=r"holds no picture \(1 file is no picture: a.docx\); it needs"):
        list_images(tmp_path)


def test_what_a_folder_takes_is_what_is_read(tmp_path):
    """Each ending by the format that Pillow writes for it; two only mark others' formats."""
    Image.init()
    marks = {".mpo": "JPEG", ".avifs": "AVIF"}
    more = {suffix for suffixes in MORE_FORMATS.values() for suffix in suffixes}
    assert {".heic", ".jxl"} <= more <= picture_suffixes()
    suffixes = picture_suffixes() - more  # which tests/io reads
    names = {suffix: marks.get(suffix) or Image.registered_extensions()[suffix] for suffix in suffixes}
    assert {".jfif", ".jpe", ".mpo", ".avif", ".gif", ".jp2", ".tif", ".webp", ".bmp", ".ppm"} <= set(names)
    for suffix, name in names.items():
        if name not in Image.SAVE:
            continue
        picture = Image.new("F" if suffix == ".pfm" else "RGB", (40, 33))
        picture.save(tmp_path / f"x{suffix}", format=name)
    found = list_images(tmp_path)
    assert len(found) == len(names)
    assert all(image.load(path).shape == (1, 33, 40, 3) for path in found)
