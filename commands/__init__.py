"""One module a command of `spot`, shell and body together."""
