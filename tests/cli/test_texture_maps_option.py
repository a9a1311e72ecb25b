"""`--texture-maps`: which files are written, and what is refused before anything is painted."""

import numpy as np
import pytest
from cli_helpers import FAST, paint_folders, paint_listed
from helpers import picture
from PIL import Image

from jnst.cli.main import main
from jnst.io import image

TEXTURE = [*FAST, "--content-weight", "0", "--init", "noise"]


@pytest.fixture
def folder(tmp_path):
    """An albedo with three maps, and one of another shape."""
    pixels = np.round(np.asarray(picture(48, 72)[0]) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "rock.png")
    Image.fromarray(pixels[..., ::-1].copy()).save(tmp_path / "rock_n.png")
    Image.fromarray(pixels[..., 0].copy()).save(tmp_path / "rock_r.png")
    Image.fromarray(pixels[:-4]).save(tmp_path / "short.png")
    return tmp_path


def make(folder, maps, *arguments, output="out.png"):
    """The exit code for a texture with maps, whose files are of the folder."""
    words = [f"{name}={folder / path}" for name, path in (word.split("=") for word in maps)]
    return main([str(folder / "rock.png"), *TEXTURE, "-o", str(folder / output), *arguments, "--texture-maps", *words])


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_each_map_lies_beside_the_picture(folder, capsys):
    before = names(folder)
    assert make(folder, ["normal=rock_n.png", "roughness=rock_r.png"], output="out.jpg") == 0
    # exact numbers, whatever the picture's format
    assert names(folder) - before == {"out.jpg", "out.normal.png", "out.roughness.png"}
    said = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in said] == [
        str(folder / name) for name in ("out.jpg", "out.normal.png", "out.roughness.png")
    ]
    normal, rough = (image.load_data(folder / f"out.{name}.png", size=(32, 48)) for name in ("normal", "roughness"))
    assert np.ptp(rough, -1).max() == 0
    np.testing.assert_allclose(np.linalg.norm(2 * normal - 1, axis=-1), 1, atol=0.01)
    with Image.open(folder / "out.normal.png") as file:
        assert "icc_profile" not in file.info
        assert file.getexif()[0x010E] == "normal, a map of out.jpg"
    assert make(folder, ["normal=rock_n.png"]) == 2
    assert "out.normal.png exists; give --overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("maps", "arguments", "message"),
    [
        (["normal=rock_n.png", "Normal=rock_r.png"], [], "--texture-maps names Normal twice"),
        (["=rock_n.png"], [], "--texture-maps must be NAME=PATH, as normal=rock_n.png, got =/"),
        (["a.b=rock_n.png"], [], "--texture-maps must be NAME=PATH"),
        (["normal=gone.png"], [], "gone.png: no such file"),
        (["normal=short.png"], [], "short.png is 72x44 pixels, "),
        (["normal=rock_n.png"], ["--match-colors", "mean"], "leave out --match-colors"),
        (["normal=rock_n.png"], ["--original-colors"], "leave out --original-colors"),
        (["normal=rock_n.png"], ["--style-blend-weights", "1"], "leave out further paintings"),
        (["normal=rock_n.png"], ["--trace", "{}/out.normal.png"], "out.normal.png is also an input or another output"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(folder, capsys, maps, arguments, message):
    before = names(folder)
    assert make(folder, maps, *(word.format(folder) for word in arguments)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert names(folder) == before


def test_standard_output_has_no_room_for_maps(folder, capsys):
    words = ["-o", "-", "--texture-maps", f"n={folder / 'rock_n.png'}"]
    assert main([str(folder / "rock.png"), *TEXTURE, *words]) == 2
    assert "--texture-maps need a file as --output" in capsys.readouterr().err


def test_batches_have_none(folder, capsys):
    for name in ("photos", "paintings"):
        (folder / name).mkdir()
        (folder / name / "a.png").write_bytes((folder / "rock.png").read_bytes())
    (folder / "jobs.csv").write_text("content,style,output\nrock.png,rock.png,o.png\n")
    maps = ["--texture-maps", f"normal={folder / 'rock_n.png'}"]
    for paint, what in ((paint_folders, []), (paint_listed, ["jobs.csv"])):
        assert paint(folder, *what, *maps) == 2
        assert capsys.readouterr().err.splitlines() == ["jnst: --texture-maps is for single pictures"]
    assert not (folder / "out").exists()
