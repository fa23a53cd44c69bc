"""What every layer of the program uses: settings, names and tags, and the base class of components."""
