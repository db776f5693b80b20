"""The backend `filesystem`: a folder, on a disk or on a network file system with atomic links and flock."""
