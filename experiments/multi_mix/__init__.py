"""Mixup Augmentation with Multiple Interpolations. Shen, Yu, Yang and Kwok, 2023."""
