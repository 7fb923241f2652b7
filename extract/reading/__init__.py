"""Recordings to pictures: video files, folders of images, and which frames the clock needs."""
