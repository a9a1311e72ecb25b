#!/usr/bin/env bash
# All figures of one GPU in one call of at most nine minutes: benchmarks/gpu_report.sh IMAGES WEIGHTS OUT [--small ...]
# WHEELS=folder: wheels of what the machine's Python lacks (jaxopt, tyro, ...), installed before from there alone.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: benchmarks/gpu_report.sh IMAGES WEIGHTS OUT [--small] [--parts job ...]" >&2
    exit 2
fi
here="$(cd "$(dirname "$0")/.." && pwd)"
python="${PYTHON:-python3}"
images="$(realpath "$1")" weights="$(realpath "$2")" out="$(realpath -m "$3")"
shift 3
if [ -n "${WHEELS:-}" ]; then
    "$python" -m pip install --quiet --no-index --no-deps "$WHEELS"/*.whl
fi
export PYTHONPATH="$here" PYTHONUNBUFFERED=1
cd "$here"
exec "$python" -m benchmarks.gpu_report "$images" --weights "$weights" --output "$out" "$@"
