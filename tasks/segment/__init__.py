"""The bytes of data objects; see FORMAT.md beside this file."""
