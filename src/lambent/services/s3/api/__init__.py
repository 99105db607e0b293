"""Operations, by resource: AWS's shapes in and out, and its texts. What they decide and do is in the modules above."""
