"""What Matroska and WebM can say and FFmpeg neither reads nor writes.

It knows the bytes of these two formats, and no packets.
"""
