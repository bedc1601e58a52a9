"""From finished frames to packets: the encoders, what they take, and the user's own ffmpeg as one of them.

It knows neither containers' layouts nor other streams.
"""
