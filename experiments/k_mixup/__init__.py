"""k-Mixup Regularization for Deep Learning via Optimal Transport, Greenewald et al. 2023."""
