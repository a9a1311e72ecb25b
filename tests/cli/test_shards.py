"""Which part of a batch a process does: by numbers that are given, or that schedulers tell."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from jnst.cli.options import BatchOptions
from jnst.cli.shards import SCHEDULERS, Share, require_share
from jnst.errors import InputError

TOLD = {
    "SLURM array": {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "3",
                    "SLURM_ARRAY_TASK_STEP": "2"},
    "AWS Batch array": {"AWS_BATCH_JOB_ARRAY_INDEX": "2", "AWS_BATCH_JOB_ARRAY_SIZE": "4"},
    "Cloud Run job": {"CLOUD_RUN_TASK_INDEX": "2", "CLOUD_RUN_TASK_COUNT": "4"},
    "Google Cloud Batch": {"BATCH_TASK_INDEX": "2", "BATCH_TASK_COUNT": "4"},
    "SkyPilot pool": {"SKYPILOT_JOB_RANK": "2", "SKYPILOT_NUM_JOBS": "4", "SKYPILOT_NODE_RANK": "0",
                      "SKYPILOT_NUM_NODES": "1"},
    "SkyPilot nodes": {"SKYPILOT_NODE_RANK": "2", "SKYPILOT_NUM_NODES": "4"},
}  # fmt: skip
"""the variables that each one sets for the third of four"""


@dataclass(frozen=True)
class Row:
    """What of a row counts."""

    output: Path


def share(text, **environment):
    return require_share(BatchOptions(shard=text), environment=environment)


@pytest.mark.parametrize("name", [name for name, variables in SCHEDULERS.items() if variables.count])
def test_a_scheduler_tells_which_of_how_many(name):
    assert share("auto", **TOLD[name]) == Share(2, 4, by_name=True)


def test_kubernetes_tells_no_number():
    indexed = {"JOB_COMPLETION_INDEX": "2"}
    assert share("auto/4", **indexed) == Share(2, 4, by_name=True)
    with pytest.raises(InputError, match=r"Kubernetes .*it does not tell how many there are; give shard auto/N"):
        share("auto", **indexed)


def test_a_number_that_is_given_stands_above_the_told_one():
    """Tasks 3 and 7 of an array of 16, begun again: `sbatch --array=3,7`."""
    again = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "3",
             "SLURM_ARRAY_TASK_STEP": "1"}  # fmt: skip
    assert share("auto/16", **again) == Share(7, 16, by_name=True)
    with pytest.raises(InputError, match="4 is not below 2"):
        share("auto", **again)


def test_without_the_option_nothing_is_shared():
    assert share(None, **TOLD["SLURM array"]) is None
    assert share("1/4", **TOLD["SLURM array"]) == Share(1, 4, by_name=True)


@pytest.mark.parametrize(("text", "message"), [
    ("4/4", "shard 4/4: 4 is not below 4; shards are counted from 0, such as 0/8 to 7/8"),
    ("0/0", "0 is not below 0"),
    ("-1/4", "'-1' is no number"),
    ("3", "'' is no number; give shard I/N"),
    ("a/b", "'a' is no number"),
    ("auto", "none of SLURM_ARRAY_TASK_ID, .* is set; give shard I/N"),
])  # fmt: skip
def test_what_is_no_part_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        share(text)


def test_another_way_to_share_is_refused():
    for batch in (BatchOptions(shard="0/2", coordinator="auto"), BatchOptions(shard="0/2", processes=2)):
        with pytest.raises(InputError, match="shard stands without coordinator"):
            require_share(batch)
    with pytest.raises(InputError, match="give it in a last run without shard"):
        require_share(BatchOptions(shard="0/2", contact_sheet=Path("sheet.png")))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_parts_hold_each_job_once_and_much_alike(count):
    rows = cast(Any, [Row(Path(f"photo{k}_style.png")) for k in range(2000)])
    parts = [Share(k, count, by_name=True).of(rows) for k in range(count)]
    assert sorted(str(row.output) for part in parts for row in part) == sorted(str(row.output) for row in rows)
    assert max(map(len, parts)) < 1.15 * 2000 / count
    assert parts[0] == Share(0, count, by_name=True).of(rows[::-1])[::-1]  # by the name, not by the place


def test_parts_are_those_of_any_machine_and_version():
    """Pinned: a rerun by a later jnst must find the same."""
    assert [name for name in "abcdefgh" if Share(0, 3, by_name=True).has(f"{name}.png")] == list("bcdef")
