"""The Flower app of frugalfl: everything is in the installed package, this only names it."""
