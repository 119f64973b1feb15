"""A stack with batch transforms, for tests."""
