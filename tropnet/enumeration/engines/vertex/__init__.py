"""The vertex engine: cells by their generators."""
