"""Tars as WebDataset lays them out: keys, numbers in braces, an index that is true, and nothing outside the folder."""

import io
import os
import tarfile
from typing import Literal

import pytest

from jnst.errors import InputError
from jnst.io.tars import Member, expand, index_path, members, pack, split_key, unpack

SUFFIXES = {".jpg", ".png"}


def make(path, *files, mode: Literal["w", "w:gz"] = "w"):
    with tarfile.open(path, mode) as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def listed(path):
    found = members(path)
    assert found is not None
    return list(found)


@pytest.mark.parametrize(("text", "expected"), [
    ("a.tar", ["a.tar"]),
    ("a-{08..11}.tar", ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]),
    ("{1..2}/b{0..1}.tar", ["1/b0.tar", "1/b1.tar", "2/b0.tar", "2/b1.tar"]),
    ("a{b}.tar", ["a{b}.tar"]),
])  # fmt: skip
def test_numbers_in_braces(text, expected):
    assert [str(path) for path in expand(text)] == expected


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(InputError, match=r"\{3..1\} ends before it begins"):
        list(expand("a{3..1}.tar"))


@pytest.mark.parametrize(("name", "expected"), [
    ("a/b.c/d.e.jpg", ("a/b.c/d", "e.jpg")), ("d.jpg", ("d", "jpg")), ("a.b/d", ("a.b/d", "")),
])  # fmt: skip
def test_a_key_ends_at_the_first_dot_behind_the_last_slash(name, expected):
    assert split_key(name) == expected


def test_what_is_packed_is_found_at_the_places_of_the_index(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 1500)
    long = "deep/" * 40 + "picture"  # above the 100 letters of a plain head
    path = tmp_path / "out.tar"
    count = pack(path, [("a.png", b"12345"), ("a.json", b"{}"), (f"{long}.png", tmp_path / "file"), ("e.png", b"")])
    assert count == 3
    content = path.read_bytes()
    assert [content[m.offset : m.offset + m.size] for m in listed(path)] == [b"12345", b"{}", b"x" * 1500, b""]
    by_index = listed(path)
    assert index_path(path).read_text().splitlines()[:2] == ["v1.2 3", "png 512 5 a.png json 1536 2 a.json"]
    index_path(path).unlink()
    assert listed(path) == by_index
    assert by_index[2] == Member(f"{long}.png", 1500, by_index[2].offset)
    again = tmp_path / "again.tar"
    pack(again, [("a.png", b"12345"), ("a.json", b"{}"), (f"{long}.png", tmp_path / "file"), ("e.png", b"")])
    assert again.read_bytes() == content  # no times, no owners


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_pictures_come_out_under_plain_names(tmp_path, mode):
    tar = make(tmp_path / "in.tar", ("a/b.JPG", b"1"), ("a/b.txt", b"text"), ("c.png", b"2"), mode=mode)
    (tmp_path / "out").mkdir()
    found = unpack(tar, tmp_path / "out", suffixes=SUFFIXES)
    assert {key: path.name for key, path in found.items()} == {"a/b": "000000-a_b.jpg", "c": "000001-c.png"}
    assert [path.read_bytes() for path in found.values()] == [b"1", b"2"]
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_nothing_is_written_outside_the_folder(tmp_path):
    tar = make(tmp_path / "in.tar", ("../up.png", b"1"), ("/etc/root.png", b"2"), ("a/../../b.png", b"3"))
    with tarfile.open(tar, "a") as more:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        more.addfile(link)
    (tmp_path / "out").mkdir()
    found = unpack(tar, tmp_path / "out", suffixes=SUFFIXES)
    assert len(found) == 3
    assert all(path.parent == tmp_path / "out" for path in found.values())
    assert sorted(os.listdir(tmp_path)) == ["in.tar", "out"]


def test_names_that_are_alike_when_plain_stay_apart(tmp_path):
    tar = make(tmp_path / "in.tar", ("a b.png", b"1"), ("a_b.png", b"2"))
    (tmp_path / "out").mkdir()
    assert len({path.name for path in unpack(tar, tmp_path / "out", suffixes=SUFFIXES).values()}) == 2


def test_what_is_no_tar_is_told_in_one_line(tmp_path):
    (tmp_path / "text.tar").write_text("no tar")
    whole = make(tmp_path / "whole.tar", ("a.png", b"1" * 5000), ("b.png", b"1" * 5000)).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:7000])
    for name, message in (("text", "is no tar that can be read"), ("cut", "is no tar that can be read"),
                          ("none", "no such file; give the path of a tar")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            unpack(tmp_path / f"{name}.tar", tmp_path, suffixes=SUFFIXES)
    make(tmp_path / "twice.tar", ("a.png", b"1"), ("a.jpg", b"2"))
    with pytest.raises(InputError, match="two pictures of the key a"):
        unpack(tmp_path / "twice.tar", tmp_path, suffixes=SUFFIXES)


def test_an_index_that_is_none_is_told(tmp_path):
    tar = make(tmp_path / "in.tar", ("a.png", b"1"))
    index_path(tar).write_text("something else\n")
    with pytest.raises(InputError, match=r"in\.idx is no index of a tar"):
        listed(tar)


def test_a_compressed_tar_is_not_read_to_be_listed(tmp_path):
    assert members(make(tmp_path / "in.tar.gz", ("a.png", b"1"), mode="w:gz")) is None
