"""The operations by resource: AWS-shaped dicts in, AWS-shaped dicts out. One module per noun of the API."""
