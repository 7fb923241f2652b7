"""Correcting the machine by hand: the page of `spot label`, what it saves, a second coder, and audits."""
