"""One loss a file, written in keras.ops so that any Keras backend runs it."""
