"""The framework in which controls are written, registered, exempted and served to Pulumi's engine. Has no controls."""
