"""Object stores: one small port, its adapters and wrappers."""
