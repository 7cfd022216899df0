# The hook's account, status.json: whole, or where there is no room for that, in the place of the last one.


def _write_json(folder, status):
    import json
    path = os.path.join(folder, "status.json")
    try:
        with open(path + ".tmp", "w", encoding="utf-8") as file:
            json.dump(status, file)
        os.replace(path + ".tmp", path)
    except OSError:
        _remove(path + ".tmp")
        raise


def _write_in_place(folder, status):
    """Writes into the place that the last status takes: on a full disk that is all there is."""
    import json
    text = json.dumps(status).encode()
    with open(os.path.join(folder, "status.json"), "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if len(text) <= size:
            file.write(text.ljust(size))


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass  # It is not there.
