"""The options of the config groups, loaded by name; nothing imports them."""
