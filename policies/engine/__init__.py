"""How controls are written, registered, excepted and served to Pulumi's engine. Knows no control."""
