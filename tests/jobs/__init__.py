"""A stack with a queue of jobs and a model that fails as it is told, for tests and measurements."""
