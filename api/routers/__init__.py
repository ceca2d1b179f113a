"""One file per resource; `api.app` lists them."""
