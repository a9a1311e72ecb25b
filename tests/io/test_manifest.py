"""What of a batch is done."""

from dataclasses import replace

import pytest

from jnst.cli.jobfile import BatchRow
from jnst.config import Config
from jnst.io.manifest import is_begun, open_manifest

NETWORK = {"sha256": "a", "normalized": ""}


@pytest.fixture
def entry(tmp_path):
    (tmp_path / "one.png").write_bytes(b"a picture")
    return BatchRow(tmp_path / "photo.png", tmp_path / "painting.png", tmp_path / "one.png", 512, 1.0, Config())


def reopened(folder, process=0, processes=1, network=NETWORK):
    manifest = open_manifest(folder, process, processes, network)
    manifest.close()
    return manifest


def test_done_is_the_same_job_by_the_same_network_with_its_picture(entry, tmp_path):
    assert not is_begun(tmp_path)
    manifest = open_manifest(tmp_path, 0, 1, NETWORK)
    assert is_begun(tmp_path)
    assert not manifest.has(entry)
    manifest.add(entry, {"loss": 0.5})
    manifest.close()
    assert reopened(tmp_path).has(entry)
    assert not reopened(tmp_path, network={**NETWORK, "sha256": "b"}).has(entry)
    assert not reopened(tmp_path, network={**NETWORK, "normalized": "folder"}).has(entry)
    assert not reopened(tmp_path).has(replace(entry, config=Config(seed=1)))
    assert not reopened(tmp_path).has(replace(entry, image_size=256))
    assert not reopened(tmp_path).has(replace(entry, content=tmp_path / "other.png"))
    entry.output.unlink()
    assert not reopened(tmp_path).has(entry)


def test_every_process_knows_what_all_have_done(entry, tmp_path):
    manifest = open_manifest(tmp_path, 1, 2, NETWORK)
    manifest.add(entry, {})
    manifest.close()
    assert (tmp_path / "manifest-1.jsonl").exists()
    assert reopened(tmp_path, 0, 2).has(entry)
    assert reopened(tmp_path).has(entry)


def test_a_line_that_was_cut_off_counts_as_none_and_the_next_is_whole(entry, tmp_path):
    (tmp_path / "manifest.jsonl").write_text('{"job": {"output": "one.png"')
    manifest = open_manifest(tmp_path, 0, 1, NETWORK)
    assert not manifest.has(entry)
    manifest.add(entry, {})
    manifest.close()
    assert reopened(tmp_path).has(entry)
