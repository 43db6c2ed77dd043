"""Do flips to the nearest region with training data tell what is out of distribution? LR section 7.1 (b)."""
