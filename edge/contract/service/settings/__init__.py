"""The one strict way in which a file of settings is read, on the device and in the lab."""
