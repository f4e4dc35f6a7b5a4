"""`kmix-tf gallery`: what each blend makes of real images, on one page."""
