"""`jnst doctor`: what is installed, what works, and what to do about the rest.

Exit codes: 0 pictures can be painted; 1 something that is needed for that does not work; 2 wrong options.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jnst.cli.diagnosis import GAINS, Diagnosis, diagnose
from jnst.cli.options import NoNegation
from jnst.cli.parsing import parse_command
from jnst.io.optional import install
from jnst.network.architecture import Backbone


@dataclass(frozen=True)
class DoctorOptions:
    """Look at what is installed and paint a picture of 48 pixels; nothing is downloaded or written."""

    json: NoNegation[bool] = False
    """print JSON, for machines"""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: searched for)")] = None
    """the weight file that a run would be given"""
    backbone: Backbone = "auto"
    """the network that a run would be given"""


def run(arguments: Sequence[str]) -> int:
    """Prints what was found.

    Args:
        arguments: without the command's name.

    Returns:
        The exit code.

    Raises:
        InputError: an unknown option.
    """
    given = parse_command(DoctorOptions, arguments, name="doctor")
    found = diagnose(weights=str(given.weights) if given.weights else None, backbone=given.backbone)
    if given.json:
        test = {key: value if value == value else None for key, value in found.test.items()}  # JSON has no NaN
        print(json.dumps({"works": found.works, **asdict(found), "test": test}, indent=2, default=str))
    else:
        print("\n".join(lines(found)))
    return 0 if found.works else 1


def lines(found: Diagnosis) -> Iterator[str]:
    """Says for people what was found.

    Args:
        found: by `diagnose`.

    Yields:
        Lines.
    """
    versions, machine = dict(found.versions), found.machine
    yield f"jnst       {versions.pop('jnst', None) or 'not installed, run from a checkout'}"
    yield "packages   " + ", ".join(f"{name} {version or 'MISSING'}" for name, version in versions.items())
    there = {
        extra: ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        for extra, packages in found.extras.items()
    }
    yield "extras     " + ("; ".join(f"{extra}: {text}" for extra, text in there.items() if text) or "none")
    if machine:
        of = "" if machine["cores"] == machine["cores_of_machine"] else f" of {machine['cores_of_machine']}"
        devices = machine.get("devices", [])
        shown = ", ".join(f"{devices.count(name)} x {name}" for name in dict.fromkeys(devices)) or "no device"
        yield f"machine    {shown}; {machine['cores']}{of} cores; {machine['system']}"
    if found.memory:
        limits = [f"{_gigabytes(most)} ({name})" for name, most in found.memory["limits"].items()]
        yield f"memory     {', '.join(limits)}; {_gigabytes(found.memory['free'])} free"
    if found.weights:
        yield f"weights    {_weights(found)}"
    if found.caches:
        parts = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in found.caches["bytes"].items())
        yield f"caches     {found.caches['folder']}: {parts}"
        if "compiled_elsewhere" in found.caches:
            size, place = found.caches["bytes_elsewhere"], found.caches["compiled_elsewhere"]
            yield f"           {place}: compiled {size / 1e6:.1f} MB (JAX_COMPILATION_CACHE_DIR)"
    if found.test:
        test = found.test
        verdict = "FAILED" if test["fault"] else "works"
        losses = f"loss {test['first']:.3g} to {test['last']:.3g}"
        yield f"self-test  {verdict}: 48 px by {test['network']} in {test['seconds']:.1f} s, {losses}"
    yield from (f"{'problem' if p.needed else 'note':10s} {p.what}: {p.todo}" for p in found.problems)
    for extra, packages in found.extras.items():
        if None in packages.values():
            yield f"more       {GAINS[extra]}: {install(extra)}"
    yield "pictures can be painted" if found.works else "pictures cannot be painted: see what is called a problem above"


def _weights(found: Diagnosis) -> str:
    weights = found.weights
    name = {"vgg16": "VGG-16", "vgg19": "VGG-19"}.get(weights.get("architecture", ""), "")
    text = ", ".join(filter(None, (name, weights["file"], weights["why"]))) or "none"
    if weights["download_first"]:
        text += f"; a run first tries to download VGG-19 (80 MB) to {weights['download_to']}"
    return text


def _gigabytes(amount: int | None) -> str:
    return "unknown" if amount is None else f"{amount / 1e9:.1f} GB"
