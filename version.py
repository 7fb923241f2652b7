"""The versions of the package and of the features it extracts, apart from everything so that all may read them."""

__version__ = "0.1.0"
# Of what extraction computes. Raised whenever the features of the same recording come out otherwise, so that cached
# ones are made anew; a test hashes the features of the bundled clip.
FEATURES_VERSION = 4
