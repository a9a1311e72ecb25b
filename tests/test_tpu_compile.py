"""What the bench that compiles for a TPU hands to its compiler, and what it finds fault with; needs no libtpu."""

import sys

import jax

from benchmarks import tpu_compile


def test_a_program_is_known_by_its_name():
    kind, step, count = tpu_compile.shapes("value-and-gradient-64-bfloat16-4")
    assert (kind, count, step.program.canvas) == ("value-and-gradient", 4, (64, 64))
    assert step.program.objective.precision == "bfloat16"
    function, given = tpu_compile.arguments(kind, step, count, jax.devices()[0])
    losses, gradient = jax.eval_shape(function, *given)
    assert gradient.shape == (4, 64, 64, 3)
    assert losses.total.shape == (4,)


def test_calls_to_the_host_and_float64_are_faults():
    assert list(tpu_compile.faults("stablehlo.add f32", "f32[2] add")) == []
    assert list(tpu_compile.faults("xla_python_cpu_callback f64", "")) == ["calls the host", "float64"]
    assert list(tpu_compile.faults("", "f64[2] add")) == ["float64"]


def test_settings_are_read_as_json():
    found = tpu_compile.xla_settings(["exec_time_optimization_effort=-1.0", "xla_tpu_run_space_to_batch=false"])
    assert found == {"exec_time_optimization_effort": -1.0, "xla_tpu_run_space_to_batch": False}


def test_what_is_not_compiled_in_time_fails(monkeypatch, capsys):
    monkeypatch.setattr(tpu_compile, "version", lambda name: "0")  # of libtpu, which need not be here
    monkeypatch.setattr(sys, "argv", ["tpu_compile", "--only", "step-64-bfloat16-1", "--timeout", "0.01"])
    assert tpu_compile.main() == 1
    assert "step-64-bfloat16-1: not compiled within 0 s" in capsys.readouterr().err
