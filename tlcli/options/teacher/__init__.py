"""Options of the group teacher."""
