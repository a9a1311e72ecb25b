"""The claims of the 2017 study, put to the test: `python -m study.run out/study`, from the checkout.

`claims` says what is run, `run` runs it, `report` makes docs/reproduction.md of the runs and of `remarks.md`.
"""
