"""On Mixup Regularization (Carratino, Cissé, Jenatton, Vert, 2020)."""
