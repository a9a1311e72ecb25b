import dataclasses

import pytest

from jnst import Config, InputError, strategies
from jnst.io.weights import Weights

SMALL = Config(content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"))


def test_what_the_user_asked_for_is_not_undone():
    def names(**settings):
        return [name for name, _ in strategies.choices(dataclasses.replace(SMALL, **settings), (600, 900))]

    small = ["tiles of 768", "tiles of 512", "tiles of 512, bfloat16 history"]
    assert names() == ["plain", "checkpoint", *small]
    assert names(checkpoint=True) == ["checkpoint", *small]
    assert names(history_dtype="bfloat16") == ["plain", "checkpoint", "tiles of 768", "tiles of 512"]
    assert names(tile=300) == ["tiles of 300"]
    assert names(tile=0) == ["plain", "checkpoint", "checkpoint, bfloat16 history"]
    split = [name for name, _ in strategies.choices(SMALL, (600, 900), split=True)]
    assert split == ["plain", "checkpoint", "checkpoint, bfloat16 history"]


def test_the_fastest_way_that_fits_is_taken(vgg16: Weights, monkeypatch):
    peaks = {
        "plain": 300,
        "checkpoint": 200,
        "tiles of 768": 150,
        "tiles of 512": 100,
        "tiles of 512, bfloat16 history": 90,
    }
    found = strategies.choices(SMALL, (600, 900))
    monkeypatch.setattr(strategies, "resident", lambda: 0)
    monkeypatch.setattr(strategies, "least_bytes", lambda *_, **__: 0)
    monkeypatch.setattr(
        strategies, "peak_bytes", lambda config, *_, **__: peaks[next(n for n, c in found if c == config)]
    )

    def chosen(limit):
        return strategies.cheapest_that_fits(SMALL, vgg16.params, (600, 900), limit).name

    assert [chosen(limit) for limit in (300, 299, 199, 100, 90)] == list(peaks)
    with pytest.raises(
        InputError, match=r"900x600 pixels need at least 0.0 GB \(tiles of 512, bfloat16 history\), there are 0.0 GB"
    ):
        chosen(89)


def test_the_compiler_knows_that_less_is_kept(vgg16: Weights, monkeypatch):
    for name in ("OVERHEAD_BYTES", "SCALE_BYTES", "COMPILE_BYTES"):  # more than these small pictures take
        monkeypatch.setattr(strategies, name, 0)
    size, one_size = (200, 300), dataclasses.replace(SMALL, style_pyramid_levels=1, scales=("1",))
    plain, tiles = (
        strategies.peak_bytes(dataclasses.replace(one_size, **more), vgg16.params, size) for more in ({}, {"tile": 80})
    )
    assert plain > 300 * 200 * 4 * (64 * 2 + 128 / 4)  # the maps alone
    assert tiles < 0.6 * plain


def test_what_no_way_fits_is_refused_before_anything_is_compiled(vgg16: Weights, monkeypatch):
    """Compiling takes more than what is refused; with half a gigabyte not even the smallest picture is painted."""
    monkeypatch.setattr(strategies, "peak_bytes", None)
    limit, size = 500_000_000, (600, 900)
    least = strategies.resident() + strategies.least_bytes(SMALL, size)
    assert strategies.least_bytes(SMALL, size) > strategies.least_bytes(SMALL, (60, 90)) > 0
    with pytest.raises(InputError, match=rf"900x600 pixels need at least {least / 1e9:.1f} GB, there are 0.5 GB; give"):
        strategies.cheapest_that_fits(SMALL, vgg16.params, size, limit)
    lines, fits = strategies.report(SMALL, vgg16.params, size, limit)
    assert not fits
    assert lines[-1].startswith("uses      nothing")
    assert "GB or more  does not fit" in lines[-2]
