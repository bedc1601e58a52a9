"""Weight files: their formats, where they are kept, how they are fetched and checked."""
