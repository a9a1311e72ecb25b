"""How many pictures a batch advances at a time, for when it goes on."""

from jnst.io.slots import Slots


def test_a_batch_that_goes_on_has_its_numbers_and_another_one_has_not(tmp_path):
    path = tmp_path / "slots.json"
    slots = Slots(path, [["a.png"], 0])
    assert slots == {}
    assert not path.exists()
    slots["program"] = 3
    slots["other"] = 1
    slots["program"] = 2  # after the memory did not last
    assert Slots(path, [["a.png"], 0]) == {"program": 2, "other": 1}
    second = Slots(path, [["a.png", "b.png"], 0])
    assert second == {}
    second["program"] = 5
    assert Slots(path, [["a.png"], 0]) == {"program": 2, "other": 1}


def test_what_cannot_be_read_or_written_ends_nothing(tmp_path):
    path = tmp_path / "slots.json"
    for content in ("{", "[1]", '{"a": 3}', '{"a": {"b": "c"}}'):
        path.write_text(content)
        assert Slots(path, []) == {}
    lost = Slots(tmp_path / "no folder" / "slots.json", [])
    lost["program"] = 3
    assert lost == {"program": 3}
