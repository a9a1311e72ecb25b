"""jnst: neural style transfer in JAX.

    import jnst
    result = jnst.stylize(content, style, jnst.Config(strength=0.9), jnst.find_weights())

docs/architecture.md shows how a picture flows through the package. Public names are imported when they are first used,
so that `jnst --help` does not wait for JAX.
"""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jnst.config import Config as Config
    from jnst.errors import InputError as InputError
    from jnst.io.image import load as load_image
    from jnst.io.image import save as save_image
    from jnst.io.weights import Weights as Weights
    from jnst.io.weights import find as find_weights
    from jnst.scheduler import stylize_many as stylize_many
    from jnst.transfer import Result as Result
    from jnst.transfer import stylize as stylize

_EXPORTS = {
    "Config": ("jnst.config", "Config"),
    "InputError": ("jnst.errors", "InputError"),
    "Result": ("jnst.transfer", "Result"),
    "Weights": ("jnst.io.weights", "Weights"),
    "find_weights": ("jnst.io.weights", "find"),
    "load_image": ("jnst.io.image", "load"),
    "save_image": ("jnst.io.image", "save"),
    "stylize": ("jnst.transfer", "stylize"),
    "stylize_many": ("jnst.scheduler", "stylize_many"),
}
"""public name -> module and its name there"""

__all__ = ["Config", "InputError", "Result", "Weights", "find_weights", "load_image", "save_image", "stylize",
           "stylize_many"]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("jnst")
    if name not in _EXPORTS:
        raise AttributeError(f"module 'jnst' has no attribute {name!r}")
    module, attribute = _EXPORTS[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
