"""`kmix-tf audit`: will mixing hurt on my data, where to start, and what a mixture does to my labels."""
