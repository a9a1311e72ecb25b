"""How many pictures of each program a batch advances at a time, kept beside its manifest for when it goes on.

With another number the same picture rounds otherwise, which many iterations make visible: up to 24 of 255 apart.
"""

import contextlib
import hashlib
import json
from typing import Any

from jnst.errors import InputError
from jnst.io.atomic import write_whole
from jnst.io.paths import AnyPath
from jnst.io.stores import read_object


class Slots(dict[str, int]):
    """Numbers by the names of programs; each that is put here is on the disk at once."""

    def __init__(self, path: AnyPath, batch: Any) -> None:
        """Reads what an earlier run of the same batch has put there; a damaged file counts as none.

        Args:
            path: of the file, or object; it need not exist.
            batch: all that decides the numbers beside the programs, as JSON has it: of another batch they are others.
        """
        self.path = path
        self.batch = hashlib.sha256(json.dumps(batch, sort_keys=True).encode()).hexdigest()[:32]
        self.all: dict[str, dict[str, int]] = {}
        with contextlib.suppress(OSError, InputError, ValueError, TypeError, AttributeError):
            content = json.loads(read_object(path))
            self.all = {name: {key: int(count) for key, count in counts.items()} for name, counts in content.items()}
        super().__init__(self.all.get(self.batch, {}))

    def __setitem__(self, program: str, count: int) -> None:
        """Keeps a number. Where it cannot be written, a later run decides anew.

        Args:
            program: its name.
            count: pictures at a time.
        """
        super().__setitem__(program, count)
        self.all[self.batch] = dict(self)
        with contextlib.suppress(InputError):
            write_whole(self.path, lambda file: file.write(json.dumps(self.all, indent=1).encode() + b"\n"))
