"""The command line, the way a user meets it: help, exit codes, one line for what is wrong."""

import importlib.metadata
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from cli_helpers import FAST, paint_one
from helpers import ROOT
from PIL import Image

from jnst.cli.commands import COMMANDS
from jnst.cli.main import main

WRONG = [
    (["--iterations", "many"], "Error parsing --iterations: invalid literal for int() with base 10: 'many'"),
    (["--loss", "huber"], "invalid choice 'huber' for argument '--loss'"),
    (["--backbone", "resnet50"], "invalid choice 'resnet50' for argument '--backbone'"),
    (["--iteratoins", "3"], "Unrecognized options: --iteratoins"),
    (["--preset", "monet"], "--preset monet is not known; there are gatys2016, "),
    (["--content-layers", "conv9_9"], "unknown layer 'conv9_9': vgg19 has conv1_1"),
    (["--content-layers", "conv4_4"], "unknown layer 'conv4_4': vgg16 has conv1_1"),
    (["--content-weight", "nan"], "--content-weight must be a finite number of at least 0, got nan"),
    (["--style-weight", "-1"], "--style-weight must be a finite number of at least 0, got -1.0"),
    (["--strength", "0.5", "--style-weight", "1"], "--strength must stand without --style-weight, got both"),
    (["--gradients", "normalized"], "--gradients must be shared or separate without --optimizer adam, got normalized"),
    (["--style-layer-weights", "1", "nan"], "--style-layer-weights must be numbers of at least 0"),
    (["--image-size", "7"], "--image-size must be at least 32, or 0 for the content's size, got 7"),
    (["--style-scale", "0"], "--style-scale must be above 0 and at most 100, got 0"),
    (["--save-every", "-2"], "--save-every must be at least 0, got -2"),
    (["--devices", "0"], "--devices must be at least 1, got 0"),
    (["--devices", "99"], "--devices 99: this machine has 8; give at most that many"),
    (["--devices", "2", "--tile", "300"], "--tile 300 and --devices 2: give one of the two"),
    (["--max-memory", "ten"], "--max-memory must be a size like 6GB or 800MB, got ten"),
    (["--normalize-with", "{files}"], "--normalize-with needs --normalize-filters; give both"),
    (["--normalize-filters", "--normalize-with", "{files}/nothing"], "is no folder; --normalize-with needs one"),
    (["--tile", "4"], "--tile 4 is smaller than the receptive field of conv1_2: at least "),
    (["--tile", "4", "--plan"], "--tile 4 is smaller than the receptive field of conv1_2: at least "),
    (["--for", "v5e"], "--for needs --plan, which paints nothing; give both, or neither"),
    (["--for", "tpu", "--plan"], "--for must be one of v5e, v6e, h100, got tpu"),
    (["--for", "h100", "--plan", "--devices", "2"], "--for is of one chip; leave out --devices"),
    (["--scales", "64", "32"], "--scales must increase, got 64 32"),
    (["--scales", "64"], "--scales 64 must be smaller than the image, 48x32"),
    (["-o", "{files}/out.xyz"], "an image can be written as .png"),
    (["-o", "{files}/missing/out.png"], "there is no folder"),
    (["-o", "{files}"], "has the extension ''"),
    (["-o", "{files}/folder.png"], "folder.png is a directory; give the path of a file to write"),
    (["-o", "{files}/photo.png", "--overwrite"], "photo.png is also an input or another output; give another --output"),
    (["-o", "{files}/there.png"], "there.png exists; give --overwrite to replace it, or another --output"),
    (["--save-every", "2"], "photo_painting-0002.png exists; give --overwrite"),
    (["--trace", "{files}/there.png"], "there.png exists; give --overwrite to replace it, or another --trace"),
    (["--trace", "{files}/missing/run.jsonl"], "there is no folder"),
    (["--trace", "{files}/photo_painting.png"], "--trace and --output are both"),
    (["--init", "{files}/missing.png"], "missing.png: no such file"),
    (["--weights", "{files}/missing.h5"], "missing.h5: no such weight file"),
    (["--weights", "{files}/photo.png"], "is of no known kind; weights are read from HDF5"),
    (["--weights", "{files}/text.h5"], "text.h5 (11 bytes) is of no known kind"),
    (["--backbone", "vgg19"], "no VGG-19 weights: no network: 127.0.0.1 cannot be reached"),
    (["--backbone", "vgg19", "--offline"], "no VGG-19 weights: it may not be downloaded offline"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_input_gets_one_line_and_exit_code_2(files, capsys, arguments, message):
    (files / "there.png").write_bytes(b"old")
    (files / "photo_painting-0002.png").write_bytes(b"old")
    (files / "text.h5").write_bytes(b"hello there")
    before = {path: path.read_bytes() for path in files.iterdir()}
    (files / "folder.png").mkdir()
    assert paint_one(files, *(argument.format(files=files) for argument in arguments)) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("jnst: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert {path: path.read_bytes() for path in files.iterdir() if path.is_file()} == before


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
    assert main([*names, *FAST, "-o", str(files / "out.png")]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (files / "out.png").exists()


@pytest.mark.parametrize("names", [(".", "painting.png"), ("photo.png", "."), ("..", "/")])
def test_folders_need_a_folder_for_the_results(files, capsys, monkeypatch, names):
    monkeypatch.chdir(files)
    assert main(list(names)) == 2
    assert "many pictures need a folder: give -o FOLDER" in capsys.readouterr().err


def test_a_missing_argument_is_named(capsys):
    assert main(["photo.png"]) == 2
    shown = capsys.readouterr().err
    assert "STYLE" in shown
    assert shown.count("\n") == 1


def test_presets_are_listed(capsys):
    assert main(["--list-presets"]) == 0
    assert "season-transfer: photograph to photograph" in capsys.readouterr().out


def test_the_version_is_printed(capsys, monkeypatch):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"jnst {importlib.metadata.version('jnst')}\n"

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "jnst unknown\n"


def test_an_early_ctrl_c_is_one_line(files, capsys, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("jnst.cli.main.run_single", interrupted)
    assert paint_one(files) == 130
    assert capsys.readouterr().err == "jnst: interrupted; no picture was written\n"


NO_JAX = """
import sys
from types import SimpleNamespace
from jnst.cli.commands import COMMANDS
from jnst.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code
sys.exit(99 if "jax" in sys.modules else code)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["frames", "no.mp4", "no.png", "-o", "x.mp4"], 2),
        (["--list-presets"], 0),
        (["--version"], 0),
        (["no.jpg", "no.png"], 2),
        (["--strength", "2"], 2),
    ],
)
def test_help_and_wrong_input_do_not_wait_for_jax(arguments, code):
    command = [sys.executable, "-c", NO_JAX, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, capture_output=True, check=False, env=environment).returncode == code


@pytest.mark.parametrize("module", ["jnst", "jnst.run"])
def test_the_package_runs_as_a_module(module):
    command = [sys.executable, "-W", "error", "-m", module, "--list-presets"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "gatys2016" in done.stdout


def test_a_command_gets_what_stands_after_its_name(monkeypatch):
    got = []
    monkeypatch.setitem(sys.modules, "a_command", SimpleNamespace(run=lambda arguments: got.append(arguments) or 7))
    monkeypatch.setitem(COMMANDS, "a-command", ("a_command", "does what a test asks"))
    assert main(["a-command", "x", "--y"]) == 7
    assert got == [["x", "--y"]]


def test_the_help_names_the_commands(monkeypatch, capsys):
    monkeypatch.setitem(COMMANDS, "a-command", ("a_command", "does what a test asks"))
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "jnst a-command: does what a test asks" in capsys.readouterr().out
