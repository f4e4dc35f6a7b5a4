"""What drawings of all papers share."""


def without_seed_0():
    """A figure that says why it is empty: what it draws is kept of seed 0 alone."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(6, 1))
    figure.text(0.5, 0.5, "Drawn of seed 0, which was not measured.", ha="center", va="center")
    return figure
