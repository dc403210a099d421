"""Scripts that are copied into a bug report's folder. They may import nothing of the project."""
