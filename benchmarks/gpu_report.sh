#!/usr/bin/env bash
# All figures of one GPU in one call of at most nine minutes: benchmarks/gpu_report.sh IMAGES WEIGHTS OUT [--small ...]
# WHEELS=folder: wheels of what the machine's Python lacks (jaxopt, tyro, ...), installed from there alone, for this call.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: benchmarks/gpu_report.sh IMAGES WEIGHTS OUT [--small] [--parts job ...]" >&2
    exit 2
fi
here="$(cd "$(dirname "$0")/.." && pwd)"
python="${PYTHON:-python3}"
images="$(realpath "$1")" weights="$(realpath "$2")" out="$(realpath -m "$3")"
shift 3
export PYTHONPATH="$here" PYTHONUNBUFFERED=1
if [ -n "${WHEELS:-}" ]; then # beside the machine's own packages, which may refuse more
    site="$(mktemp -d)"
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install --quiet --no-index --no-deps --target "$site" "$WHEELS"/*.whl
    PYTHONPATH="$here:$site"
fi
cd "$here"
"$python" -m benchmarks.gpu_report "$images" --weights "$weights" --output "$out" --spent "$SECONDS" "$@"
