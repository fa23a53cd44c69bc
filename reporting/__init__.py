"""Reports on a stack: the pull request comment, and an HTML page. `make report` writes both."""
