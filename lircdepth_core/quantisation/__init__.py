"""A network in 8-bit integers, made of a trained one and some samples."""
