"""IAM policy documents: read them (`documents`), and decide what they say about one request (`decision`).

Pure. Knows the language (effects, principals, actions, resources, conditions, variables), not which keys or actions
a service has. Refuses documents that are not of the language; what a service allows beside that is its own business.
"""
