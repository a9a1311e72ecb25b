"""Two styles, each in its own part of the picture, with a soft border between them."""

import jax.numpy as jnp

import jnst


def run(content, first, second, weights, **settings):
    _, height, width, _ = content.shape
    across = jnp.clip(jnp.linspace(-1, 2, width), 0, 1)  # the middle third is shared
    mask = jnp.broadcast_to(across[None, None, :, None], (1, height, width, 1))
    return jnst.stylize(content, [(first, 1 - mask), (second, mask)], jnst.Config(**settings), weights)


if __name__ == "__main__":
    images = [jnst.load_image(name, size=(256, 192)) for name in ("cat.png", "swirls.jpg", "facets.jpg")]
    jnst.save_image(run(*images, jnst.find_weights()).image, "two_styles.png")
