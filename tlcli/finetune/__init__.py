"""Options of the finetune group."""
