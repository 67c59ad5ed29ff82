"""The model card that every bundle carries: Hugging Face's form, answering the items of TRIPOD+AI."""
