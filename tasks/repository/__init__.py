"""The stored documents of a repository, and the protocol that changes a backup set. FORMAT.md in this folder describes
both."""
