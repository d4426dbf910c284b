"""The commands of `frugalfl`, one file each; nothing is imported from here."""
