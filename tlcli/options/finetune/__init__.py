"""Options of the group finetune."""
