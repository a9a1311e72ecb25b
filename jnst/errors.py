"""The errors that this package raises on purpose, in one line each. Needs neither JAX nor the command line.

A message names settings and arguments in backticks: "`strength` must stand without `style_weight`, got both". `str()`
shows the names as Python has them; a front end that calls them otherwise renders the message itself (`render`), as the
command line does: "--strength must stand without --style-weight, got both".
"""

import re
from collections.abc import Callable

_OUT_OF_MEMORY = re.compile(
    r"RESOURCE_EXHAUSTED|CUDA_ERROR_OUT_OF_MEMORY|\bout of (\w+ )?memory\b|failed to allocate|bad_alloc", re.IGNORECASE
)
_NAME = re.compile(r"`([a-z][a-z0-9_]*)`")


class InputError(ValueError):
    """Something given cannot be used; the message says in one line what was given, what is needed and what to do.

    Attributes:
        template: the message, with names of settings in backticks.
        field: the setting or argument that is wrong; None where it is a file, or several together.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        """Makes the error.

        Args:
            message: one line; names of settings stand in backticks.
            field: what is wrong; where the message begins with its bare name, that counts as one in backticks. By
                default the name in backticks that the message begins with, if any.
        """
        if field is not None and re.match(rf"{re.escape(field)}\b", message):
            message = f"`{field}`{message[len(field) :]}"
        first = _NAME.match(message)
        self.template = message
        self.field = field or (first[1] if first else None)
        super().__init__(self.render(str))

    def render(self, name: Callable[[str], str]) -> str:
        """Returns the message with every setting under another name.

        Args:
            name: from a field's name to what the reader knows it by.

        Returns:
            One line.
        """
        return _NAME.sub(lambda match: name(match[1]), self.template)

    def within(self, place: str) -> "InputError":
        """Returns the same error, said of one place among several.

        Args:
            place: such as "jobs.csv, row 3".

        Returns:
            An error whose message begins with the place; it has the same field.
        """
        return InputError(f"{place}: {self.template}", self.field)


class OutOfMemory(RuntimeError):  # noqa: N818 (as jax, torch and others call it)
    """The device's memory did not last; the computation may be tried again in a way that takes less."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that memory did not last, on the device or on the host.

    Args:
        error: anything that was raised. XLA has no type of its own for this: it raises `jax.errors.JaxRuntimeError`, a
            RuntimeError, mostly with the status code RESOURCE_EXHAUSTED in its text, but not always: its processor
            says INTERNAL where an allocation within a program fails, its GPUs what the driver says.
    """
    if isinstance(error, OutOfMemory | MemoryError):
        return True
    return isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None


def single_line(error: BaseException) -> str:
    """Says what an exception says, in one line.

    Args:
        error: any exception.

    Returns:
        The message without line breaks (of the system's errors without number and path); the type where it has none.
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
