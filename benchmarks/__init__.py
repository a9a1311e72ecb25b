"""Benchmarks: how fast, how small and how good jnst is beside other people's programs, measured in the same run.

They are no part of the installed package: run them from the checkout, `python -m benchmarks.speed --help`.
`problem` is the only module that calls jnst's objective and solvers; `results/` keeps what docs/ quotes.
"""
