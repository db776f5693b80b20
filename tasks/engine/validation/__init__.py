"""What a restore point promises, compared with what is stored."""
