"""How networks learn: from points, from simulated intervals, and AUW-GCN."""
