#!/bin/bash
# 16 shards, one GPU each: sbatch examples/clusters/slurm.sh
#SBATCH --job-name=jnst
#SBATCH --array=0-15
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
set -euo pipefail
# jnst ends after the running step when the time is nearly over, and the requeued task goes on
exec python -m jnst.run "${PHOTOS:?a folder, or tars}" "${STYLES:?a painting, or a folder}" -o "${OUT:?a folder that all see}" --shard auto
