"""Who may do what with buckets and objects: which actions a request asks for, what is known of it, who is let in."""
