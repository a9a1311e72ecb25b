"""One image over several devices, split by its rows; XLA's partitioner exchanges what convolutions see beyond them.

The maps, which are most of the memory and of the work, are split; the image itself and all that the solver keeps of it
lie on every device.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from jnst.errors import InputError


def mesh_of(count: int) -> Mesh | None:
    """Makes a mesh of the first local devices.

    Args:
        count: how many, at least 1.

    Returns:
        The mesh with one axis "rows"; None for a single device.

    Raises:
        InputError: there are fewer.
    """
    devices = jax.local_devices()
    if count > len(devices):
        raise InputError(f"`devices` {count}: this machine has {len(devices)}; give at most that many")
    return (
        jax.make_mesh((count,), ("rows",), axis_types=(AxisType.Auto,), devices=devices[:count]) if count > 1 else None
    )


def split(x: Float[Array, "n h w c"], mesh: Mesh, unit: int) -> Float[Array, "n _h w c"]:
    """Splits images by rows, below which zeros are laid until every device has as many.

    Args:
        x: images.
        mesh: of one axis.
        unit: each device gets a multiple of so many rows, the deepest layer's stride.

    Returns:
        The images with the rows of zeros, a part on each device.
    """
    rows = unit * mesh.size
    padded = jnp.pad(x, ((0, 0), (0, -x.shape[1] % rows), (0, 0), (0, 0)))
    return lax.with_sharding_constraint(padded, NamedSharding(mesh, PartitionSpec(None, mesh.axis_names[0])))


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of an array that lies whole on every device.

    Args:
        mesh: the devices.
    """
    return NamedSharding(mesh, PartitionSpec())
