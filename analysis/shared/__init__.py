"""What studies share: the one `main`, results and their provenance, resumable parts, data sets, timing."""
