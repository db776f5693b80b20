"""What a repository holds and the protocol that changes it; see FORMAT.md beside this file."""
