"""The methods that the five papers compare with, and those that beat them."""
