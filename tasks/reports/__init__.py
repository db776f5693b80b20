"""What runs have to say to people: numbers, tables and texts. Pure."""
