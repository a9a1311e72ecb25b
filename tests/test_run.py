"""The command line, the way a user meets it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import IMAGES, KERAS_VGG19
from PIL import Image

from jnst import image, run
from jnst import options as options_module
from jnst.errors import InputError
from jnst.normalize import mean_activations

EXAMPLES = Path(__file__).parent.parent / "examples"
# shallow layers and one size: the compile is shared with every test of this file
FAST = [
    "--content-layers", "conv2_1", "--style-layers", "conv1_1", "conv2_1", "--backbone", "vgg16",
    "--image-size", "48", "--iterations", "4",
]  # fmt: skip


@pytest.fixture
def files(tmp_path):
    """A photograph and a painting in a folder of their own."""
    with Image.open(EXAMPLES / "cat.png") as cat, Image.open(EXAMPLES / "swirls.jpg") as swirls:
        cat.convert("RGB").resize((72, 48)).save(tmp_path / "photo.png")
        swirls.resize((64, 64)).save(tmp_path / "painting.png")
    return tmp_path


def jnst(files, *arguments):
    names = [str(files / name) for name in ("photo.png", "painting.png")]
    return run.main([*names, *FAST, *map(str, arguments)])


def test_one_command_writes_the_picture_beside_the_content(files, capsys):
    assert jnst(files) == 0
    out = files / "photo_painting.png"
    picture = image.load(out)
    assert picture.shape == (1, 32, 48, 3)
    before = image.load(files / "photo.png", image_size=48)
    assert 0.01 < np.abs(picture - before).mean() < 0.5
    told = capsys.readouterr()
    assert told.out.startswith(f"{out}  (48x32, 4 iterations, loss ")
    assert "iteration 4/4" in told.err
    with Image.open(out) as file:
        recipe = json.loads(file.getexif()[0x010E])
    assert recipe["weights"]["architecture"] == "vgg16"
    assert recipe["settings"]["iterations"] == 4


def test_quiet_prints_nothing(files, capsys):
    assert jnst(files, "--quiet", "-o", files / "out.jpg") == 0
    assert capsys.readouterr() == ("", "")
    assert (files / "out.jpg").exists()


def test_image_size_0_keeps_the_contents_size(files):
    assert jnst(files, "--image-size", 0, "--iterations", 0, "-o", files / "out.png") == 0
    assert image.load(files / "out.png").shape == (1, 48, 72, 3)


def test_trace_and_intermediates(files):
    trace = files / "run.jsonl"
    assert jnst(files, "-o", files / "out.png", "--trace", trace, "--save-every", 2) == 0
    header, *rows, footer = [json.loads(line) for line in trace.read_text().splitlines()]
    assert header["settings"]["style_layers"] == ["conv1_1", "conv2_1"]
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
    assert jnst(files, "--init", start, "--iterations", 0, "-o", files / "out.png") == 0
    np.testing.assert_allclose(image.load(files / "out.png")[0, 16, 24], [1, 0, 0], atol=1e-6)


WRONG = [
    (["--iterations", "many"], "Error parsing --iterations: invalid literal for int() with base 10: 'many'"),
    (["--loss", "huber"], "invalid choice 'huber' for argument '--loss'"),
    (["--backbone", "resnet50"], "invalid choice 'resnet50' for argument '--backbone'"),
    (["--iteratoins", "3"], "Unrecognized options: --iteratoins"),
    (["--content-layers", "conv9_9"], "unknown layer 'conv9_9': vgg19 has conv1_1"),
    (["--content-layers", "conv4_4"], "unknown layer 'conv4_4': vgg16 has conv1_1"),
    (["--content-weight", "nan"], "--content-weight must be a finite number of at least 0, got nan"),
    (["--style-weight", "-1"], "--style-weight must be a finite number of at least 0, got -1.0"),
    (["--style-layer-weights", "1", "nan"], "--style-layer-weights must be numbers of at least 0"),
    (["--image-size", "7"], "--image-size must be at least 32, or 0 for the content's size, got 7"),
    (["--save-every", "-2"], "--save-every must be at least 0, got -2"),
    (["-o", "{files}/out.xyz"], "an image can be written as .png"),
    (["-o", "{files}/missing/out.png"], "there is no folder"),
    (["-o", "{files}"], "has the extension ''"),
    (["-o", "{files}/photo.png", "--overwrite"], "is also an input; write the result somewhere else"),
    (["-o", "{files}/there.png"], "there.png exists; give --overwrite to replace it"),
    (["--trace", "{files}/there.png"], "there.png exists; give --overwrite"),
    (["--trace", "{files}/missing/run.jsonl"], "there is no folder"),
    (["--trace", "{files}/photo_painting.png"], "--trace and --output are both"),
    (["--init", "{files}/missing.png"], "missing.png: no such file"),
    (["--weights", "{files}/missing.h5"], "missing.h5: no such weight file"),
    (["--weights", "{files}/photo.png"], "has no known ending"),
    (["--weights", "{files}/text.h5"], "text.h5 (11 bytes) cannot be read as .h5 weights"),
    (["--backbone", "vgg19"], "no VGG-19 weights: no network: 127.0.0.1 cannot be reached"),
    (["--backbone", "vgg19", "--offline"], "no VGG-19 weights: --offline forbids to download it"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_input_gets_one_line_and_exit_code_2(files, capsys, arguments, message):
    (files / "there.png").write_bytes(b"old")
    (files / "text.h5").write_bytes(b"hello there")
    before = {path: path.read_bytes() for path in files.iterdir()}
    assert jnst(files, *(argument.format(files=files) for argument in arguments)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("jnst: ")
    assert message in told.err
    assert told.err.count("\n") == 1
    assert {path: path.read_bytes() for path in files.iterdir()} == before


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"text", "is not an image"), ("folder", "holds no picture"), ("tiny", "is 1x1 pixels")],
)
def test_either_image_may_be_wrong(files, capsys, which, content, message):
    wrong = files / "wrong.jpg"
    if content == "folder":
        wrong.mkdir()
    elif content == "tiny":
        Image.new("RGB", (1, 1)).save(wrong)
    elif content:
        wrong.write_bytes(content)
    names = [str(files / "photo.png"), str(files / "painting.png")]
    names[which] = str(wrong)
    assert run.main([*names, *FAST, "-o", str(files / "out.png")]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (files / "out.png").exists()


@pytest.mark.parametrize("names", [(".", "painting.png"), ("photo.png", "."), ("..", "/")])
def test_folders_need_a_folder_for_the_results(files, capsys, monkeypatch, names):
    monkeypatch.chdir(files)
    assert run.main(list(names)) == 2
    assert "many pictures need a folder: give -o FOLDER" in capsys.readouterr().err


def test_a_missing_argument_is_named(capsys):
    assert run.main(["photo.png"]) == 2
    told = capsys.readouterr().err
    assert "STYLE" in told
    assert told.count("\n") == 1


def test_help_groups_the_options_and_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        run.main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for group in ("file", "balance", "layer", "solver", "weight", "report"):
        assert f"{group} options" in shown
    for option in (
        "-o PATH, --output PATH", "--image-size", "--iterations", "--init", "--seed", "--content-layers",
        "--style-layers", "--style-layer-weights", "--content-weight", "--style-weight", "--strength", "--loss",
        "--gradients", "--optimizer", "--history-size", "--tv-weight", "--pooling", "--backbone", "--weights",
        "--offline", "--save-every", "--trace", "--quiet", "--overwrite",
    ):  # fmt: skip
        assert option in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_wrong_input_is_found_before_jax_is_loaded():
    code = (
        "import sys; from jnst import run; code = run.main(['no.jpg', 'no.png']); "
        "sys.exit(10 if 'jax' in sys.modules else code)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 2


def test_a_loss_that_is_not_finite_ends_with_exit_code_1_and_a_picture(files, capsys):
    assert jnst(files, "--content-weight", "1e38", "--style-weight", "3e38", "--loss", "sum") == 1
    assert "the loss left the finite numbers" in capsys.readouterr().err
    assert (files / "photo_painting.png").exists()


def test_a_picture_that_does_not_fit_is_said_in_one_line(files, capsys, monkeypatch):
    from jnst import transfer

    def full(*args, **options):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.")

    monkeypatch.setattr(transfer, "stylize", full)
    assert jnst(files, "--quiet") == 2
    assert capsys.readouterr().err == "jnst: not enough memory for 48x32 pixels; give a smaller --image-size\n"


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
    assert jnst(files, "--trace", files / "run.jsonl") == 0
    assert "jnst: not enough memory (plain); trying a way that takes less" in capsys.readouterr().err
    assert [config.checkpoint for config in configs] == [False, True]
    records = [json.loads(line)["record"] for line in (files / "run.jsonl").read_text().splitlines()]
    rows = ["iteration"] * 5
    assert records == ["header", *rows, "restart", *rows, "footer"]


def test_several_devices_paint_one_picture(files, capsys):
    assert jnst(files, "--devices", 2, "--quiet") == 0
    assert (files / "photo_painting.png").exists()
    assert jnst(files, "--devices", 99, "--overwrite") == 2
    assert "--devices 99: this machine has 8; give at most that many" in capsys.readouterr().err
    assert jnst(files, "--devices", 0, "--overwrite") == 2
    assert "--devices must be at least 1, got 0" in capsys.readouterr().err
    assert jnst(files, "--devices", 2, "--tile", 300, "--overwrite") == 2
    assert "--tile 300 and --devices 2: give one of the two" in capsys.readouterr().err


def test_ctrl_c_writes_the_best_image_so_far_and_exits_130(files):
    command = [sys.executable, "-m", "jnst.run", files / "photo.png", files / "painting.png", *FAST]
    command += ["--iterations", "1000000", "-o", files / "out.png", "--trace", files / "run.jsonl"]
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
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
    assert json.loads((files / "run.jsonl").read_text().splitlines()[-1])["stop_reason"] == "stopped"


def test_check_needs_no_files_to_be_read(files):
    options = run.parse([str(files / "photo.png"), str(files / "painting.png"), "--save-every", "50"])
    steps = run.intermediates(options, run.config_of(options))
    assert steps[50] == files / "photo_painting-0050.png"
    steps[100].write_bytes(b"old")
    with pytest.raises(InputError, match=r"photo_painting-0100.png exists; give --overwrite"):
        run.check(options, run.config_of(options))


def test_the_real_thing(tmp_path):
    """Full network, defaults but for size and iterations, real images and VGG-19 where they are at hand."""
    content, style = EXAMPLES / "cat.png", EXAMPLES / "swirls.jpg"
    arguments = ["--backbone", "vgg16"]
    if KERAS_VGG19.exists() and IMAGES.exists():
        content, style = IMAGES / "tubingen.jpg", IMAGES / "starry_night.jpg"
        arguments = ["--weights", str(KERAS_VGG19)]
    trace = tmp_path / "run.jsonl"
    arguments += ["--image-size", "128", "--iterations", "20", "-o", str(tmp_path / "out.png"), "--trace", str(trace)]
    assert run.main([str(content), str(style), *arguments]) == 0
    rows = [json.loads(line) for line in trace.read_text().splitlines()][1:-1]
    assert rows[-1]["loss"] < 0.2
    picture = image.load(tmp_path / "out.png")
    assert picture.std() > 0.1


def test_the_plan_tells_and_paints_nothing(files, capsys):
    assert jnst(files, "--plan", "--scales", 1) == 0
    shown = capsys.readouterr().out
    assert "scales    48x32 (4 iterations)" in shown
    assert re.search(r"plain +[0-9.]+ GB  about 0.0 min", shown)
    assert shown.splitlines()[-1] == "uses      plain"
    assert not (files / "photo_painting.png").exists()
    assert jnst(files, "--plan", "--max-memory", "1MB") == 2
    assert "does not fit" in capsys.readouterr().out


def test_scales_and_tiles_that_cannot_be_are_refused(files, capsys):
    for arguments, message in (
        (("--tile", 10), "--tile 10 is smaller than the receptive field of conv2_1: at least 14"),
        (("--tile", 10, "--plan"), "--tile 10 is smaller than the receptive field of conv2_1: at least 14"),
        (("--scales", 64, 32), "--scales must increase, got 64 32"),
        (("--scales", 64), "--scales 64 must be smaller than the image, 48x32"),
        (("--style-scale", 0), "--style-scale must be above 0"),
    ):
        assert jnst(files, *arguments) == 2
        assert message in capsys.readouterr().err


def test_windows_give_the_picture_of_the_whole(files):
    assert jnst(files, "-o", files / "whole.png", "--iterations", 2) == 0
    assert jnst(files, "-o", files / "tiles.png", "--iterations", 2, "--tile", 40) == 0
    whole, windows = (image.load(files / f"{name}.png") for name in ("whole", "tiles"))
    assert np.abs(whole - windows).max() <= 2 / 255


def test_memory_that_nothing_fits_in_is_refused(files, capsys):
    assert jnst(files, "--max-memory", "10MB") == 2
    assert "48x32 pixels need at least" in capsys.readouterr().err
    assert jnst(files, "--max-memory", "ten") == 2
    assert "--max-memory must be a size like 6GB" in capsys.readouterr().err


def test_presets_are_listed(capsys):
    assert run.main(["--list-presets"]) == 0
    assert "season-transfer: photograph to photograph" in capsys.readouterr().out


def test_one_image_is_enough_for_a_texture_and_for_a_reconstruction(files, capsys):
    one = [str(files / "painting.png"), *FAST, "--init", "noise", "--quiet"]
    assert run.main([*one, "--content-weight", "0"]) == 0
    assert (files / "painting_texture.png").exists()
    assert run.main([*one, "--style-weight", "0", "-o", str(files / "seen.png")]) == 0
    assert run.main([*one, "-o", str(files / "both.png")]) == 2
    assert "CONTENT and STYLE are required" in capsys.readouterr().err
    assert run.main([*one[:-3], "--style-weight", "0", "-o", str(files / "same.png")]) == 2
    assert "the start is the result already; give --init noise" in capsys.readouterr().err


def test_layers_are_chosen_told_and_traced(files, capsys):
    trace = files / "run.jsonl"
    options = ["--content-layers", "auto", "--iterations", "1", "--scales", "1", "--style-sizes", "1"]
    assert jnst(files, *options, "--trace", trace, "-o", files / "out.png") == 0
    told = capsys.readouterr().err
    header = json.loads(trace.read_text().splitlines()[0])
    assert header["layers"]["content_layers"] == header["settings"]["content_layers"]
    layer, detail = header["layers"]["content_layers"][0], header["layers"]["detail"]
    assert f"content layer {layer} (detail {detail:.2f}" in told


def test_the_network_is_normalized_by_a_folder(files, capsys):
    trace, options = files / "run.jsonl", ["--iterations", "1", "-o", files / "out.png", "--overwrite"]
    (files / "set").mkdir()
    with Image.open(files / "photo.png") as photo:
        photo.save(files / "set" / "a.png")
    assert jnst(files, *options, "--normalize-filters", "--normalize-with", files / "set", "--trace", trace) == 0
    header = json.loads(trace.read_text().splitlines()[0])
    assert header["weights"]["normalized"] == str(files / "set")
    given = ["--normalize-filters", "--normalize-with", str(files / "set"), "--backbone", "vgg16", "--image-size", "48"]
    found = run.find_weights(options_module.parse(["a.png", "b.png", *given]))
    means = mean_activations(found.params, [image.load(files / "photo.png", image_size=48)])["conv2_1"]
    assert set(np.unique(np.round(means, 2))) <= {0, 1}  # 0: silent there
    assert jnst(files, *options, "--normalize-with", files / "set") == 2
    assert "--normalize-with needs --normalize-filters" in capsys.readouterr().err
    assert jnst(files, *options, "--normalize-filters", "--normalize-with", files / "nothing") == 2
    assert "is no folder; --normalize-with needs one with images" in capsys.readouterr().err


def test_it_starts_where_warnings_are_errors():
    """jaxopt tells at its import that it is no longer maintained; `python -W error -m jnst.run` must not end there."""
    command = [sys.executable, "-W", "error", "-c", "import jnst.solver, jnst.lbfgsb"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
