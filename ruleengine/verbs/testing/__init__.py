"""What `test` is made of: examples and fixture suites, what they cover, and which changes of the rules they miss."""
