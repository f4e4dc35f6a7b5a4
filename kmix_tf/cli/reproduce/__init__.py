"""The command `kmix-tf reproduce`: the papers' tables and figures, measured anew."""
