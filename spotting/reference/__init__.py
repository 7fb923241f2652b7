"""The authors' release as it computes, for conformance; nothing that runs on a user's video imports it."""
