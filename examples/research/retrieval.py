"""Which images look alike in style: the nearest neighbour of each by the cosine of its Gram matrices."""

import jax.numpy as jnp

import jnst
from jnst.losses.embedding import style_embedding

NAMES = "summer.jpg", "winter.jpg", "swirls.jpg", "dabs.jpg", "facets.jpg"


def neighbours(images, params, **options):
    vectors = jnp.concatenate([style_embedding(params, image, **options) for image in images])
    similarity = vectors @ vectors.T
    return similarity, jnp.argmax(similarity - 2 * jnp.eye(len(images)), 1)


if __name__ == "__main__":
    images = [jnst.load_image(name, size=(192, 256)) for name in NAMES]
    similarity, nearest = neighbours(images, jnst.find_weights().params)
    for k, j in enumerate(nearest):
        print(f"{NAMES[k]}: {NAMES[j]} ({similarity[k, j]:.2f})")
