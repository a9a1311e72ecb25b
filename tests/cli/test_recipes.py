"""Recipes of painted pictures, single and of a batch, and pictures that are painted again from them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from cli_helpers import paint_folders, paint_one
from helpers import picture
from PIL import Image

from jnst.cli import replay
from jnst.cli.main import main
from jnst.config import Config
from jnst.io import image
from jnst.io.checksums import checksum
from jnst.io.recipe import InputFile, read_recipe

MORE = ["--no-compilation-cache", "--offline"]


def edited(path, other, **changes):
    """A copy of a picture with other settings in its recipe."""
    told = json.loads(read_recipe(path).text())
    told["settings"] |= changes
    image.save(image.load(path), other, recipe=json.dumps(told))
    return other


def test_a_picture_is_painted_again_from_its_recipe(files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert paint_one(files, "-o", files / "out.png", "--quiet") == 0
    recipe = read_recipe(files / "out.png")
    content, (style,) = recipe.inputs["content"][0], recipe.inputs["styles"]
    assert content == InputFile("photo.png", checksum(files / "photo.png"))
    assert style == InputFile("painting.png", checksum(files / "painting.png"))
    assert (recipe.size, recipe.options["image_size"], recipe.batch) == ((32, 48), 48, False)
    assert Config(**recipe.settings).content_layers == ("conv1_2",)
    assert (recipe.settings["tile"], recipe.way) == ("auto", {"tile": 0})
    assert {"jax", "jaxlib", "numpy", "pillow"} <= set(recipe.versions)
    assert str(files) not in recipe.text()
    assert main(["replay", "out.png", *MORE]) == 0
    assert capsys.readouterr().out.endswith("out-again.png: its pixels are identical to those of out.png\n")
    assert (files / "out-again.png").read_bytes() == (files / "out.png").read_bytes()
    edited(files / "out.png", files / "seed.png", init="noise", seed=3)
    assert main(["replay", "seed.png", *MORE]) == 1
    assert "seed-again.png: its pixels differ from those of seed.png by at most " in capsys.readouterr().out


def test_a_jpeg_with_a_start_image_and_opacity_too(files, capsys):
    place = files / "inputs"
    place.mkdir()
    with Image.open(files / "photo.png") as photo:
        photo.resize((48, 36)).save(place / "start.png")
        photo.putalpha(Image.linear_gradient("L").resize(photo.size))
        photo.save(files / "photo.png")
    out = files / "out.jpg"
    options = ["-o", out, "--init", place / "start.png", "--scales", "1", "--alpha", "white", "--quiet"]
    assert paint_one(files, *options) == 0
    given = [str(path) for path in (place / "start.png", files / "painting.png")]
    assert main(["replay", str(out), *given, "-o", str(files / "again.jpg"), "--quiet", *MORE]) == 0
    assert capsys.readouterr() == ("", "")
    assert (files / "again.jpg").read_bytes() == out.read_bytes()


def test_pictures_of_a_batch_have_recipes_of_their_own(folders):
    assert paint_folders(folders, "--quiet") == 0
    for content in "ab":
        for style in "xy":
            recipe = read_recipe(folders / "out" / f"{content}_{style}.png")
            files = [folders / "photos" / f"{content}.png", folders / "paintings" / f"{style}.png"]
            told = [*recipe.inputs["content"], *recipe.inputs["styles"]]
            assert told == [InputFile(path.name, checksum(path)) for path in files]
            assert recipe.batch
            assert recipe.settings["iterations"] == 2
            assert recipe.options["image_size"] == 512
            assert recipe.weights["architecture"] == "vgg16"


@pytest.fixture
def painted(files, monkeypatch):
    """A picture with a recipe, which no test here comes to paint."""

    def refuse(*args, **more):
        pytest.fail("it was painted")

    monkeypatch.setattr(replay, "run_single", refuse)
    told = {
        "recipe": 1, "image_size": [48, 64], "settings": {"iterations": 2, "init": "content"}, "way": {},
        "options": {"image_size": 64, "bits": 8, "later": 1}, "weights": {"architecture": "vgg16", "sha256": "0" * 64},
        "inputs": {"content": [{"name": "photo.png", "sha256": checksum(files / "photo.png")}],
                   "styles": [{"name": "painting.png", "sha256": checksum(files / "painting.png")}]},
    }  # fmt: skip
    image.save(np.asarray(picture(48, 64)), files / "out.png", recipe=json.dumps(told))
    return files


def refused(capsys, *arguments):
    """The line of a replay that is refused and writes nothing."""
    assert main(["replay", *map(str, arguments)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


def test_what_is_missing_or_has_changed_is_one_line(painted, capsys, tmp_path_factory, monkeypatch):
    out, photo = painted / "out.png", painted / "photo.png"
    before = sorted(painted.iterdir())
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    moved = photo.rename(elsewhere / "moved.png")
    assert f"photo.png, the photograph, is neither beside {out} nor in the current folder" in refused(capsys, out)
    edited(out, photo)
    assert f"{photo} is not the file that {out} was painted from (its SHA-256 is " in refused(capsys, out)
    assert "is not the file that" in refused(capsys, out, photo)
    assert "out.png (" in (line := refused(capsys, out, moved, out))
    assert "is none of what" in line
    monkeypatch.setattr(replay, "run_single", lambda options, **more: 130)
    assert main(["replay", str(out), str(moved)]) == 130  # found, the painting beside the picture
    moved.rename(elsewhere / "photo.png")
    assert main(["replay", str(out)]) == 130  # the wrong one lies beside the picture, the right one here
    assert sorted(painted.iterdir()) == before


def test_what_cannot_be_is_one_line(painted, capsys):
    out, other = painted / "out.png", painted / "other.png"
    assert "PICTURE is required" in refused(capsys)
    assert "photo.png has no recipe" in refused(capsys, painted / "photo.png")
    assert "other.png: no such file" in refused(capsys, other)
    assert "give an --output that ends in .png" in refused(capsys, out, "-o", painted / "a.jpg")
    assert "is the picture itself" in refused(capsys, out, "-o", out, "--overwrite")
    assert "Unrecognized options: --iterations" in refused(capsys, out, "--iterations", 3)
    assert "its recipe has the setting 'colour', which" in refused(capsys, edited(out, other, colour=1))
    assert "other.png: iterations must be a whole number" in refused(capsys, edited(out, other, iterations="2"))
    assert "other.png: strength must stand without style_weight" in refused(
        capsys, edited(out, other, strength=0.5, style_weight=1.0)
    )


def test_the_help_names_what_is_given(capsys):
    with pytest.raises(SystemExit):
        main(["replay", "--help"])
    shown = capsys.readouterr().out
    assert "usage: jnst replay [-h] [OPTIONS] PICTURE [FILE ...]" in shown
    assert "\0" not in shown
    assert "(required)" in shown


def test_other_weights_are_refused_before_anything_is_written(painted, capsys, monkeypatch):
    monkeypatch.undo()
    line = refused(capsys, painted / "out.png", *MORE)
    assert "has other weights (SHA-256 " in line
    assert "give those by --weights" in line
    assert not (painted / "out-again.png").exists()


def test_what_differs_is_told():
    pixels = np.asarray(picture(48, 64))
    photograph = image.Photograph(pixels, image.Origin())
    changed = photograph._replace(pixels=np.where(pixels == pixels.max(), pixels - 2 / 255, pixels))
    assert replay.compare(photograph, photograph)[0]
    same, told = replay.compare(photograph, changed)
    assert not same
    assert "by at most 2 of 255" in told
    clear = photograph._replace(origin=image.Origin(alpha=np.zeros((48, 64), np.float32)))
    assert "by at most 255 of 255" in replay.compare(photograph, clear)[1]
    assert replay.compare(photograph, photograph._replace(pixels=pixels[:, :40]))[1] == "64x40 pixels, {} has 64x48"


def test_what_is_not_as_it_was_is_told(painted):
    recipe = read_recipe(painted / "out.png")
    now = {"jax": "9" * 99}
    line = replay._others(replace(recipe, versions=now, device="tpu: v5e", batch=True), same=False)
    assert line.count("; ") > 3
    assert f"; jax {'9' * 40}, now " in line
    assert "; device tpu: v5e, now cpu: " in line
    assert line.endswith("; it was painted beside others in a batch")
    from jnst.io.trace import device, versions

    assert replay._others(replace(recipe, versions=versions(), device=device()), same=True) == ""
