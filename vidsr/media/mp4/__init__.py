"""What MP4 and QuickTime files can say and FFmpeg neither reads nor writes.

It knows the bytes of these formats, and no packets.
"""
