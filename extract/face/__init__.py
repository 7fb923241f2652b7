"""Whose face it is and where it is: detection, subjects, mesh, cuts, following."""
