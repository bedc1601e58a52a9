"""From frames to larger frames: transfer, batching, cropping, resizing. No files, no time stamps."""
