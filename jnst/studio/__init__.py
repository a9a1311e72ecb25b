"""The studio: a page in the browser of one's own machine, and the server behind it (docs/studio.md)."""
