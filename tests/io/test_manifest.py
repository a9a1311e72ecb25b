"""What of a batch is done."""

import resource
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from jnst import InputError
from jnst.io.manifest import is_begun, open_manifest

NETWORK = {"sha256": "a", "normalized": ""}


@dataclass(frozen=True)
class Job:
    content: Path
    output: Path
    image_size: int
    strength: float

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "content": str(self.content), "output": self.output.name}


@pytest.fixture
def job(tmp_path):
    (tmp_path / "one.png").write_bytes(b"a picture")
    return Job(tmp_path / "photo.png", tmp_path / "one.png", 512, 0.9)


def reopened(folder, part="", network=NETWORK):
    manifest = open_manifest(folder, part, network)
    manifest.close()
    return manifest


def test_done_is_the_same_job_by_the_same_network_with_its_picture(job, tmp_path):
    assert not is_begun(tmp_path)
    manifest = open_manifest(tmp_path, "", NETWORK)
    assert is_begun(tmp_path)
    assert not manifest.has(job)
    manifest.add(job, {"loss": 0.5})
    manifest.close()
    assert reopened(tmp_path).has(job)
    assert not reopened(tmp_path, network={**NETWORK, "sha256": "b"}).has(job)
    assert not reopened(tmp_path, network={**NETWORK, "normalized": "folder"}).has(job)
    assert not reopened(tmp_path).has(replace(job, strength=0.8))
    assert not reopened(tmp_path).has(replace(job, image_size=256))
    assert not reopened(tmp_path).has(replace(job, content=tmp_path / "other.png"))
    job.output.unlink()
    assert not reopened(tmp_path).has(job)


def test_every_process_knows_what_all_have_done(job, tmp_path):
    manifest = open_manifest(tmp_path, "1", NETWORK)
    manifest.add(job, {})
    manifest.close()
    assert (tmp_path / "manifest-1.jsonl").exists()
    assert reopened(tmp_path, "0").has(job)
    assert reopened(tmp_path).has(job)


def test_a_line_that_was_cut_off_counts_as_none_and_the_next_is_whole(job, tmp_path):
    (tmp_path / "manifest.jsonl").write_text('{"job": {"output": "one.png"')
    manifest = open_manifest(tmp_path, "", NETWORK)
    assert not manifest.has(job)
    manifest.add(job, {})
    manifest.close()
    assert reopened(tmp_path).has(job)


def test_lines_that_do_not_fit_are_told_and_written_when_there_is_room(job, tmp_path, small_disk):
    jobs = [replace(job, output=tmp_path / f"{k}.png") for k in range(40)]
    for each in jobs:
        each.output.write_bytes(b"a picture")
    manifest = open_manifest(tmp_path, "", NETWORK)
    written = 0
    with pytest.raises(InputError, match=r"manifest.jsonl cannot be written \(File too large\)"):  # noqa: PT012
        for each in jobs:
            manifest.add(each, {})
            written += 1
    assert 5 < written < 30
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    manifest.close()
    assert [reopened(tmp_path).has(each) for each in jobs] == [k <= written for k in range(40)]


def test_a_manifest_that_is_no_text_or_no_file(job, tmp_path):
    (tmp_path / "manifest.jsonl").write_bytes(b"\xff\xfe\x00 no text")
    assert not reopened(tmp_path).has(job)
    (tmp_path / "manifest-1.jsonl").mkdir()
    with pytest.raises(InputError, match=r"no manifest \(Is a directory\); choose another folder"):
        open_manifest(tmp_path, "", NETWORK)
