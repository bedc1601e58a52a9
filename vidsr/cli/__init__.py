"""The command line: words, hints and exit codes. Nothing here imports torch or av until it must."""
