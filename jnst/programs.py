"""Programs that are kept between processes before XLA compiles them, so that they need not be traced and lowered again.

JAX's own cache keeps what XLA has compiled, and finds it by the lowered program; to trace and lower takes as long as
the iterations of a small picture. Here a program is found by what it is made from: the sources of this package, the
values of its static arguments, the structure and shapes of the others, and the kind of device. A program that these do
not tell from others (functions of the caller's, arrays on several devices) is traced as ever.
"""

import dataclasses
import functools
import hashlib
import inspect
import warnings
from collections.abc import Iterator
from importlib import resources
from importlib.metadata import version
from typing import Any

import jax
from jax import export
from jax.core import Tracer
from jax.sharding import SingleDeviceSharding

from jnst import engine
from jnst.io import compile_cache
from jnst.losses import objective as objectives

_SETTINGS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion", "jax_default_prng_impl")
"""of JAX, which change what a function is traced to"""


class _NotToldError(TypeError):
    """A value that has no words by which another process could know it."""


class Kept:
    """A compiled function whose programs outlast the process where programs are kept (`compile_cache.keep_compiled`).

    It is called, and lowered, as the function is; so it can stand in its place.

    Args:
        jitted: from `jax.jit`; its arrays are used up where it says so.
        static: names of its static arguments.
        donated: names of the arguments that are used up.
        results: classes of named tuples that only its result has.
    """

    def __init__(
        self, jitted: Any, *, static: tuple[str, ...], donated: tuple[str, ...] = (), results: tuple[type, ...] = ()
    ) -> None:
        self.jitted, self.static, self.donated, self.results = jitted, static, donated, results
        self.names = tuple(inspect.signature(jitted).parameters)
        self.known: dict[str, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function.

        Args:
            args: as it takes them.
            kwargs: as it takes them.
        """
        program, dynamic = self._find(args, kwargs)
        return self.jitted(*args, **kwargs) if program is None else program(*dynamic)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the lowered program (`jax.stages.Lowered`).

        Args:
            args: as the function takes them; arrays, or their shapes (`jax.ShapeDtypeStruct`).
            kwargs: the same.
        """
        program, dynamic = self._find(args, kwargs)
        return self.jitted.lower(*args, **kwargs) if program is None else program.lower(*dynamic)

    def _find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[Any]]:
        """The program for these arguments, and those that it takes; None where it is traced as ever."""
        if not compile_cache.keeps_programs():
            return None, []
        given = dict(zip(self.names, args, strict=False)) | kwargs
        static = {name: value for name, value in given.items() if name in self.static}
        dynamic = {name: value for name, value in given.items() if name not in self.static}
        try:
            key = self._key(static, dynamic)
        except _NotToldError:
            return None, []
        if key not in self.known:
            self.known[key] = self._load(key, static, dynamic)
        return self.known[key], [_placed(value) for value in dynamic.values()]

    def _key(self, static: dict[str, Any], dynamic: dict[str, Any]) -> str:
        parts = [origin(), tuple(getattr(jax.config, name) for name in _SETTINGS), self.jitted.__qualname__]
        parts += [(name, tuple(_words(value))) for name, value in static.items()]
        parts += [(name, _shapes(value)) for name, value in dynamic.items()]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _load(self, key: str, static: dict[str, Any], dynamic: dict[str, Any]) -> Any:
        """The program from its file, or made and put there; None where it cannot be exported."""
        donated = tuple(k for k, name in enumerate(dynamic) if name in self.donated)
        try:
            _register(tuple(dynamic.values()))
            for kind in self.results:
                _register_class(kind)
            program = _read(key)
            if program is None:
                data = self._export(static, dynamic)
                compile_cache.write_program(key, data)
                program = export.deserialize(bytearray(data))
        except Exception:  # whatever JAX's export cannot do, tracing can
            return None
        return jax.jit(program.call, donate_argnums=donated)

    def _export(self, static: dict[str, Any], dynamic: dict[str, Any]) -> bytes:
        def call(*values: Any) -> Any:
            return self.jitted(**static, **dict(zip(dynamic, values, strict=True)))

        call.__name__ = self.jitted.__name__
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of arrays that are used up, which the call below says again
            return bytes(export.export(jax.jit(call))(*dynamic.values()).serialize())


def name_of(program: engine.Program, devices: int) -> str | None:
    """Returns what tells a program of this kind of device from another one, the same in every process.

    Args:
        program: static part.
        devices: that share it.

    Returns:
        A checksum; None where the program holds what has no words, as functions of the caller's.
    """
    device = jax.devices()[0]
    try:
        parts = (tuple(_words(program)), device.platform, device.device_kind, devices)
    except _NotToldError:
        return None
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _read(key: str) -> export.Exported | None:
    """The program of a file; None where there is none, or one that cannot be read."""
    data = compile_cache.read_program(key)
    try:
        return None if data is None else export.deserialize(bytearray(data))
    except Exception:  # flatbuffers and MLIR have their own
        return None


@functools.cache
def origin() -> tuple[str, ...]:
    """Returns what every program comes from: a checksum of the sources, versions of JAX, the kind of device."""
    device = jax.devices()[0]
    return _sources(), version("jax"), version("jaxlib"), device.platform, device.device_kind


def _sources() -> str:
    """A checksum of this package's sources."""
    digest = hashlib.sha256()

    def read(folder: Any) -> None:
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.is_dir():
                read(entry)
            elif entry.name.endswith(".py"):
                digest.update(entry.name.encode() + entry.read_bytes())

    read(resources.files("jnst"))
    return digest.hexdigest()


def _shapes(value: Any) -> str:
    """The structure of a pytree of arrays, with their shapes and types."""
    leaves, structure = jax.tree.flatten(value)
    told = []
    for leaf in leaves:
        sharding = getattr(leaf, "sharding", None)
        if isinstance(leaf, Tracer) or not hasattr(leaf, "dtype"):
            raise _NotToldError
        if sharding is not None and sharding != SingleDeviceSharding(jax.devices()[0]):
            raise _NotToldError
        told.append((leaf.shape, str(leaf.dtype), getattr(leaf, "weak_type", False)))
    return f"{structure} {told}"


def _placed(value: Any) -> Any:
    """The arrays, or shapes, said to lie where they do: as results do, which else were other arguments to JAX."""
    place = SingleDeviceSharding(jax.devices()[0])

    def put(leaf: Any) -> Any:
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place, weak_type=leaf.weak_type)
        return jax.device_put(leaf, place)

    return jax.tree.map(put, value)


def _words(value: Any) -> Iterator[Any]:
    """What a static value is, in words that are the same in every process."""
    if value is None or isinstance(value, str | bool | int | float):
        yield type(value).__name__, repr(value)
    elif isinstance(value, functools.partial):
        yield "partial"
        yield from _words((value.func, value.args, tuple(value.keywords.items())))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield _name(type(value))
        yield from _words(tuple((field.name, getattr(value, field.name)) for field in dataclasses.fields(value)))
    elif isinstance(value, tuple):
        yield _name(type(value)), len(value)
        for part in value:
            yield from _words(part)
    elif callable(value):
        yield _name(value)
    else:
        raise _NotToldError


def _name(value: Any) -> str:
    """The name of a function or class that is this package's, or a tuple."""
    module, name = getattr(value, "__module__", None) or "", getattr(value, "__qualname__", "<none>")
    if "<" in name or (module.partition(".")[0] != "jnst" and value is not tuple):
        raise _NotToldError
    return f"{module}.{name}"


_registered: set[type] = set()


def _register(value: Any) -> None:
    """Tells JAX's export the named tuples of a pytree."""
    if isinstance(value, dict):
        for part in value.values():
            _register(part)
    elif isinstance(value, tuple | list):
        if hasattr(value, "_fields"):
            _register_class(type(value))
        for part in value:
            _register(part)


def _register_class(kind: type) -> None:
    if kind not in _registered:
        _registered.add(kind)
        export.register_namedtuple_serialization(kind, serialized_name=f"{kind.__module__}.{kind.__qualname__}")


run_chunk = Kept(engine.run_chunk, static=("program", "mesh"), donated=("run",), results=(engine.Records,))
target_statistics = Kept(objectives.target_statistics, static=("name", "objective"))
content_statistics = Kept(objectives.content_statistics, static=("objective",))
