"""What the functions decide: pure, without boto3 or the environment."""
