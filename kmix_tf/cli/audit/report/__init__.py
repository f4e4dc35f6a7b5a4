"""The report: a plain dictionary, and what is made of it for a terminal, a browser and a program."""
