"""What the README shows runs."""

import re
from pathlib import Path

import pytest

from jnst.cli.parsing import make_config, parse
from jnst.io.decode import FORMATS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=["stylize", "pure functions"])
def test_the_python_of_the_readme_runs(code, tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_the_options_of_the_readme_exist():
    table = README.split("## Use it")[1].split("**Weights.**")[0]
    lines = [line for line in re.findall(r"`(--[^`]*)`", table) if "help" not in line]
    assert len(lines) >= 8
    for line in lines:
        make_config(parse(["photo.jpg", "painting.jpg", *line.split()]))


def test_the_formats_of_the_readme_are_those_that_are_read():
    line = README.split("**Pictures.**")[1].split(" are read")[0]
    assert sorted(re.findall(r"[A-Z]+[0-9]*", line)) == sorted(FORMATS)


def test_links_lead_somewhere():
    for document in [ROOT / "README.md", *ROOT.glob("*/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert link.startswith("http") or (document.parent / link).exists(), (document.name, link)
