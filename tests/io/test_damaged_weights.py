"""Weight files of every kind, damaged at random with fixed seeds: one line or arrays, at once."""

import json
import random
import time

import numpy as np
import pytest
from helpers import tiny_table

from jnst.errors import InputError
from jnst.io import formats
from jnst.io.formats import Table

SEEDS = {"n.npz": 40, "n.npy": 40, "s.safetensors": 40, "t.pth": 40, "m.mat": 40, "l.ckpt": 40, "z.npz": 40, "a.h5": 4}
"""files that are mutated -> how often"""


def seed_bytes(folder, name):
    path = folder / name
    table = tiny_table("torch-rgb" if name in ("t.pth", "l.ckpt") else "caffe-bgr")
    if name == "z.npz":
        arrays = {f"{layer}/{part}": array for layer, parts in table.layers.items() for part, array in parts.items()}
        np.savez_compressed(path, allow_pickle=False, about=np.array(json.dumps({"input": "torch-rgb"})), **arrays)
    else:
        formats.write(table, path)
    return path.read_bytes()


def mutate(rng, data):
    data = bytearray(data)
    place = rng.randrange(len(data))
    match rng.randrange(6):
        case 0:
            for _ in range(rng.choice([1, 4, 16])):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 1:
            del data[rng.choice([place, len(data) - 1, 8]) :]
        case 2:
            data[place : place + 4] = rng.choice([0, 2**31 - 1, 2**32 - 1, 10**9]).to_bytes(4, "little")
        case 3:
            data[place:place] = data[place : place + rng.randrange(1, 200)] * rng.choice([1, 20])
        case 4:
            del data[place : place + rng.randrange(1, 100)]
        case _:
            data[place] = rng.choice(b"(.0]}abceoqrstuQRVX\x80\x81\x85\x86\x8a\x93\x94\x95")
    return bytes(data)


@pytest.mark.parametrize("name", SEEDS)
def test_files_damaged_at_random_give_one_line_or_arrays(tmp_path, name):
    whole, path = seed_bytes(tmp_path, name), tmp_path / f"case-{name}"
    outcomes = set()
    for seed in range(SEEDS[name]):
        path.write_bytes(mutate(random.Random(seed), whole))
        began = time.perf_counter()
        try:
            found, message = formats.read(path), ""
        except InputError as error:
            found, message = Table({}, "caffe-bgr"), str(error)
        outcomes.add("refused" if message else "read")
        assert "\n" not in message, seed
        assert all(array.dtype == np.float32 for layer in found.layers.values() for array in layer.values()), seed
        assert time.perf_counter() - began < 2, seed
    assert outcomes == {"refused", "read"} or name == "a.h5"
