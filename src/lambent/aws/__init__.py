"""What AWS defines, as pure code: ARNs, service models, errors, the record of a service."""
