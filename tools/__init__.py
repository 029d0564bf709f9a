"""What looks after the project: pages, packages."""
