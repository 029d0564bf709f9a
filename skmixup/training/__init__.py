"""The engine: skorch's training loop, made fast, and the step that minimises the vicinal risk."""
