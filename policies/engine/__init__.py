"""How controls are written, registered, exempt and served to Pulumi's engine. Knows no control."""
