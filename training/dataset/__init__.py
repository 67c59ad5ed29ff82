"""A dataset as a biologist keeps it: a folder of pictures with a table of animals beside them."""
