"""`kmix-tf demo`: the same small network without mixup, with mixup and with k-mixup, side by side."""
