"""`jnst style`, and its file in the place of a painting."""

import json

import numpy as np
import pytest
from cli_helpers import FAST, paint_listed

from jnst.cli.main import main
from jnst.io import image

LAYERS = ["--style-layers", "conv1_1", "conv1_2", "--backbone", "vgg16"]


@pytest.fixture
def made(files):
    """The folder, with the painting's style file."""
    place = ["-o", str(files / "painting.style.h5"), "--quiet"]
    assert main(["style", str(files / "painting.png"), *place, *LAYERS]) == 0
    return files


def test_the_file_stands_in_the_paintings_place(made, capsys):
    results = []
    for style in ("painting.png", "painting.style.h5"):
        names = [str(made / "photo.png"), str(made / style)]
        place = ["-o", str(made / "out.png"), "--overwrite", "--image-size", "64"]
        assert main([*names, *FAST, "--scales", "1", "--style-sizes", "1", *place]) == 0
        results.append(image.load(made / "out.png"))
    np.testing.assert_allclose(results[1], results[0], atol=0.02)
    row = {"content": "photo.png", "style": ["painting.style.h5", "painting.png"], "output": "row.png"}
    (made / "jobs.jsonl").write_text(json.dumps(row))
    assert paint_listed(made, "jobs.jsonl") == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["style"], "PAINTING is required"),
        (["style", "{}/none.png"], "no such file"),
        (["style", "{}/photo.png", "-o", "{}/x.h5"], "x.h5 must end in .style.h5"),
        (["style", "{}/photo.png", "-o", "{}/painting.style.h5"], "exists; give --overwrite"),
        (["style", "{}/photo.png", "-o", "{}/x.style.h5", "--largest", "8"], "--largest must be at least 32, got 8"),
        (
            ["style", "{}/photo.png", "-o", "{}/x.style.h5", "--style-loss", "neighbours"],
            "compares with the painting itself",
        ),
        (["{}/painting.style.h5", "{}/painting.png"], "painting.style.h5"),
        (["{}/photo.png", "{}/painting.style.h5", "--style-masks", "{}/photo.png"], "need the painting itself"),
        (["{}/photo.png", "{}/painting.style.h5", "--match-colors", "mean"], "give the painting itself"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(made, capsys, arguments, told):
    before = sorted(made.iterdir())
    capsys.readouterr()
    words = [word.replace("{}", str(made)) for word in arguments]
    more = LAYERS if "style" in arguments and "neighbours" not in arguments else ["--backbone", "vgg16"]
    if "style" not in arguments:
        more = [*FAST, "-o", str(made / "out.png")]
    assert main([*words, *more, "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert sorted(made.iterdir()) == before
