"""Training, processing and batch transform jobs, which really run."""
