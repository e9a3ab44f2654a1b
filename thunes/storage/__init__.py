"""The disk: the journal's file, the books' database, the home that holds both."""
