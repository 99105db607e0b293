"""Code signing: configurations, the signature inside a package, and what a configuration says to a package."""
