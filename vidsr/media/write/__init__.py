"""From packets to the output: muxing, everything of the source that goes in beside the video, segments.

It never looks into a picture.
"""
