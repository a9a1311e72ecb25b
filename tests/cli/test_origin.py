"""What of the photograph goes with the painted picture, and what of this machine does not. Nothing is painted here."""

import json
import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jnst.cli import main, painting
from jnst.cli.batch_jobs import make_jobs
from jnst.cli.checks import require_output
from jnst.cli.companions import Companions
from jnst.cli.jobfile import BatchRow
from jnst.cli.painting import Images, Prepared
from jnst.cli.paintings import paintings_of
from jnst.cli.parsing import make_config, parse, render
from jnst.cli.progress import BatchReporter, PhaseTimer
from jnst.cli.single import load_images
from jnst.cli.writing import Writer
from jnst.config import Config
from jnst.errors import InputError
from jnst.io import image
from jnst.io.encode import Writing
from jnst.io.manifest import open_manifest
from jnst.io.weights import Weights
from jnst.records import Result

MAKER, GPS, DESCRIPTION = 0x010F, 0x8825, 0x010E
PAINTED = np.full((1, 48, 72, 3), 0.25, np.float32)


@pytest.fixture
def camera(files):
    """The photograph as a camera writes it, half of it transparent."""
    exif = Image.Exif()
    exif[MAKER] = "Maker"
    exif.get_ifd(GPS)[1] = "N"
    with Image.open(files / "photo.png") as photo:
        photo.putalpha(Image.new("L", photo.size, 128))
        photo.save(files / "photo.png", exif=exif)
    return files


def result():
    layers = SimpleNamespace(content_layers=(), style_layers=())
    return Result(image=PAINTED, config=layers, stop_reason="max_iterations")


def test_a_picture_names_no_folder_of_this_machine(camera, monkeypatch):
    out, start = camera / "out.png", camera / "start.png"
    names = [str(camera / name) for name in ("photo.png", "painting.png")]
    options = parse([*names, "-o", str(out), "--init", str(start), "--quiet"])
    places = {"file": str(camera / "vgg.h5"), "normalized": str(camera / "photos")}
    weights = Weights({}, "vgg16", "torch-rgb", "0", source="", license="CC BY / BSD", **places)
    content = image.read(camera / "photo.png")
    prepared = Prepared(
        make_config(options),
        Images(content.pixels, (), None, content.origin, paintings=paintings_of(options)),
        weights,
        None,
    )
    monkeypatch.setattr(painting, "paint", lambda *args, **more: result())
    painting.paint_and_write(options, prepared, PhaseTimer())
    with Image.open(out) as file:
        exif = file.getexif()
        assert (exif[MAKER], GPS in exif, file.mode) == ("Maker", False, "RGBA")
        told = json.loads(exif[DESCRIPTION])
    assert told["weights"]["file"] == "vgg.h5"
    assert told["weights"]["normalized"] == "photos"
    assert told["weights"]["license"] == "CC BY / BSD"
    assert told["settings"]["init"] == "start.png"
    assert str(camera.parent).encode() not in out.read_bytes()
    assert str(camera) not in json.dumps(told)


@pytest.mark.parametrize("keep", [True, False])
def test_what_cannot_be_seen_is_not_styled(files, monkeypatch, keep):
    """The style is compared where the photograph is opaque, in single runs and batches; `--alpha white` counts all."""
    opaque = np.zeros((48, 72), np.uint8)
    opaque[:, :24] = 255
    with Image.open(files / "photo.png") as photo:
        photo.putalpha(Image.fromarray(opaque))
        photo.save(files / "photo.png")
    alpha = [] if keep else ["--alpha", "white"]
    options = parse([str(files / "photo.png"), str(files / "painting.png"), "-o", str(files / "out.png"), *alpha])
    config, styles = make_config(options), []
    monkeypatch.setattr("jnst.transfer.stylize", lambda content, style, *args, **more: styles.append(style))
    weights: Any = None
    prepared = Prepared(config, load_images(options, config, paintings_of(options)), weights, None)
    painting.paint(options, prepared, weights, [], Companions(options.report, prepared))
    row = BatchRow(options.content, options.style, files / "out.png", 512, 1.0, config)
    (job,) = make_jobs([row], {}, keep_alpha=keep)
    if keep:
        ((_, mask, *_),) = styles[0]
        np.testing.assert_array_equal(mask[0, ..., 0], opaque / 255)
        assert job.mask is not None
        np.testing.assert_array_equal(job.mask.load(), mask)
    else:
        assert job.mask is None
        ((_, mask, *_),) = styles[0]
        assert mask is None


def test_a_photograph_without_opacity_has_no_mask(files):
    assert image.style_mask(image.read(files / "photo.png").origin) is None
    with Image.open(files / "photo.png") as photo:
        photo.putalpha(0)
        photo.save(files / "clear.png")
    assert image.style_mask(image.read(files / "clear.png").origin) is None
    np.testing.assert_array_equal(image.read_style_mask(files / "clear.png", (48, 72)), np.ones((1, 48, 72, 1)))


@pytest.mark.parametrize("writing", [Writing(), Writing(alpha="white", keep_gps=True)])
def test_pictures_of_a_batch_keep_as_much(camera, writing):
    row = BatchRow(camera / "photo.png", camera / "painting.png", camera / "out.png", 0, 1.0, Config())
    manifest = open_manifest(camera, "", {})
    reporter = BatchReporter(2, 0, lambda done, seconds, text: None, quiet=True)
    with Writer(manifest, reporter, writing) as writer:
        writer.submit(row, result())
    with Image.open(row.output) as file:
        kept = writing.alpha == "keep"
        exif = file.getexif()
        assert (exif[MAKER], GPS in exif, file.mode) == ("Maker", not kept, "RGBA" if kept else "RGB")
    row.content.unlink()  # moved away while it was painted
    with Writer(manifest, reporter, writing) as writer:
        writer.submit(row, result())
    np.testing.assert_allclose(image.load(row.output), PAINTED, atol=1 / 255)
    manifest.close()
    assert (camera / "manifest.jsonl").read_text().count('"output": "out.png"') == 2


def test_options_say_how_pictures_are_written(files):
    given = ["--bits", "16", "--alpha", "white", "--colour-space", "input", "--keep-gps"]
    options = parse([str(files / "photo.png"), str(files / "painting.png"), *given])
    assert options.writing == Writing(bits=16, alpha="white", colour_space="input", keep_gps=True)
    with pytest.raises(InputError) as caught:
        require_output(files / "out.webp", writing=options.writing)
    assert render(caught.value).endswith("out.webp cannot have 16 --bits; give 8, or one of .png, .tif, .tiff, .jxl")


@pytest.mark.parametrize("quiet", [False, True])
def test_what_a_file_loses_is_a_line_unless_quiet(capsys, monkeypatch, quiet):
    def run(options):
        logging.getLogger("jnst").warning("a.png has 16 bits a channel")
        return 0

    monkeypatch.setattr(main, "run_single", run)
    main.main(["a.png", "b.png", *["--quiet"] * quiet])
    assert capsys.readouterr().err == ("" if quiet else "jnst: a.png has 16 bits a channel\n")
