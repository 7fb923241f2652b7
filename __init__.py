"""facespot: macro- and micro-expression spotting in raw, untrimmed video."""

__version__ = "0.1.0"
