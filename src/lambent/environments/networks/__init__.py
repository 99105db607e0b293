"""The supervisor's part in the networks of sandboxes: names, services and rules. Imports only where one is used."""
