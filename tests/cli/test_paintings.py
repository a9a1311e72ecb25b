"""Several paintings as one style, masks and regions, as the command line and jobs files name them."""

import json

import numpy as np
import pytest
from cli_helpers import FAST, paint_folders, paint_listed, paint_one
from PIL import Image

from jnst import InputError
from jnst.cli import painting
from jnst.cli.main import main
from jnst.cli.paintings import EVERYWHERE, Blend, MaskFile, Painting, blend, paintings_of, unblend
from jnst.cli.parsing import parse
from jnst.io import image, masks

RED, BLUE = (2, 0, 0), (0, 0, 2)


@pytest.fixture
def two(files):
    """Beside the photograph: two paintings of one colour each, masks of its halves, and both as regions."""
    rng = np.random.default_rng(0)
    for name, color in (("warm", (200, 60, 30)), ("cold", (30, 60, 200))):
        grain = rng.integers(-25, 25, (48, 48, 3))
        Image.fromarray(np.clip(np.array(color) + grain, 0, 255).astype(np.uint8)).save(files / f"{name}.png")
    left = np.zeros((48, 72), np.uint8)
    left[:, :36] = 255
    for name, mask in (("left", left), ("right", 255 - left), ("black", 0 * left)):
        Image.fromarray(mask).save(files / f"{name}.png")
    colors = np.where(left[..., None] > 0, [255, 0, 0], [0, 0, 255]).astype(np.uint8)
    Image.fromarray(colors).resize((144, 96), Image.Resampling.BILINEAR).save(files / "halves.png")
    for name, color in (("red", (250, 5, 9)), ("blue", (9, 5, 250)), ("green", (9, 250, 9))):
        Image.new("RGB", (48, 48), color).save(files / f"{name}.png")
    return files


def paint(folder, *arguments):
    """The picture of the folder's photograph by both paintings, and what beside them is given."""
    names = [str(folder / name) for name in ("photo.png", "warm.png", "cold.png")]
    more = [str(folder / word) if str(word).endswith(".png") else str(word) for word in arguments]
    place = ["-o", str(folder / "out.png"), "--overwrite"]
    assert main([*names, *FAST, "--strength", "0.97", "--iterations", "12", "--image-size", "72", *place, *more]) == 0
    return image.load(folder / "out.png")[0]


def warmth(pixels):
    return float((pixels[..., 0] - pixels[..., 2]).mean())


def test_each_half_has_the_colours_of_its_painting_up_to_the_edge(two):
    """Known answer: red left, blue right, without a gap or a leak of more than the edge's own pixels."""
    assert_halves(paint(two, "--content-masks", "left.png", "right.png", "--trace", two / "run.jsonl"))
    header = json.loads((two / "run.jsonl").read_text().splitlines()[0])
    assert [(p["name"], p["mask"]) for p in header["paintings"]] == [
        ("warm.png", "left.png"),
        ("cold.png", "right.png"),
    ]


def assert_halves(painted):
    assert warmth(painted[:, :32]) > 0.3
    assert warmth(painted[:, 40:]) < -0.3
    columns = [warmth(painted[:, k]) for k in range(28, 44)]
    assert min(columns[:7]) > 0.15
    assert max(columns[9:]) < -0.15


def test_weights_mix(two):
    mostly_warm, mostly_cold = (paint(two, "--style-blend-weights", *w) for w in (("9", "1"), ("1", "9")))
    for everywhere in (mostly_warm, mostly_cold):
        assert abs(warmth(everywhere[:, :32]) - warmth(everywhere[:, 40:])) < 0.3
    assert warmth(mostly_warm) > warmth(mostly_cold) + 0.1


def test_only_the_masked_part_of_a_painting_counts(two):
    with Image.open(two / "warm.png") as warm, Image.open(two / "cold.png") as cold:
        both = Image.new("RGB", (72, 48))
        both.paste(warm.resize((36, 48)), (0, 0))
        both.paste(cold.resize((36, 48)), (36, 0))
        both.save(two / "painting.png")
    found = []
    for mask in ("left.png", "right.png"):
        more = ["--style-masks", two / mask, "-o", two / "out.png", "--overwrite", "--strength", 0.97]
        assert paint_one(two, "--iterations", 12, *more) == 0
        found.append(warmth(image.load(two / "out.png")))
    assert found[0] > found[1] + 0.2


def test_a_folder_is_one_style_where_it_is_asked_for(folders):
    names = [str(folders / "photos" / "a.png"), str(folders / "paintings")]
    options = parse([*names, "--blend", "--style-blend-weights", "3", "1"])
    assert [(p.path.name, p.weight) for p in paintings_of(options)] == [("x.png", 1.5), ("y.png", 0.5)]
    assert paint_folders(folders, "--blend") == 0
    assert sorted(path.name for path in (folders / "out").glob("*.png")) == ["a_paintings.png", "b_paintings.png"]


@pytest.mark.thorough
def test_a_batch_paints_what_single_runs_paint(two):
    row = {"content": "photo.png", "style": ["warm.png", "cold.png"], "content_masks": ["left.png", "all"],
           "style_blend_weights": [3, 1], "style_masks": '["all", "all"]', "output": "row.png"}  # fmt: skip
    (two / "jobs.jsonl").write_text(json.dumps(row))
    settings = ["--content-layers", "conv1_2", "--style-layers", "conv1_1", "conv1_2", "--image-size", 72]
    assert paint_listed(two, "jobs.jsonl", *settings, "--iterations", 4, "--strength", 0.97) == 0
    more = ["--scales", "1", "--style-sizes", "1", "--style-blend-weights", "3", "1", "--iterations", 4]
    single = paint(two, *more, "--content-masks", "left.png", "all")
    np.testing.assert_allclose(image.load(two / "out" / "row.png")[0], single, atol=0.02)
    columns, cells = "content;style;style_blend_weights;output", 'photo.png;["warm.png", "cold.png"];3 1;t.png'
    (two / "table.csv").write_text(f"{columns}\n{cells}\n")
    assert paint_listed(two, "table.csv") == 0


def test_regions_pair_by_colour_and_soft_edges_are_none(two):
    assert masks.region_colors(two / "halves.png") == [BLUE, RED]
    found = blend([two / "warm.png"], Blend(regions=(two / "halves.png", two / "halves.png")))
    halves = [MaskFile(two / "halves.png", color) for color in (BLUE, RED)]
    assert found == tuple(Painting(two / "warm.png", 1.0, half, half) for half in halves)
    left, right = (masks.load_region(two / "halves.png", color, (48, 72))[0, ..., 0] for color in (RED, BLUE))
    np.testing.assert_allclose(left + right, 1, atol=1e-6)
    assert left[:, :34].min() > 0.99
    assert left[:, 38:].max() < 0.01


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--style-blend-weights", "1"], "--style-blend-weights must be 2 numbers, one a painting, got 1"),
        (["--style-blend-weights", "1", "0"], "--style-blend-weights must be finite numbers above 0"),
        (["--content-masks", "left.png"], "--content-masks must be 2 images, one a painting (all: everywhere), got 1"),
        (["--regions", "halves.png"], "--regions must be 3 images, the photograph's and one a painting, got 1"),
        (["--regions", "halves.png", "red.png", "green.png"], "green.png has no region in a colour of"),
        (["--content-masks", "left.png", "none.png"], "none.png"),
        (["--content-masks", "black.png", "all"], "black.png is black all over"),
        (["--content-masks", "warm.png", "all"], "warm.png is 48x48 pixels, its picture 72x48"),
        (["--regions", "halves.png", "red.png", "blue.png", "--style-masks", "red.png", "all"], "--regions stands"),
        (["--save-every", "1", "-o", "left.png", "--content-masks", "left.png", "all"], "left.png is also an input"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(two, capsys, arguments, told):
    before = sorted(two.iterdir())
    names = [str(two / name) for name in ("photo.png", "warm.png", "cold.png")]
    more = [str(two / word) if word.endswith(".png") else word for word in arguments]
    output = [] if "-o" in arguments else ["-o", str(two / "out.png")]
    assert main([*names, *FAST, "--image-size", "72", *output, *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert sorted(two.iterdir()) == before


def test_in_a_batch_a_mask_that_cannot_be_used_fails_alone(two, capsys):
    rows = [{"content": "photo.png", "style": "warm.png", "content_masks": mask, "output": f"{mask}.png"}
            for mask in ("left.png", "black.png")]  # fmt: skip
    (two / "jobs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert paint_listed(two, "jobs.jsonl") == 1
    assert "black.png is black all over" in capsys.readouterr().err
    assert (two / "out" / "left.png.png").exists()


def test_masks_beside_a_folder_of_styles_or_a_jobs_file_are_refused(folders, capsys):
    assert paint_folders(folders, "--style-blend-weights", 1, 2) == 2
    assert "give --blend to take" in capsys.readouterr().err
    (folders / "jobs.jsonl").write_text("{}")
    assert paint_listed(folders, "jobs.jsonl", "--blend") == 2
    assert "are columns of the file" in capsys.readouterr().err


def test_a_mask_reads_grey_and_brings_it_to_a_size(two):
    mask = masks.load_mask(two / "left.png", (24, 36))
    assert mask.shape == (1, 24, 36, 1)
    assert mask[0, :, :16].min() > 0.95
    with pytest.raises(InputError, match="its picture 36x36"):
        masks.load_mask(two / "left.png", (36, 36))


def test_what_was_given_is_found_again_in_the_paintings(two):
    warm, cold, left = (two / name for name in ("warm.png", "cold.png", "left.png"))
    halves, red, blue = (two / name for name in ("halves.png", "red.png", "blue.png"))
    for given in (
        Blend(),
        Blend((1.5, 0.5)),
        Blend(None, (left, EVERYWHERE), ()),
        Blend((0.5, 1.5), (), (EVERYWHERE, EVERYWHERE)),
        Blend((1.5, 0.5), (), (), (halves, red, blue)),
        Blend(None, (), (), (halves, halves, blue)),
    ):
        expected = Blend(given.weights) if set(given.style_masks) == {EVERYWHERE} else given
        assert unblend(blend([warm, cold], given)) == ([warm, cold], expected)


def test_a_picture_of_several_paintings_is_replayed(two, capsys):
    for how in (["--content-masks", "left.png", "all", "--style-blend-weights", "3", "1"],
                ["--regions", "halves.png", "red.png", "blue.png"]):  # fmt: skip
        painted = paint(two, *how, "--trace", two / "run.jsonl")
        again = two / "out-again.png"
        assert main(["replay", str(two / "out.png"), "--no-compilation-cache", "--overwrite"]) == 0, how
        np.testing.assert_array_equal(image.load(again)[0], painted)
        if "--regions" in how:
            assert_halves(painted)
        else:
            header = json.loads((two / "run.jsonl").read_text().splitlines()[0])
            assert [p["mask"] for p in header["paintings"]] == ["left.png", None]
    (two / "halves.png").write_bytes((two / "red.png").read_bytes())
    assert main(["replay", str(two / "out.png"), "--no-compilation-cache", "--overwrite"]) == 2
    assert "halves.png is not the file" in capsys.readouterr().err


def test_the_style_is_looked_up_once_whatever_becomes_of_its_files(two, capsys, monkeypatch):
    """Hours later a file may be gone: the picture is written all the same, and what a folder holds is told once."""
    folder = two / "style"
    folder.mkdir()
    (two / "warm.png").rename(folder / "warm.png")
    (folder / "notes.txt").write_text("no picture")
    place = ["-o", str(two / "out.png")]
    save = painting.save_or_keep
    gone = lambda *args, **more: (folder / "warm.png").unlink() or save(*args, **more)  # noqa: E731
    monkeypatch.setattr(painting, "save_or_keep", gone)
    assert main([str(two / "photo.png"), str(folder), "--blend", *FAST, "--iterations", "1", *place]) == 0
    assert capsys.readouterr().err.count("notes.txt") == 1
    assert (two / "out.png").exists()
