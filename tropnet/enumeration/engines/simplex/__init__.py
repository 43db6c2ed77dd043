"""The simplex engine: cells by their inequalities and one vertex."""
