"""See before you wait: stills of a few moments in a page, before and after, and short clips of both."""
