"""Video to snippet features: decoding, faces, optical flow, windows, cache."""
