"""Facts about data that `infra`, `policies` and `rehearsal` share. Imports none of them, and only the standard library.

`values` has the two markers for what cannot be read, `paths` the one language of property paths, `iam` the one reader
of AWS policy documents.
"""
