"""How rows are handed out to workers."""

import pytest

from jnst.cli.engines.chunks import MOST_WAVES, TRIES, Chunk, Surveyed, after_loss, decide_slots, make_chunks

WIDE, TALL = ("coarse", "wide"), ("coarse", "tall")


def rows(count):
    """Two shapes in turn; every seventh row has failed before."""
    return {k: Surveyed(TALL if k % 3 else WIDE, 10 + k % 3) for k in range(count) if k % 7}


@pytest.mark.parametrize("count", [1, 5, 40, 1000])
@pytest.mark.parametrize("workers", [1, 3, 64])
def test_each_row_is_in_one_chunk_beside_its_like(count, workers):
    known, slots = rows(count), {"coarse": 8, "wide": 4, "tall": 3}
    chunks = make_chunks(known, slots, workers=workers)
    assert sorted(place for chunk in chunks for place in chunk.rows) == sorted(known)
    assert chunks == make_chunks(known, slots, workers=workers)
    assert [chunk.work for chunk in chunks] == sorted((chunk.work for chunk in chunks), reverse=True)
    for chunk in chunks:
        assert len({known[place].programs for place in chunk.rows}) == 1
        assert list(chunk.rows) == sorted(chunk.rows)
        assert len(chunk.rows) <= 8 * MOST_WAVES
        assert chunk.work == sum(known[place].work for place in chunk.rows)


def test_but_for_the_last_of_a_shape_chunks_are_full_batches_and_enough_for_all():
    known = {k: Surveyed(WIDE, 1) for k in range(200)}
    assert [len(chunk.rows) for chunk in make_chunks(known, {"coarse": 8, "wide": 4}, workers=3)] == [16] * 12 + [8]
    assert [len(chunk.rows) for chunk in make_chunks(known, {"coarse": 8, "wide": 4}, workers=1)] == [48] * 4 + [8]


def test_numbers_are_those_of_one_process_and_an_earlier_run_s_stay():
    known, most = [Surveyed(WIDE, 1)] * 10 + [Surveyed(TALL, 1)] * 7, {"coarse": 8, "wide": 8, "tall": 1}
    slots = {}
    decide_slots(known, most, slots, batch_size=0)
    assert slots == {"coarse": 6, "wide": 5, "tall": 1}  # 17 in three waves, 10 in two
    slots = {"wide": 3}
    decide_slots(known, most, slots, batch_size=2)
    assert slots == {"coarse": 2, "wide": 3, "tall": 2}


def test_a_lost_chunk_is_halved_until_the_picture_that_kills_workers_is_alone():
    killer, survivors, losses = 0, set(), 0
    tasks = [Chunk(tuple(range(64)), 640)]
    while tasks:
        chunk = tasks.pop(0)
        if killer not in chunk.rows:
            survivors |= set(chunk.rows)
            continue
        losses += 1
        again = after_loss(chunk)
        assert sum(part.work for part in again) == chunk.work or len(chunk.rows) == 1
        tasks = again + tasks
    assert survivors == set(range(64)) - {killer}
    assert losses <= 1 + 6 + TRIES  # once more, then 64 = 2^6 in halves
    assert after_loss(Chunk((1, 2), 2)) == [Chunk((1, 2), 2, 1)]  # machines are taken back
