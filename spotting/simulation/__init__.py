"""Simulated recordings: events, faces, cameras and trackers whose truth is known exactly."""
