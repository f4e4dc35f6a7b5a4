"""What is compared: the experiment of each."""

ITEMS = [
    ("Ways of mixing, on digits", "compared/digits", ""),
    ("Ways of mixing, on digits on photographs", "compared/photographs", ""),
]
