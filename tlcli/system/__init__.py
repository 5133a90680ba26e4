"""The machine: files, terminal, devices, processes."""
