"""Policy files: read, checked, described, compared and tested; start at `file` and `form`."""
