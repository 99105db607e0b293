"""The operations of SQS, by what they are about: validation, AWS's texts, AWS-shaped results."""
