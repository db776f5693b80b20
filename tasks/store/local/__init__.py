"""The backend `filesystem`: a folder on a disk, or on a network file system with flock and atomic links or renames."""
