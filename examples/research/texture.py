"""A texture of one layer, from noise, by an optimiser of optax."""

import optax

import jnst
from jnst.losses import terms


def run(style, weights, layer="conv3_1", iterations=40, **settings):
    schedule = optax.cosine_decay_schedule(0.05, iterations)
    config = jnst.Config(init="noise", iterations=iterations, scales=("1",), **settings)
    return jnst.stylize(None, style, config, weights, terms=[terms.gram(layer)], optimizer=optax.amsgrad(schedule))


if __name__ == "__main__":
    result = run(jnst.load_image("facets.jpg", size=(192, 256)), jnst.find_weights())
    jnst.save_image(result.image, "texture.png")
