"""Features to intervals. At this level lies what a user's video runs through; learning and judging are below."""
