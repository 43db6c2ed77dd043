"""Networks whose skips have a strength."""
