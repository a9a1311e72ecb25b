"""VGG: from an image to its feature maps."""
