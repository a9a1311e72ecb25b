"""The device's side of a batch: slots, each one run, that one compiled step advances together.

Each image lies in the corner of a canvas, its maps are masked to it (`vgg.Region`), and the solver moves no pixel
beyond it. One step evaluates every slot once, whether its search wants a shorter step or a new iteration begins
(`LBFGSB.ask`, `LBFGSB.tell`).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from jnst import minimize
from jnst.batching import Size
from jnst.losses import objective
from jnst.losses.objective import LossWeights, Spec
from jnst.network.vgg import Params, Region
from jnst.optim.lbfgsb import LBFGSB, LBFGSBState, Search
from jnst.optim.preconditioner import Part, Spectral, part_of


class Bucket(NamedTuple):
    """What images must have in common to share a compiled program."""

    canvas: Size
    masked: bool
    """whether an image may be smaller than the canvas"""
    spec: Spec
    layer_weights: tuple[float, ...]
    history_size: int
    history_dtype: str


class Slot(NamedTuple):
    """One place of a batch: a run, and what it is matched with. In a batch every leaf has one more axis in front."""

    x: Float[Array, "1 h w 3"]
    state: LBFGSBState
    search: Search
    best_x: Float[Array, "1 h w 3"]
    best: Float[Array, ""]
    target: objective.Targets
    weights: LossWeights
    size: Int[Array, " 2"]
    limit: Int[Array, ""]
    """iterations to do; -1: the slot is empty"""


def _solver(bucket: Bucket, part: Part | None) -> LBFGSB:
    """That of one slot, for who evaluates himself."""

    def shapes_only(x: Array) -> Any:
        return (jnp.zeros(()), None), x

    return LBFGSB(
        shapes_only, value_and_grad=True, has_aux=True, history_size=bucket.history_size,
        history_dtype=jnp.dtype(bucket.history_dtype),
        preconditioner=Spectral(part),
    )  # fmt: skip


def _bounds(slot: Slot) -> tuple[Array, Array]:
    """The box, shut beyond the image."""
    inside = Region.of(1, slot.size[0], slot.size[1]).mask(slot.x.shape, 1)
    return jnp.zeros_like(slot.x), jnp.broadcast_to(inside, slot.x.shape).astype(slot.x.dtype)


def _ask(bucket: Bucket, slot: Slot) -> Float[Array, "1 h w 3"]:
    return _solver(bucket, None).ask(slot.x, slot.state, slot.search, _bounds(slot))


def _tell(bucket: Bucket, slot: Slot, part: Part | None, value: Array, gradient: Array) -> Slot:
    """What follows from the evaluation of one slot's point."""
    evaluated = value, gradient[None], None
    x, state, search = _solver(bucket, part).tell(slot.x, slot.state, slot.search, evaluated, _bounds(slot))
    better = state.value < slot.best
    new = slot._replace(
        x=x, state=state, search=search, best_x=jnp.where(better, x, slot.best_x),
        best=jnp.minimum(state.value, slot.best),
    )  # fmt: skip
    active = (slot.state.iter_num < slot.limit) & (slot.state.stop == minimize.RUNNING)
    return jax.tree.map(partial(jnp.where, active), new, slot)


def _tick(bucket: Bucket, params: Params, parts: Part | None, slots: Slot) -> Slot:
    """One evaluation of all slots, and what follows from it for each."""
    points = jax.vmap(partial(_ask, bucket))(slots)[:, 0]
    count, (heights, widths) = len(points), slots.size.T
    region = Region(jnp.zeros_like(heights), jnp.zeros_like(heights), heights, widths) if bucket.masked else None
    target = jax.tree.map(lambda a: a.reshape(count, *a.shape[2:]), slots.target)
    weights = slots.weights._replace(style_layers=jnp.asarray(bucket.layer_weights))
    losses, gradients = objective.value_and_grad(params, points, target, weights, spec=bucket.spec, region=region)
    return jax.vmap(partial(_tell, bucket))(slots, parts, losses.total, gradients)


@partial(jax.jit, static_argnames=("bucket", "mesh"), donate_argnames="slots")
def advance(bucket: Bucket, mesh: Mesh | None, params: Params, slots: Slot, count: Int[Array, ""]) -> Slot:
    """So many evaluations of every slot; over several devices each has its own slots."""

    def run(params: Params, slots: Slot, count: Array) -> Slot:
        parts = jax.vmap(partial(part_of, bucket.canvas))(slots.size) if bucket.masked else None
        return lax.fori_loop(0, count, lambda _, slots: _tick(bucket, params, parts, slots), slots)

    if mesh is None:
        return run(params, slots, count)
    batch, whole = PartitionSpec(mesh.axis_names[0]), PartitionSpec()
    split = jax.shard_map(run, mesh=mesh, in_specs=(whole, batch, whole), out_specs=batch, check_vma=False)
    return split(params, slots, count)


@partial(jax.jit, static_argnames="bucket")
def new_slot(bucket: Bucket, x: Array, target: Any, weights: Any, size: Array, limit: Array) -> Slot:
    """A run from x that has evaluated nothing."""
    unknown = jnp.full((), jnp.inf)
    slot = Slot(x, None, None, x, unknown, target, weights, size, limit)  # pyright: ignore[reportArgumentType]
    solver = _solver(bucket, part_of(bucket.canvas, size) if bucket.masked else None)
    state = solver.blank_state(x)
    return slot._replace(state=state, search=solver.begin(x, state, _bounds(slot)))


@partial(jax.jit, donate_argnames="slots")
def fill(slots: Slot, k: Int[Array, ""], slot: Slot) -> Slot:
    return jax.tree.map(lambda all_, one: all_.at[k].set(one), slots, slot)


def empty(slot: Slot, count: int, spread: NamedSharding | None = None) -> Slot:
    """So many slots like this one, in which nothing happens; over several devices where `spread` says so."""
    slots = jax.tree.map(lambda a: jnp.zeros((count, *a.shape), a.dtype), slot)
    slots = slots._replace(limit=slots.limit - 1)
    return slots if spread is None else jax.device_put(slots, spread)


def peak_bytes(bucket: Bucket, mesh: Mesh | None, params: Params, slot: Slot, count: int) -> int:
    """What `advance` of so many slots in all takes of each device, by its compiled program."""
    slots = jax.eval_shape(partial(empty, count=count), slot)
    if mesh is not None:
        spread = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
        slots = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=spread), slots)
    program = advance.lower(bucket, mesh, params, slots, jax.ShapeDtypeStruct((), jnp.int32)).compile()
    found: Any = program.memory_analysis()
    kept = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return kept + found.temp_size_in_bytes
