"""A clip to try facespot on, with its truth."""
