"""The papers' tables and figures, an experiment a module: `kmix-tf reproduce --list`."""
