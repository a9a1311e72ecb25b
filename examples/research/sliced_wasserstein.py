"""An own style loss: sliced Wasserstein distance (Heitz et al., CVPR 2021), with 256 quantiles of 16 directions."""

import jax
import jax.numpy as jnp

import jnst
from jnst.losses import terms


def quantiles(maps, weights):
    directions = jax.random.normal(jax.random.key(0), (maps[0].shape[-1], 16))
    rows = jnp.sort((maps[0] @ directions).reshape(len(maps[0]), -1, 16), 1)
    return rows[:, jnp.linspace(0, rows.shape[1] - 1, 256).astype(int)]


def run(content, style, weights, layers=("conv1_1", "conv2_1", "conv3_1"), keep="conv4_2", **settings):
    own = [terms.custom(f"swd/{name}", name, quantiles, weight=0.9 / len(layers)) for name in layers]
    own.append(terms.content(keep, weight=0.1))
    return jnst.stylize(content, style, jnst.Config(**settings), weights, terms=own)


if __name__ == "__main__":
    content, style = (jnst.load_image(name, size=(192, 256)) for name in ("cat.png", "swirls.jpg"))
    jnst.save_image(run(content, style, jnst.find_weights()).image, "sliced_wasserstein.png")
