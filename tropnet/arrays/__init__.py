"""Arrays that every room passes around: their types, packed patterns, checks of what users give."""
