"""Reading models of other frameworks into a `Network`."""
