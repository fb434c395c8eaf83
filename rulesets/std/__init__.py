"""The rule files that come with the product, for `use "std/…"`; docs/packs.md tells what is in them."""
