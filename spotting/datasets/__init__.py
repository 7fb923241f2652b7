"""Readers of annotated recordings: official sheets, one's own labels and the folders they come in."""
