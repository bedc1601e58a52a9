"""What a run says while it works: events, words for them, and the ways of showing them."""
