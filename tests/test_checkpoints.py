"""A run that goes on from where it was kept ends where it would have ended, bit for bit."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import optax
import pytest
from helpers import picture

from jnst import Config, InputError, checkpoints, scheduler, stylize
from jnst.io.checkpoint_file import CheckpointFile
from jnst.jobs import Job, Picture, make_schedule

SMALL: dict[str, Any] = {"content_layers": ("conv1_2",), "style_layers": ("conv1_1", "conv1_2"), "iterations": 8,
                         "scales": ("48",), "style_pyramid_levels": 1}  # fmt: skip
CONTENT, STYLE = picture(48, 72), picture(40, 40, seed=1)


class Killed(Exception):  # noqa: N818
    """As a process that is gone: nothing of it is in the memory of the next one."""


class Dying(CheckpointFile):
    """Ends a run when it has been kept at an iteration of a scale, or after it."""

    at = (0, 0)

    def save(self, facts, arrays):
        super().save(facts, arrays)
        if (facts["stage"], facts["done"]) >= self.at:
            raise Killed


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """One evaluation a chunk, and each is kept."""
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0)
    monkeypatch.setattr(checkpoints, "MOST_SHARE", 1)
    monkeypatch.setattr(scheduler, "CHUNK_SECONDS", 0)


def loaded(path):
    kept = CheckpointFile(path).load()
    assert kept is not None
    return kept


def told(result):
    rows = [(r.iteration, r.size, r.evaluations, r.loss, r.content_loss, r.style_layers) for r in result.history]
    return rows, result.loss, result.iterations, result.evaluations, result.stop_reason


def assert_same(result, undisturbed):
    assert told(result) == told(undisturbed)
    np.testing.assert_array_equal(result.image, undisturbed.image)


def killed(path, at, config, weights, **more):
    """Runs until it has been kept there, with the callback that makes chunks short."""
    file = Dying(path)
    file.at = at
    with pytest.raises(Killed):
        stylize(CONTENT, STYLE, config, weights, checkpoint=file, callback=lambda progress: False, **more)


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        pytest.param({}, {}, id="lbfgsb", marks=pytest.mark.thorough),  # as bfloat16, but for the type
        pytest.param({"history_dtype": "bfloat16"}, {}, id="bfloat16"),
        pytest.param({"optimizer": "adam"}, {}, id="adam", marks=pytest.mark.thorough),
        pytest.param(
            {"style_loss": "neighbours", "style_layers": ("conv3_1",)}, {}, id="neighbours", marks=pytest.mark.thorough
        ),
        pytest.param({"init": "noise"}, {"optimizer": optax.sgd(0.1, momentum=0.9)}, id="optax"),
    ],
)
def test_killed_in_a_scale_and_between_two_it_ends_as_if_undisturbed(settings, more, vgg16, tmp_path):
    config, path = Config(**SMALL | settings), tmp_path / "run.ckpt"
    undisturbed = stylize(CONTENT, STYLE, config, vgg16, **more)  # in one chunk a scale
    for at in ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1)):
        killed(path, at, config, vgg16, **more)
        facts, _ = loaded(path)
        assert at != (1, -1) or (facts["stage"], facts["done"]) == at
    seconds = loaded(path)[0]["seconds"]
    result = stylize(CONTENT, STYLE, config, vgg16, checkpoint=CheckpointFile(path), **more)
    assert_same(result, undisturbed)
    assert [row.seconds for row in result.history] == sorted(row.seconds for row in result.history)
    assert result.seconds > seconds > 0


def test_a_run_that_the_callback_stops_is_kept_and_goes_on(vgg16, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 1e6)  # kept for no other reason
    config, file = Config(**SMALL), CheckpointFile(tmp_path / "run.ckpt")
    undisturbed = stylize(CONTENT, STYLE, config, vgg16)
    for last in (1, 4, 8):  # in a scale, at the end of one or soon after, at the end of the run
        stopped = stylize(
            CONTENT, STYLE, config, vgg16, checkpoint=file,
            callback=lambda progress, last=last: progress.iteration >= last,
        )  # fmt: skip
        assert stopped.stop_reason == "stopped"
        assert loaded(file.path)[0]["history"][-1]["iteration"] == stopped.iterations >= last
    assert_same(stylize(CONTENT, STYLE, config, vgg16, checkpoint=file), undisturbed)


def test_another_run_is_refused_and_what_is_kept_stays(vgg16, tmp_path):
    path, config = tmp_path / "run.ckpt", Config(**SMALL)
    killed(path, (0, 1), config, vgg16)
    before = path.read_bytes()
    plain = vgg16.params
    for content, style, other, weights, said in (
        (CONTENT[:, :, ::-1], STYLE, config, vgg16, r"another run \(the photograph, or its size\); delete it, or give"),
        (CONTENT, STYLE[:, ::-1], config, vgg16, "the painting, or its size"),
        (CONTENT, STYLE, replace(config, strength=0.5), vgg16, "strength not given there, 0.5 here"),
        (CONTENT, STYLE, replace(config, scales=("1",)), vgg16, "scales 48 there, 1 here"),
        (CONTENT, [(STYLE, np.ones((1, 48, 72, 1), np.float32))], config, vgg16, "mask"),
        (CONTENT, STYLE, config, plain, "the weights"),
    ):
        with pytest.raises(InputError, match=said):
            stylize(content, style, other, weights, checkpoint=CheckpointFile(path))
        assert path.read_bytes() == before
    with pytest.raises(InputError, match="the start image"):
        stylize(CONTENT, STYLE, config, vgg16, checkpoint=CheckpointFile(path), init=np.asarray(CONTENT))
    with pytest.raises(InputError, match="the solver"):
        stylize(CONTENT, STYLE, config, vgg16, checkpoint=CheckpointFile(path), optimizer=optax.sgd(0.1))


def test_arrays_that_do_not_fit_are_refused(vgg16, tmp_path):
    path, config = tmp_path / "run.ckpt", Config(**SMALL)
    killed(path, (0, 1), config, vgg16)
    facts, arrays = loaded(path)
    name = next(name for name in arrays if "gamma" in name)
    for spoiled in ({k: v for k, v in arrays.items() if k != name}, arrays | {name: arrays[name].astype(np.float64)}):
        CheckpointFile(path).save(facts, spoiled)
        with pytest.raises(InputError, match=r"does not fit this version \(.*gamma.*\); delete it"):
            stylize(CONTENT, STYLE, config, vgg16, checkpoint=CheckpointFile(path))


def test_other_versions_go_on_with_a_warning(vgg16, tmp_path, caplog):
    path, config = tmp_path / "run.ckpt", Config(**SMALL)
    killed(path, (0, 1), config, vgg16)
    facts, arrays = loaded(path)
    CheckpointFile(path).save({**facts, "machine": {**facts["machine"], "jax": "0.1"}}, arrays)
    with caplog.at_level(logging.WARNING, "jnst"):
        assert_same(stylize(CONTENT, STYLE, config, vgg16, checkpoint=CheckpointFile(path)),
                    stylize(CONTENT, STYLE, config, vgg16))  # fmt: skip
    (record,) = caplog.records
    assert record.getMessage().startswith("the checkpoint is of other versions or another machine (jax 0.1, now ")


def test_a_slow_place_is_written_less_often(monkeypatch):
    """Keeping takes at most a twentieth of the time."""
    monkeypatch.setattr(checkpoints, "MOST_SHARE", 0.05)
    now = [0.0]

    class Slow:
        saved = 0

        def load(self):
            return None

        def save(self, facts, arrays):
            self.saved += 1
            now[0] += 10

    seen = Picture.from_array(CONTENT)
    (task,) = make_schedule([Job(seen, seen)], Config(**SMALL)).tasks
    place, task.start = Slow(), np.zeros((1, 48, 72, 3), np.float32)
    keeper = checkpoints.Keeper(place, {}, every=60.0, clock=lambda: now[0])
    while now[0] < 1000:
        keeper.keep(task, 0.0)
        now[0] += 1
    assert place.saved == 5  # at 60, and 190 s after each has ended
