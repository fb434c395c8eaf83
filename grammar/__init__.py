"""The language as data: the rules of the grammar, its terminals, and its words in each language."""
