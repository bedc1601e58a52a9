"""Long jobs that cannot be lost: what is finished, what is missing, and the folder that remembers it."""
