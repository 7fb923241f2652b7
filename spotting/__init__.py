"""Features to intervals, and everything about learning and judging them."""
