"""The study behind docs/reproduction.md."""

import sys
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ROOT

from jnst.config import Config
from jnst.io.weights import Weights
from study import run as study_run
from study.claims import CLAIMS, LIGHT, PAIRS, SEASON, Study, remarks


@pytest.fixture
def study(vgg16: Weights, tmp_path):
    return Study(tmp_path, 64, 0.1, vgg16)


def test_every_run_has_its_own_place(study):
    runs = list(study_run.runs())
    assert {run.claim for run in runs} == set(CLAIMS)
    assert len({study.path(run) for run in runs}) == len({run.key for run in runs}) == len(runs)
    for run in runs:
        if run.paint is study_run.stylized:
            replace(study_run.ONE_SIZE, **run.settings)  # a valid Config, or this raises


def test_pictures_have_one_shape(study):
    for name in {name for pair in (*PAIRS, SEASON, LIGHT) for name in pair}:
        picture = study.image(name)
        assert picture.shape == (1, 48, 64, 3)
        assert 0 <= picture.min() < picture.max() <= 1


def test_what_is_done_is_not_done_again_but_what_has_changed_is(study):
    run = next(study_run.runs())
    assert not study.is_done(run)
    study.keep(run, {"curve": np.zeros((1, 4))})
    assert study.is_done(run)
    assert not study.is_done(replace(run, settings={**run.settings, "iterations": 99}))
    assert not replace(study, size=96).is_done(run)


def test_the_clamped_solver_stays_in_the_box_and_finds_a_minimum_inside():
    goal = jnp.linspace(-0.5, 1.5, 12).reshape(1, 2, 2, 3)
    x = meant = jnp.full(goal.shape, 0.5)
    state = study_run._lbfgs.init(x)
    for _ in range(60):
        x, meant, state = study_run._clamped_step(x, meant, x - goal, state)
        assert 0 <= x.min() <= x.max() <= 1
    np.testing.assert_allclose(x, jnp.clip(goal, 0, 1), atol=1e-2)


def test_the_two_forms_have_one_minimum_in_their_own_units(study, monkeypatch):
    """alpha and beta of the rescaled sum are those of mse, up to what the forms differ by: one layer each."""
    run = next(run for run in study_run.runs() if run.name == "lbfgsb, sum, rescaled")
    few = {"content_layers": ("conv2_1",), "style_layers": ("conv1_1", "conv2_1")}  # compiles in a fifth of the time
    monkeypatch.setattr(study_run, "ONE_SIZE", replace(study_run.ONE_SIZE, **few))
    seen = []
    monkeypatch.setattr(study_run, "stylized", lambda study, run: seen.append(run.settings) or {})
    for form in ("mse", "sum", "sum, rescaled"):
        study_run.own_unit(study, replace(run, settings={**run.settings, "form": form}))
    mse, plain, rescaled = seen
    ratio = [s["style_weight"] / s["content_weight"] for s in seen]
    positions, filters = 24 * 32, 128  # of conv2_1
    assert ratio[1] == pytest.approx(ratio[2], rel=1e-4)
    assert ratio[1] == pytest.approx(ratio[0] * 4 * positions * filters / 2, rel=1e-3)
    assert rescaled["style_weight"] == pytest.approx(4 * mse["style_weight"], rel=1e-3)
    assert plain["content_weight"] == mse["content_weight"] == 1
    assert Config(**{**mse, "iterations": 1}).active_losses() == (True, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "no.h5"], "no.h5: no such weight file; give an existing one"),
        (["--size", "32"], "--size must be at least 64, --effort above 0, got 32, 1"),
        (["--document", "docs", "--only", "forms"], "--document needs all claims; leave --only out"),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["study", str(tmp_path), *arguments])
    with pytest.raises(SystemExit) as stop:
        study_run.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"study: {message}\n"


def test_the_document_holds_every_remark():
    document = (ROOT / "docs" / "reproduction.md").read_text()
    assert set(remarks()) < set(CLAIMS)
    for name, text in remarks().items():
        assert text in document, name
