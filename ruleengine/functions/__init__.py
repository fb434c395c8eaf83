"""The functions of the language, each declared once."""
