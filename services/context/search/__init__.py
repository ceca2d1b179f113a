"""Search in the contents, paths and symbols of loaded repositories."""
