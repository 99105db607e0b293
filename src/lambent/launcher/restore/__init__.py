"""Restores of SnapStart: a clone of a template, taken apart from it and finished from outside."""
