"""Photographs of a folder or a store, painted by Ray Data on all devices of a cluster, as pixels for what comes next.

    pip install "jnst[ray]" pyarrow
    python ray_data.py s3://mine/photos s3://mine/paintings/swirls.jpg out/

For files in and files out there is `jnst PHOTOS STYLE -o OUT --engine ray` (docs/clusters.md).
"""

import sys

import ray  # pyright: ignore[reportMissingImports]

from jnst import Config
from jnst.distributed import Painter
from jnst.io.paths import listdir, parse_path

if __name__ == "__main__":
    photographs, style, out = sys.argv[1:]
    ray.init()
    devices = int(ray.cluster_resources().get("GPU", 0))
    folder = parse_path(photographs)
    rows = [{"content": str(folder / name)} for name in sorted(listdir(folder))]
    painted = ray.data.from_items(rows).map_batches(
        Painter,
        fn_constructor_kwargs={"config": Config(), "styles": style, "weights": "auto"},
        batch_size=64,  # some full batches of each worker's device
        concurrency=devices or 1,
        num_gpus=1 if devices else 0,
    )
    painted.write_parquet(out)
