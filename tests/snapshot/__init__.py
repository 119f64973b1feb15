"""Templates of the documentation's examples, kept so that a reviewer sees how they change."""
