"""Taking skips out of a module, or carrying them in channels."""
