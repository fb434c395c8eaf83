"""Problems as values, and the words for them."""
