"""The report: one HTML file a video, which needs nothing beside it but, unless it is embedded, the video."""
