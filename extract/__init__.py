"""Recordings to snippet features: pictures, a face, its motion, and the cache."""
