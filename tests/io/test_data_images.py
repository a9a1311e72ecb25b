"""Images that are data, not colours: what stands in the file is what is read, and what is given is what is written."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from jnst.io import image
from jnst.io.color import srgb_profile
from jnst.io.encode import Writing


def levels(height=36, width=40):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_neither_profile_nor_opacity_changes_what_is_read(tmp_path):
    values, opacity = levels(), np.full((36, 40, 1), 7, np.uint8)
    profile = bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes())
    Image.fromarray(np.concatenate([values, opacity], -1)).save(tmp_path / "n.png", gamma=1.0, icc_profile=profile)
    read = image.load_data(tmp_path / "n.png", size=(36, 40))
    np.testing.assert_array_equal(np.round(read[0] * 255), values)
    assert np.abs(image.load(tmp_path / "n.png") - read).max() > 0.5  # which colours are


def test_a_gamma_is_for_colours(tmp_path):
    Image.fromarray(levels()).save(tmp_path / "n.png")
    plain = (tmp_path / "n.png").read_bytes()
    chunk = bytes.fromhex("0000000467414d41000186a031e8965f")  # gAMA of 1
    (tmp_path / "linear.png").write_bytes(plain[:33] + chunk + plain[33:])
    read = image.load_data(tmp_path / "linear.png", size=(36, 40))
    np.testing.assert_array_equal(np.round(read[0] * 255), levels())
    assert np.abs(image.load(tmp_path / "linear.png") - read).max() > 0.1


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_what_is_written_has_no_profile(tmp_path, suffix):
    for as_data in (True, False):
        image.save(levels().astype(np.float32)[None] / 255, tmp_path / f"m{suffix}", as_data=as_data)
        with Image.open(tmp_path / f"m{suffix}") as file:
            assert file.info.get("icc_profile") == (None if as_data else srgb_profile())


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_of_16_bits_neither(tmp_path, suffix):
    pytest.importorskip("imagecodecs")
    pytest.importorskip("tifffile")
    values = np.random.default_rng(1).random((1, 36, 40, 3), np.float32)
    image.save(values, tmp_path / f"m{suffix}", as_data=True, writing=Writing(bits=16))
    assert b"iCCP" not in (tmp_path / f"m{suffix}").read_bytes()
    read = image.load_data(tmp_path / f"m{suffix}", size=(36, 40))
    np.testing.assert_allclose(read, values, atol=1 / 65535)


def test_numbers_are_rounded_without_a_pattern(tmp_path):
    flat = np.full((1, 40, 40, 3), 100.4 / 255, np.float32)
    image.save(flat, tmp_path / "m.png", as_data=True)
    assert np.unique(np.asarray(Image.open(tmp_path / "m.png"))).tolist() == [100]
