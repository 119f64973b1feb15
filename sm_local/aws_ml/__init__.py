"""A stand-in for Aurora's extension ``aws_ml``, which only Aurora has: ``aws_sagemaker.invoke_endpoint`` alone.

It really calls the local endpoint, with the credentials of the role that is associated with the cluster, but one
text at a time and in a process of its own each. The form of its answer is taken from AWS's documentation: a value
that can be cast to a composite type with the columns of the model's answer.
"""
