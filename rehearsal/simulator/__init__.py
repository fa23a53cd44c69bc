"""Providers of Pulumi's protocol that answer as the clouds do, without an account."""
