"""Local Mixup: Interpolation of closest input signals to prevent manifold intrusion, Baena et al. 2024."""
