"""What the memory holds."""

from jnst import capacity

GIGABYTE = 10**9


def test_small_images_need_no_compiler():
    assert capacity.obviously_fits(384 * 512, 16 * GIGABYTE)
    assert not capacity.obviously_fits(3072 * 4096, 16 * GIGABYTE)
    assert capacity.obviously_fits(3072 * 4096, None)
    free = capacity.available()
    assert free is None or free > 10**8
