"""What Python programs call; `vidsr` itself gives its names out. Nothing here prints."""
