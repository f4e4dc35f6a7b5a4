import numpy as np
import pytest


@pytest.fixture(scope="session")
def photographs():
    """A function (side, channels) -> 60 pieces of scikit-learn's two photographs, float64 in [0, 1]."""
    from sklearn.datasets import load_sample_images

    images = np.stack(load_sample_images().images)[:, :320, :384] / 255

    def pieces(side, channels=3):
        # Averaged over squares, so that pieces of 64 pixels become small images with much in them.
        step = 64 // side
        squares = images.reshape(2, 5, side, step, 6, side, step, 3).mean(axis=(3, 6))
        squares = squares.transpose(0, 1, 3, 2, 4, 5).reshape(60, side, side, 3)
        return squares if channels == 3 else squares.mean(axis=3, keepdims=True)

    return pieces
