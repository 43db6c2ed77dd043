"""Both papers together: skips that vanish while a network trains, and how many linear regions it has then."""
