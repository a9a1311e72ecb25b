"""The network of a run, as the command line names it."""

import pytest
from helpers import small_table

from jnst.cli.parsing import parse
from jnst.cli.weights import load_weights
from jnst.io import formats


@pytest.mark.parametrize(("given", "input"), [([], "caffe-bgr"), (["--weights-input", "torch"], "torch-rgb")])
def test_the_users_word_on_the_input_reaches_the_reader(tmp_path, given, input):
    formats.write(small_table("vgg16"), tmp_path / "own.npz")
    options = parse(["a.jpg", "b.jpg", "--weights", str(tmp_path / "own.npz"), *given])
    assert load_weights(options).input == input
