from jnst.batching import bucket_sizes


def waste(counts, found):
    computed = sum(n * found[size][0] * found[size][1] for size, n in counts.items())
    return 1 - sum(n * h * w for (h, w), n in counts.items()) / computed


def test_equal_sizes_share_a_canvas_of_their_own():
    assert bucket_sizes({(96, 128): 5}) == {(96, 128): (96, 128)}


def test_sizes_that_are_near_share_one():
    found = bucket_sizes({(96, 128): 4, (94, 128): 4, (128, 96): 4})
    assert found == {(96, 128): (96, 128), (94, 128): (96, 128), (128, 96): (128, 96)}


def test_every_image_fits_and_little_is_wasted():
    counts = {(60 + 7 * k, 200 - 5 * k): 1 + k % 3 for k in range(20)}
    found = bucket_sizes(counts, max_padding=0.15)
    assert all(found[size][0] >= size[0] and found[size][1] >= size[1] for size in counts)
    assert waste(counts, found) <= 0.15
    assert len(set(found.values())) < 10


def test_no_waste_allowed_means_a_canvas_each():
    counts = {(64, 64): 1, (64, 65): 1}
    assert bucket_sizes(counts, max_padding=0.0) == {(64, 64): (64, 64), (64, 65): (64, 65)}


def test_thousands_of_sizes_are_no_matter():
    counts = {(100 + k % 50, 100 + k // 50): 1 for k in range(2500)}
    found = bucket_sizes(counts)
    assert waste(counts, found) <= 0.15
