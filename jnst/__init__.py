"""jnst: neural style transfer in JAX.

    import jnst
    result = jnst.stylize(content, style, jnst.Config(strength=0.9), jnst.weights.find())

Reading order: `run` (command line), `transfer` (one job), `batch` (many), `objective` and `solver`, `losses` and `vgg`.
Names are imported when they are first used, so that `python -m jnst.run --help` does not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jnst.config import Config as Config
    from jnst.errors import InputError as InputError
    from jnst.transfer import Result as Result
    from jnst.transfer import stylize as stylize
    from jnst.weights import Weights as Weights

_HOME = {"Config": "config", "InputError": "errors", "Result": "transfer", "Weights": "weights", "stylize": "transfer"}
_MODULES = (
    "architecture",
    "batch",
    "formats",
    "image",
    "layers",
    "lbfgsb",
    "losses",
    "minimize",
    "normalize",
    "objective",
    "plan",
    "preconditioner",
    "presets",
    "resample",
    "scales",
    "sharding",
    "slots",
    "solver",
    "tiles",
    "vgg",
)

__all__ = ["Config", "InputError", "Result", "Weights", "stylize"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"jnst.{_HOME[name]}"), name)
    if name in (*_MODULES, *_HOME.values()):
        return importlib.import_module(f"jnst.{name}")
    raise AttributeError(f"module 'jnst' has no attribute {name!r}")
