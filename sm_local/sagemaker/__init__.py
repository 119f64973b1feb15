"""SageMaker as the local AWS has it: control plane, hosting, and their CloudFormation resource types."""
