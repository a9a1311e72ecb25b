"""How the rows of a batch are handed out: in chunks of rows alike, each some full batches. Needs neither JAX nor Ray.

A picture is the same whatever lies beside it, but not whatever number of pictures its program advances (docs/batch.md).
So the numbers are those that one process with all rows would have, and chunks are whole multiples of them.
"""

from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace

from jnst.batching import even_slots

CHUNKS_A_WORKER = 4
"""at the least, where there are so many batches: the last ones end together, and little is lost with a worker"""
MOST_WAVES = 8
"""batches of a chunk at the most; each chunk computes the paintings' statistics anew"""
TRIES = 3
"""of a picture alone, before it is given up"""


@dataclass(frozen=True)
class Surveyed:
    """What is known of a row before it is painted."""

    programs: tuple[str, ...]
    """names, of its scales"""
    work: int
    """pixels times iterations"""


@dataclass(frozen=True)
class Chunk:
    """Rows that are handed out together."""

    rows: tuple[int, ...]
    """places in the list of rows"""
    work: int
    lost: int = 0
    """how many workers have died over it"""


def decide_slots(
    rows: Sequence[Surveyed], most: Mapping[str, int], slots: MutableMapping[str, int], *, batch_size: int
) -> None:
    """Decides how many pictures each program advances at a time, where an earlier run has not.

    Args:
        rows: all that are to be painted.
        most: how many at a time a device uses well, by the programs' names.
        slots: gets the numbers.
        batch_size: what the user wants; 0: as many as are used well.
    """
    for name, waiting in Counter(name for row in rows for name in row.programs).items():
        if name not in slots:
            slots[name] = batch_size or even_slots(waiting, most[name])


def make_chunks(rows: Mapping[int, Surveyed], slots: Mapping[str, int], *, workers: int) -> list[Chunk]:
    """Divides rows into chunks, those with the most work first.

    Args:
        rows: what is known of each, by its place.
        slots: pictures at a time, by the programs' names.
        workers: that share the chunks.

    Returns:
        Each row in one chunk, with others of the same programs in the order of their places; equal for equal arguments.
    """
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, row in rows.items():
        alike.setdefault(row.programs, []).append(place)
    sizes = {names: max((slots.get(name, 1) for name in names), default=1) for names in alike}
    batches = sum(-(-len(places) // sizes[names]) for names, places in alike.items())
    waves = min(MOST_WAVES, max(1, batches // (CHUNKS_A_WORKER * max(1, workers))))
    chunks = []
    for names, places in alike.items():
        size = waves * sizes[names]
        for first in range(0, len(places), size):
            part = tuple(places[first : first + size])
            chunks.append(Chunk(part, sum(rows[place].work for place in part)))
    return sorted(chunks, key=lambda chunk: -chunk.work)


def after_loss(chunk: Chunk) -> list[Chunk]:
    """Returns what is tried again of a chunk over which a worker has died; what is painted of it is skipped then.

    Once as it is, since machines are taken back; then in halves, until the picture that kills workers is alone.

    Args:
        chunk: that was handed out.

    Returns:
        Chunks; none where a picture alone has been tried often enough.
    """
    lost = chunk.lost + 1
    if len(chunk.rows) == 1:
        return [replace(chunk, lost=lost)] if lost < TRIES else []
    if lost == 1:
        return [replace(chunk, lost=lost)]
    half = len(chunk.rows) // 2
    return [
        Chunk(rows, chunk.work * len(rows) // len(chunk.rows), 1) for rows in (chunk.rows[:half], chunk.rows[half:])
    ]
