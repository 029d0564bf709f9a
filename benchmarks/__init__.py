"""What is measured, one folder a subject; see README.md."""
