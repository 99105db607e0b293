"""From a folder of the user to a deployment package: which files, in which bytes, with which requirements."""
