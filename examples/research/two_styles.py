"""Two styles, each in its own part of the picture, with a soft border between them."""

import jax.numpy as jnp

import jnst


def run(content, first, second, weights, **settings):
    _, height, width, _ = content.shape
    across = jnp.clip(jnp.linspace(-1, 2, width), 0, 1)  # the middle third is shared
    mask = jnp.broadcast_to(across[None, None, :, None], (1, height, width, 1))
    return jnst.stylize(content, [(first, 1 - mask), (second, mask)], jnst.Config(**settings), weights)


if __name__ == "__main__":
    names = ("cat.png", "swirls.jpg", "facets.jpg")
    content, first, second = (jnst.load_image(name, size=(192, 256)) for name in names)
    jnst.save_image(run(content, first, second, jnst.find_weights()).image, "two_styles.png")
