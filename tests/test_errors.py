import pickle

import pytest

from jnst.errors import InputError, OutOfMemory, is_out_of_memory


def dashed(name):
    return f"--{name.replace('_', '-')}"


def test_a_message_shows_names_as_its_reader_knows_them():
    error = InputError("`strength` must stand without `style_weight`, got both")
    assert str(error) == "strength must stand without style_weight, got both"
    assert error.render(dashed) == "--strength must stand without --style-weight, got both"
    assert error.field == "strength"


def test_a_field_may_be_named_apart():
    error = InputError("tile 10 is smaller than the receptive field", field="tile")
    assert (str(error), error.field) == ("tile 10 is smaller than the receptive field", "tile")
    assert error.render(dashed) == "--tile 10 is smaller than the receptive field"
    assert InputError("tiles are many", field="tile").render(dashed) == "tiles are many"


def test_only_names_are_rendered():
    error = InputError("a b.png: no such file; `Not A Name` and {braces} stay")
    assert error.field is None
    assert error.render(dashed) == str(error) == "a b.png: no such file; `Not A Name` and {braces} stay"


def test_an_error_within_a_place_keeps_its_field():
    error = InputError("`seed` must be at least 0, got -1").within("jobs.csv, row 3")
    assert (str(error), error.field) == ("jobs.csv, row 3: seed must be at least 0, got -1", "seed")
    assert error.render(dashed) == "jobs.csv, row 3: --seed must be at least 0, got -1"


def test_an_error_survives_another_process():
    error = pickle.loads(pickle.dumps(InputError("`seed` must be at least 0, got -1")))
    assert (str(error), error.field) == ("seed must be at least 0, got -1", "seed")
    assert error.render(dashed) == "--seed must be at least 0, got -1"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes."), True),
        (OutOfMemory("the device is full"), True),
        (MemoryError(), True),
        (RuntimeError("INTERNAL: Error dispatching computation: Out of memory allocating 4294967296 bytes."), True),
        (RuntimeError("INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (RuntimeError("Ran out of memory in memory space hbm. Used 17.4G of 15.5G hbm."), True),
        (RuntimeError("INTERNAL: Failed to allocate 99 bytes for new constant"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("INTERNAL: something else"), False),
        (ValueError("RESOURCE_EXHAUSTED"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, expected):
    assert is_out_of_memory(error) is expected
