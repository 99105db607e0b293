"""What runs inside the virtual machine of scripts/try-vm alone."""
