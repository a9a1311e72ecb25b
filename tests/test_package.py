"""What is shipped: a wheel with every sub-package, the command, the types and the texts."""

import configparser
import shutil
import subprocess
import sys
import zipfile

import pytest
from helpers import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Names and texts of the files in a wheel that is built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, so that no build/ lies about in the checkout
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "out", "build", "weights", "docs"))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*build, "-w", folder, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("jnst-*.whl")
    return zipfile.ZipFile(path)


def read(wheel, ending):
    (name,) = [name for name in wheel.namelist() if name.endswith(ending)]
    return wheel.read(name).decode()


def test_every_module_and_nothing_else_is_in_the_wheel(wheel):
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "jnst").rglob("*.py")}
    studio = ROOT / "jnst" / "studio"
    page = {path for ending in ("html", "js", "css", "svg") for path in (studio / "static").glob(f"*.{ending}")}
    beside = {path.relative_to(ROOT).as_posix() for path in page | set((studio / "examples").iterdir())}
    assert shipped == {*there, "jnst/py.typed", *beside}


def test_the_command_starts_what_is_there(wheel):
    points = configparser.ConfigParser()
    points.read_string(read(wheel, "entry_points.txt"))
    assert dict(points["console_scripts"]) == {"jnst": "jnst.cli.main:main"}
    assert "\ndef main(" in wheel.read("jnst/cli/main.py").decode()


def test_the_licence_and_the_extras_are_told(wheel):
    metadata = read(wheel, "METADATA")
    assert "License-Expression: MIT\n" in metadata
    assert read(wheel, "licenses/LICENSE").startswith("MIT License")
    extras = ("s3", "gs", "az", "photo", "video", "plot", "web", "ray", "test", "bench", "study", "reference", "dev")
    for extra in extras:
        assert f"Provides-Extra: {extra}\n" in metadata
