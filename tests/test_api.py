"""What the layout promises, read off the syntax trees: who imports whom, how functions are called and documented."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import FAST_FILES, TESTS

import jnst

PACKAGE = Path(jnst.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
# whose optional arguments stand without their names, as others prescribe: entry points, jaxopt's `IterativeSolver`
POSITIONAL = {("cli.main", "main"), ("optim.jaxopt_api", "LBFGSB.init_state"), ("optim.jaxopt_api", "LBFGSB.update")}
# only these packages import that
ONLY = {"tyro": "cli", "rich": "cli", "PIL": "io", "h5py": "io", "pooch": "io", "etils": "io"}
# by jnst.io.optional alone, which imports them by name
OPTIONAL = ("imagecodecs", "tifffile", "pi_heif", "av", "matplotlib", "starlette", "uvicorn", "ray")
# part of jnst: what else of jnst it may import
MAY_IMPORT = {
    "errors": (),
    "memory": ("errors",),
    "config": ("errors", "network.architecture"),
    "network": ("errors",),
    "optim": ("errors",),
    "losses": ("errors", "network", "sharding"),
    "io": ("errors", "memory", "network.architecture", "records"),
}
STARTERS = ("__main__", "run")  # the only modules that import cli


def name_of(path: Path) -> str:
    """`losses.objective` for jnst/losses/objective.py."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def under(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def imports(path: Path) -> Iterator[str]:
    """Every module that is imported, at the top, in a function or for types; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of_jnst(path: Path) -> Iterator[str]:
    return (name.removeprefix("jnst.") for name in imports(path) if name.startswith("jnst."))


modules = pytest.mark.parametrize("path", MODULES, ids=name_of)


@modules
def test_heavy_packages_have_one_home(path):
    for name in imports(path):
        home = ONLY.get(name.split(".")[0])
        assert home is None or under(name_of(path), home), f"only jnst.{home} may import {name}"


def test_what_need_not_be_installed_is_imported_by_name_only():
    for path in MODULES:
        assert not {name.split(".")[0] for name in imports(path)} & set(OPTIONAL), path
    assert all(f"`{name}`" in (PACKAGE / "io" / "optional.py").read_text() for name in OPTIONAL)


@modules
def test_imports_go_one_way(path):
    name = name_of(path)
    for part, allowed in MAY_IMPORT.items():
        if under(name, part):
            for imported in imports_of_jnst(path):
                known = any(under(imported, other) or under(other, imported) for other in (part, *allowed))
                assert known, f"jnst.{name} may not import jnst.{imported}"


@modules
def test_nothing_below_the_command_line_imports_it(path):
    name = name_of(path)
    if not under(name, "cli") and name not in STARTERS:
        assert not [imported for imported in imports_of_jnst(path) if under(imported, "cli")]


Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(path: Path) -> Iterator[tuple[str, Function]]:
    """Functions of the module and methods of its public classes whose names have no leading underscore."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, Function) and not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", method


def parameters(function: Function) -> list[str]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    return [argument.arg for argument in every if argument.arg not in ("self", "cls")]


def is_property(function: Function) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


def returns_something(function: Function) -> bool:
    return function.returns is not None and ast.unparse(function.returns) not in ("None", "NoReturn", "Never")


@modules
def test_optional_arguments_are_keyword_only(path):
    optional = [
        f"{name}({', '.join(a.arg for a in function.args.args[-len(function.args.defaults) :])})"
        for name, function in public_functions(path)
        if function.args.defaults and (name_of(path), name) not in POSITIONAL
    ]
    assert not optional, "put * before them"


def faults(path: Path) -> list[str]:
    """What the docstrings of the module's public functions lack."""
    lacking = []
    for name, function in public_functions(path):
        text = ast.get_docstring(function) or ""
        if not text:
            lacking.append(f"{name}: no docstring")
        if is_property(function):
            continue
        if parameters(function) and "Args:" not in text:
            lacking.append(f"{name}: no Args")
        if returns_something(function) and not re.search(r"\b(Returns|Yields)\b", text):  # in the line that opens, too
            lacking.append(f"{name}: no Returns")
    return lacking


@modules
def test_public_functions_say_what_they_take_and_give(path):
    assert not faults(path)


def test_every_module_says_what_it_is_for():
    for path in MODULES:
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_fast_files_are_there():
    assert not [name for name in FAST_FILES if not (TESTS / name).is_file()]


def test_public_names_are_listed_and_there():
    assert jnst.__version__
    assert set(dir(jnst)) >= {*jnst.__all__, "__version__"}
    for name in jnst.__all__:
        assert getattr(jnst, name).__doc__, name
