"""The bytes of data objects: frames, trailer and seek table. FORMAT.md in this folder describes them."""
