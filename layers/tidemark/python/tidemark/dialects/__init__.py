"""Wire vocabularies: each dialect parses requests and renders answers and errors of one API family."""
