"""Facts about data that `infra`, `policies` and `rehearsal` share. Imports none of them.

`values` has the two markers for values that cannot be read, `paths` the only parser of property paths, and `iam` the
only reader of AWS policy documents.
"""
