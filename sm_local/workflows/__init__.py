"""Step Functions beyond what MiniStack does: SageMaker's integrations, and the state machine's role."""
