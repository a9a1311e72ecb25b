"""Programs that are found again by what they are made from."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst import engine, programs
from jnst.config import Config
from jnst.io import compile_cache
from jnst.losses.objective import Objective
from jnst.losses.terms import custom
from jnst.problem import default_terms, objective_for, solver_for
from jnst.programs import Kept


class Pair(NamedTuple):
    total: Any
    scaled: dict[str, Any]


class Half(NamedTuple):
    value: Any


traced = []


@partial(jax.jit, static_argnames=("mode", "terms"), donate_argnames="x")
def toy(mode, terms, x, *, offset=None):
    traced.append(mode)
    scaled = {name: 2 * value if mode == "double" else value for name, value in x.scaled.items()}
    return Pair(jnp.sum(x.total), scaled), Half(x.total / 2 + (0 if offset is None else offset))


def kept():
    traced.clear()
    jax.clear_caches()
    return Kept(toy, static=("mode", "terms"), donated=("x",), results=(Half,))


def values(shape=(2, 3)):
    return Pair(jnp.arange(6.0).reshape(shape), {"a": jnp.ones(2), "b": jnp.ones((), jnp.int32)})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(compile_cache, "_folder", tmp_path)
    return tmp_path


def test_another_process_does_not_trace_it_again(folder):
    first = kept()("double", (), values(), offset=jnp.ones(()))
    assert traced == ["double"]
    assert len(list(folder.iterdir())) == 1
    again = kept()  # knows nothing but the file
    second = again("double", (), values(), offset=jnp.ones(()))
    assert traced == []
    jax.tree.map(np.testing.assert_array_equal, second, first)
    assert isinstance(second[0], Pair)
    assert isinstance(second[1], Half)
    lowered = again.lower("double", (), jax.eval_shape(values), offset=jax.ShapeDtypeStruct((), jnp.float32))
    assert lowered.compile().memory_analysis() is not None
    assert traced == []


def test_arrays_that_are_used_up_stay_so(folder):
    for _ in range(2):
        given = values()
        kept()("double", (), given)
        assert given.scaled["a"].is_deleted()


@pytest.mark.parametrize(
    "other",
    [
        lambda f: f("single", (), values()),
        lambda f: f("double", ((1,),), values()),
        lambda f: f("double", (), values((3, 2))),
        lambda f: f("double", (), values(), offset=jnp.ones(())),
        lambda f: f("double", (), values(), offset=jnp.asarray(1.0)),
        lambda f: f("double", (), values()._replace(scaled={"a": jnp.ones(2)})),
        lambda f: f("double", (default_terms(Config()),), values()),
    ],
    ids=["value", "tuple", "shape", "argument", "weak type", "structure", "terms"],
)
def test_what_differs_is_another_program(other, folder):
    kept()("double", (), values())
    found = other(kept())
    assert traced
    assert len(list(folder.iterdir())) == 2
    compile_cache._folder = None
    jax.tree.map(np.testing.assert_array_equal, other(toy), found)


def test_other_settings_of_jax_are_another_program(folder):
    kept()("double", (), values())
    with jax.default_matmul_precision("bfloat16"):
        kept()("double", (), values())
    assert len(list(folder.iterdir())) == 2


def test_what_has_no_name_is_traced_as_ever(folder):
    def own(maps, weights):
        return maps[0]

    function = kept()
    terms = (custom("mine", ("pixels",), own, compare=own, target=None),)
    function("double", terms, values())
    function("double", (lambda x: x,), values())
    spread = jax.device_put(values(), jax.sharding.NamedSharding(jax.make_mesh((2,), ("b",)), jax.P()))
    function("double", (), spread)
    jax.make_jaxpr(lambda x: function("double", (), x))(values())
    assert len(traced) >= 3
    assert list(folder.iterdir()) == []


def test_the_methods_own_programs_have_names():
    objective = objective_for(Config())
    program = engine.Program((64, 64), True, objective, solver_for(Config()))
    assert list(programs._words(program)) == list(programs._words(program._replace(objective=objective_for(Config()))))
    fewer = program._replace(objective=Objective(objective.terms[1:]))
    assert list(programs._words(program)) != list(programs._words(fewer))
    with pytest.raises(programs._NotToldError):  # optax's transformations are closures
        list(programs._words(solver_for(Config(optimizer="adam"))))


@pytest.mark.parametrize("damage", [b"", b"x" * 500, "cut", "flipped"])
def test_a_damaged_file_is_made_again(damage, folder):
    kept()("double", (), values())
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    flipped = whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:]
    path.write_bytes({"cut": whole[:-10], "flipped": flipped}.get(damage, damage))
    kept()("double", (), values())
    assert traced == ["double"]
    assert len(path.read_bytes()) == len(whole)
    kept()("double", (), values())
    assert traced == []


def test_a_program_of_another_jax_is_made_again(folder):
    """Bytes with a right checksum that JAX cannot read."""
    kept()("double", (), values())
    (path,) = folder.iterdir()
    compile_cache.write_program(path.name, b"not a program")
    for count in (1, 0):
        kept()("double", (), values())
        assert len(traced) == count


def test_the_last_used_are_kept(folder, monkeypatch):
    monkeypatch.setattr(compile_cache, "MAX_PROGRAMS", 2)
    for key in "abc":
        compile_cache.write_program(key, key.encode())
        assert compile_cache.read_program("a") == b"a"
    assert sorted(path.name for path in folder.iterdir()) == ["a", "c"]


def test_a_folder_that_is_gone_stops_nothing(folder):
    folder.rmdir()
    kept()("double", (), values())
    assert traced == ["double"]
