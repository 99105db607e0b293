"""Custom runtimes (`provided`, `provided.al2`, `provided.al2023`): a program of the function's own."""
