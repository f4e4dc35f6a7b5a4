"""`kmix-tf compare`: a small network tries mixes on a dataset."""
