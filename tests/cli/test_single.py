"""One picture by the command line: what is painted, written, shown and traced."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import FAST, paint_one
from helpers import EXAMPLES, IMAGES, KERAS_VGG19, ROOT
from PIL import Image

from jnst import InputError
from jnst.cli import outputs
from jnst.cli.batch_jobs import make_jobs
from jnst.cli.jobfile import BatchRow
from jnst.cli.main import main
from jnst.cli.outputs import intermediate_paths
from jnst.cli.paintings import paintings_of
from jnst.cli.parsing import make_config, parse
from jnst.cli.single import load_images, validate_single
from jnst.cli.weights import load_weights
from jnst.io import image
from jnst.io.atomic import UnwritableError
from jnst.network.normalize import mean_activations

SHALLOW = ["--content-layers", "conv1_1", "--style-layers", "conv1_1"]  # for programs that one test alone compiles


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_command_writes_the_picture_beside_the_content(files, capsys):
    (files / ".jnst-abc.png").write_bytes(b"half")  # as kill -9 leaves it
    assert paint_one(files) == 0
    assert not (files / ".jnst-abc.png").exists()
    out = files / "photo_painting.png"
    picture = image.load(out)
    assert picture.shape == (1, 32, 48, 3)
    before = image.load(files / "photo.png", image_size=48)
    assert 0.01 < np.abs(picture - before).mean() < 0.5
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{out}  (48x32, 4 iterations, loss ")
    assert "iteration 4/4" in shown.err
    with Image.open(out) as file:
        recipe = json.loads(file.getexif()[0x010E])
    assert recipe["weights"]["architecture"] == "vgg16"
    assert recipe["settings"]["iterations"] == 4
    assert recipe["image_size"] == [32, 48]


def test_programs_are_kept_unless_the_user_wants_none(files, monkeypatch):
    """What is kept, and that nothing is without it: tests/io/test_compile_cache.py."""
    kept = []
    monkeypatch.setattr("jnst.io.compile_cache.keep_compiled", lambda: kept.append(True))
    assert paint_one(files, "--quiet") == 0
    assert not kept
    names = [str(files / name) for name in ("photo.png", "painting.png")]
    assert main([*names, *FAST[: FAST.index("--no-compilation-cache")], "--quiet", "--overwrite"]) == 0
    assert kept == [True]


def test_quiet_prints_nothing(files, capsys):
    assert paint_one(files, "--quiet", "-o", files / "out.jpg") == 0
    assert capsys.readouterr() == ("", "")
    assert (files / "out.jpg").exists()


def test_a_picture_may_go_to_standard_output(files, capsysbinary):
    assert paint_one(files, "-o", "-") == 0
    shown = capsysbinary.readouterr()
    with Image.open(io.BytesIO(shown.out)) as picture:
        assert (picture.format, picture.size) == ("PNG", (48, 32))
        assert "settings" in json.loads(picture.getexif()[0x010E])
    assert b"jnst: /dev/stdout  (48x32, 4 iterations, loss " in shown.err


def test_what_comes_through_a_pipe_is_painted_into_the_current_folder():
    assert outputs.output_path(parse(["-", "b.png"])) == Path("stdin_b.png")
    assert outputs.output_path(parse(["a.png", "-"])) == Path("a_stdin.png")


def test_a_full_disk_is_one_line_and_the_picture_is_kept(files, capsys, monkeypatch):
    save, kept = image.save, files / "here" / "photo_painting.png"
    kept.parent.mkdir()
    monkeypatch.chdir(kept.parent)

    def full(pixels, path, **more):
        if path.parent == files:
            raise UnwritableError(path, OSError(28, "No space left on device"))
        save(pixels, path, **more)

    monkeypatch.setattr(image, "save", full)
    assert paint_one(files, "--quiet", "--trace", files / "run.jsonl") == 2
    place = files / "photo_painting.png"
    line = f"jnst: {place} cannot be written (No space left on device); the picture is in {kept} instead\n"
    assert capsys.readouterr() == ("", line)
    assert image.load(kept).shape == (1, 32, 48, 3)
    assert records(files / "run.jsonl")[-1]["output"] == str(kept)


def test_a_strip_is_a_style_and_a_small_photograph_may_be_enlarged(files):
    with Image.open(files / "painting.png") as painting:
        strip, small = painting.resize((640, 40)), painting.resize((36, 34))
    strip.save(files / "painting.png")
    small.save(files / "photo.png")
    options = parse([str(files / "photo.png"), str(files / "painting.png"), "--upscale", "--image-size", "48"])
    images = load_images(options, make_config(options), paintings_of(options))
    assert (images.content.shape, images.styles[0][0].shape) == ((1, 45, 48, 3), (1, 32, 512, 3))
    row = BatchRow(options.content, options.style, files / "out.png", 48, 1.0, make_config(options), upscale=True)
    failures = {}
    (job,) = make_jobs([row, replace(row, content=options.style)], failures)
    assert (job.content.size, job.style.size) == ((45, 48), (32, 512))
    np.testing.assert_array_equal(job.style.load(), images.styles[0][0])
    np.testing.assert_array_equal(job.content.load(), images.content)
    (reason,) = failures.values()
    assert reason.endswith("painting.png is 640x40 pixels, 48x3 at --image-size 48; both sides need at least 32: "
                           "give --image-size 512")  # fmt: skip


def test_image_size_0_keeps_the_contents_size(files):
    assert paint_one(files, *SHALLOW, "--image-size", 0, "--iterations", 0, "-o", files / "out.png") == 0
    assert image.load(files / "out.png").shape == (1, 48, 72, 3)


def test_trace_and_intermediates(files):
    trace = files / "run.jsonl"
    assert paint_one(files, "-o", files / "out.png", "--trace", trace, "--save-every", 2) == 0
    header, *rows, footer = records(trace)
    assert header["settings"]["style_layers"] == ["conv1_1", "conv1_2"]
    assert len(header["weights"]["sha256"]) == 64
    assert [row["iteration"] for row in rows] == [0, 1, 2, 3, 4]
    assert set(rows[0]) == {
        "record", "iteration", "size", "evaluations", "seconds", "loss", "content_loss", "style_loss", "style_layers"
    }  # fmt: skip
    assert footer["stop_reason"] == "max_iterations"
    assert footer["output"] == str(files / "out.png")
    assert list(footer["laps"]) == ["images", "weights", "import", "compile", "iterations", "write"]
    last = image.load(files / "out-0004.png")
    np.testing.assert_array_equal(last, image.load(files / "out.png"))
    assert not np.array_equal(image.load(files / "out-0002.png"), last)


def test_start_from_a_file(files):
    start = files / "start.png"
    Image.new("RGB", (100, 50), (255, 0, 0)).save(start)
    assert paint_one(files, "--init", start, "--iterations", 0, "-o", files / "out.png") == 0
    np.testing.assert_allclose(image.load(files / "out.png")[0, 16, 24], [1, 0, 0], atol=1e-6)


def test_intermediates_replace_nothing_and_need_no_image_to_be_read(files):
    options = parse([str(files / "photo.png"), str(files / "painting.png"), "--save-every", "25"])
    steps = intermediate_paths(options, make_config(options))
    assert list(steps) == [25, 50, 75, 100]
    assert steps[50] == files / "photo_painting-0050.png"
    validate_single(options, make_config(options))
    steps[100].write_bytes(b"old")
    with pytest.raises(InputError, match=r"photo_painting-0100.png exists; give overwrite"):
        validate_single(options, make_config(options))


def test_a_loss_that_is_not_finite_ends_with_exit_code_1_and_a_picture(files, capsys):
    assert paint_one(files, "--content-weight", "3e38", "--style-weight", "3e38", "--init", "noise") == 1
    assert "the loss left the finite numbers" in capsys.readouterr().err
    assert (files / "photo_painting.png").exists()


def test_a_picture_that_does_not_fit_is_said_in_one_line(files, capsys, monkeypatch):
    from jnst import transfer

    def full(*args, **options):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.")

    monkeypatch.setattr(transfer, "stylize", full)
    assert paint_one(files, "--quiet") == 2
    assert capsys.readouterr().err == "jnst: not enough memory for 48x32 pixels; give a smaller --image-size\n"


def test_another_failure_is_not_taken_for_too_little_memory(files, monkeypatch):
    from jnst import transfer

    def broken(*args, **options):
        raise RuntimeError("INTERNAL: a fault")

    monkeypatch.setattr(transfer, "stylize", broken)
    with pytest.raises(RuntimeError, match="INTERNAL: a fault"):
        paint_one(files, "--quiet")


def test_a_device_that_fails_falls_down_the_ladder_and_says_so(files, capsys, monkeypatch):
    from jnst import transfer

    works, configs = transfer.stylize, []

    def full_at_first(content, style, config, *args, **options):
        configs.append(config)
        result = works(content, style, config, *args, **options)
        if len(configs) == 1:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.")
        return result

    monkeypatch.setattr(transfer, "stylize", full_at_first)
    assert paint_one(files, "--trace", files / "run.jsonl") == 0
    assert "jnst: not enough memory (plain); trying a way that takes less" in capsys.readouterr().err
    assert [config.checkpoint for config in configs] == [False, True]
    rows = ["iteration"] * 5
    assert [row["record"] for row in records(files / "run.jsonl")] == ["header", *rows, "restart", *rows, "footer"]


def test_several_devices_paint_one_picture(files):
    assert paint_one(files, *SHALLOW, "--devices", 2, "--quiet") == 0
    assert (files / "photo_painting.png").exists()


@pytest.mark.thorough
def test_windows_give_the_picture_of_the_whole(files):
    assert paint_one(files, "--iterations", 2, "-o", files / "whole.png") == 0
    assert paint_one(files, "--iterations", 2, "-o", files / "tiles.png", "--tile", 40) == 0
    whole, windows = (image.load(files / f"{name}.png") for name in ("whole", "tiles"))
    assert np.abs(whole - windows).max() <= 2 / 255


@pytest.mark.thorough
def test_the_plan_shows_what_a_run_takes_and_paints_nothing(files, capsys):
    few = [*SHALLOW, "--plan", "--history-dtype", "bfloat16"]  # two ways to compute it
    assert paint_one(files, *few, "--scales", 1) == 0
    shown = capsys.readouterr().out
    assert "scales    48x32 (4 iterations)" in shown
    assert re.search(r"plain +[0-9.]+ GB  about 0.0 min", shown)
    assert re.search(r"checkpoint +[0-9.]+ GB  about 0.0 min", shown)
    assert shown.splitlines()[-1] == "uses      plain"
    assert not (files / "photo_painting.png").exists()
    assert paint_one(files, *few, "--max-memory", "1MB") == 2
    assert re.search(r"every way [0-9.]+ GB or more  does not fit", capsys.readouterr().out)


def test_the_plan_for_a_chip_tells_its_roofline_and_paints_nothing(files, capsys):
    plan = [*SHALLOW, "--plan", "--for", "v5e", "--scales", 1]
    assert paint_one(files, *plan) == 0
    shown = capsys.readouterr().out
    assert "chip      TPU v5e: 16 GB, 819 GB/s, TFLOP/s: 197 in bfloat16" in shown
    assert re.search(r"step      [0-9]+ GFLOP \(.* float32\), [0-9.]+ GB moved: at least [0-9.]+ ms", shown)
    assert re.search(r"plain +0\.[0-9]+ GB  at least [0-9.e-]+ s", shown)
    assert "uses      plain" in shown
    assert "its compilation for this machine's cpu (bytes, memory)" in shown
    assert not (files / "photo_painting.png").exists()
    assert paint_one(files, *plan, "--tile", 0, "--history-dtype", "bfloat16", "--max-memory", "1MB") == 2
    assert capsys.readouterr().out.count("does not fit") == 2


def test_memory_that_nothing_fits_in_is_refused(files, capsys):
    assert paint_one(files, *SHALLOW, "--max-memory", "10MB") == 2
    assert "48x32 pixels need at least" in capsys.readouterr().err


def test_a_picture_that_repeats_has_sides_that_can_and_says_so(files, capsys):
    assert paint_one(files, *SHALLOW, "--image-size", 67, "--tileable", "x", "--style-layers", "conv2_1") == 0
    assert image.load(files / "photo_painting.png").shape[1:3] == (45, 68)
    assert "photo.png: 68x45 instead of 67x45 pixels, multiples of 2" in capsys.readouterr().err
    assert paint_one(files, "--tileable", "x", "--devices", 2, "-o", files / "a.png") == 2
    assert "--tileable x and --devices 2: give one of the two" in capsys.readouterr().err
    assert paint_one(files, "--tileable", "x", "--tile", 64, "-o", files / "a.png") == 2
    assert "--tileable x and --tile 64: give one of the two" in capsys.readouterr().err
    assert not (files / "a.png").exists()


@pytest.mark.thorough
def test_one_image_is_enough_for_a_texture_and_for_a_reconstruction(files, capsys):
    one = [str(files / "painting.png"), *FAST, *SHALLOW, "--quiet"]
    assert main([*one, "--init", "noise", "--content-weight", "0"]) == 0
    assert (files / "painting_texture.png").exists()
    assert main([*one, "--init", "noise", "--style-weight", "0"]) == 0
    assert (files / "painting_content.png").exists()
    assert main([*one, "-o", str(files / "both.png")]) == 2
    assert "CONTENT and STYLE are required" in capsys.readouterr().err
    assert main([*one, "--style-weight", "0", "-o", str(files / "same.png")]) == 2
    assert "the start is the result already; give --init noise" in capsys.readouterr().err


def test_the_network_is_normalized_by_a_folder(files):
    trace, options = files / "run.jsonl", ["--iterations", "1", "-o", files / "out.png"]
    (files / "set").mkdir()
    with Image.open(files / "photo.png") as photo:
        photo.save(files / "set" / "a.png")
    normalize = ["--normalize-filters", "--normalize-with", str(files / "set")]
    assert paint_one(files, *options, *normalize, "--trace", trace) == 0
    assert records(trace)[0]["weights"]["normalized"] == str(files / "set")
    weights = load_weights(parse(["a.png", "b.png", *normalize, "--backbone", "vgg16", "--image-size", "48"]))
    means = mean_activations(weights.params, [image.load(files / "photo.png", image_size=48)])["conv2_1"]
    assert set(np.unique(np.round(means, 2))) <= {0, 1}  # 0: silent there


@pytest.mark.thorough
def test_the_real_thing(tmp_path):
    """Full network, defaults but for size and iterations, real images and VGG-19 where they are at hand."""
    content, style = EXAMPLES / "cat.png", EXAMPLES / "swirls.jpg"
    arguments = ["--backbone", "vgg16"]
    if KERAS_VGG19.exists() and IMAGES.exists():
        content, style = IMAGES / "tubingen.jpg", IMAGES / "starry_night.jpg"
        arguments = ["--weights", str(KERAS_VGG19)]
    trace = tmp_path / "run.jsonl"
    arguments += ["--image-size", "96", "--iterations", "20", "--scales", "1", "--no-compilation-cache"]
    arguments += ["-o", str(tmp_path / "out.png"), "--trace", str(trace)]
    assert main([str(content), str(style), *arguments]) == 0
    _, *rows, _ = records(trace)
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert image.load(tmp_path / "out.png").std() > 0.1


def test_ctrl_c_writes_the_best_image_so_far_and_exits_130(files):
    command = [sys.executable, "-m", "jnst", files / "photo.png", files / "painting.png", *FAST, *SHALLOW]
    command += ["--iterations", "1000000", "-o", files / "out.png", "--trace", files / "run.jsonl"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=environment)  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        trace = files / "run.jsonl"
        if trace.exists() and len(trace.read_text().splitlines()) > 2:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "stopping after this step" in err
    assert "Traceback" not in err
    assert "stopped" in out
    assert image.load(files / "out.png").shape == (1, 32, 48, 3)
    assert records(files / "run.jsonl")[-1]["stop_reason"] == "stopped"
