"""One module per thing retrue does with a window or a model: read, call the core, write."""
