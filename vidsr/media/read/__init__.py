"""From a file to decoded frames: what it is, where things lie in it, and what could not be decoded.

It knows demuxers, decoders and time stamps, never what becomes of a frame.
"""
