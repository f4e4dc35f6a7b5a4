"""What the mixes and the analysis share: moments of ratios, losses, derivatives, means, arrays of samples."""
