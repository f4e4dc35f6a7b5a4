"""Tune k and alpha
================

When to use it: k and alpha are to be tuned, by KerasTuner, among pairs of them that perturb the data equally far.

Alpha alone says little: the larger k, the nearer are pairs, so each k gets its own alpha (k-mixup, Appendix A). Needs
keras-tuner (pip install 'kmix_tf[examples]'); without it the same grid is gone through by a plain loop.
"""

import keras
import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale

from kmix_tf import KMixupLayer, MixModel
from kmix_tf.analysis import perturbation_grid

data = load_wine()
x, y = scale(data.data).astype("float32"), keras.utils.to_categorical(data.target)
x, y, x_test, y_test = x[::2], y[::2], x[1::2], y[1::2]
grid = perturbation_grid(x, ks=[1, 8], alphas=[0.2, 1.0], strategy="full")
grid = [point for point in grid if point.in_reach]


def build(point):
    """A model that trains on mixtures by one k and alpha."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((13,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(3)]
    mixing = MixModel(keras.Sequential(layers), KMixupLayer(point.k, point.alpha), seed=0)
    mixing.compile(keras.optimizers.Adam(0.01), keras.losses.CategoricalCrossentropy(from_logits=True))
    return mixing


def tuned(epochs=5):
    """The least validation loss of each point, found by KerasTuner."""
    import keras_tuner
    import tensorboard  # noqa: F401, which KerasTuner imports while it searches

    def model_of(hp):
        return build(grid[hp.Choice("point", list(range(len(grid))), ordered=False)])

    tuner = keras_tuner.GridSearch(model_of, objective="val_loss", directory="tuning", overwrite=True)
    tuner.search(x, y, batch_size=32, epochs=epochs, validation_data=(x_test, y_test), verbose=0)
    trials = {trial.hyperparameters.get("point"): trial.score for trial in tuner.oracle.get_best_trials(len(grid))}
    return [trials[point] for point in range(len(grid))]


def looped(epochs=5):
    """The same by a loop."""
    told = {"batch_size": 32, "epochs": epochs, "validation_data": (x_test, y_test), "verbose": 0}
    return [min(build(point).fit(x, y, **told).history["val_loss"]) for point in grid]


try:
    losses = tuned()
except ModuleNotFoundError:
    losses = looped()
best = grid[losses.index(min(losses))]
print(f"best of {len(grid)}: k={best.k}, alpha={best.alpha:.3g}, xi={best.xi:.2f}")

# %%
# Points above each other move samples equally far; they differ in k.
for k in (1, 8):
    points = [(point.xi, loss) for point, loss in zip(grid, losses, strict=True) if point.k == k]
    plt.plot(*zip(*points, strict=True), "o-", label=f"k = {k}")
plt.legend()
plt.gca().set(title="The points of the grid", xlabel="xi: how far samples move", ylabel="validation loss")
plt.savefig("tuning.png")
