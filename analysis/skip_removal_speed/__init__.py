"""What taking the skips out of a network saves in time and memory when it predicts: AR section 5.3."""
