"""What samples mean: colour tags, and the conversion between planes and R'G'B'.

It knows tensors and numbers, never files, packets or time.
"""
