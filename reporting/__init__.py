"""Reports on a stack: the comment of a pull request, and one page of HTML. `make report` writes both."""
