"""Towards Understanding the Data Dependency of Mixup-style Training, Chidambaram et al. 2022."""
