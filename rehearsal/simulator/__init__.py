"""Providers for Pulumi's protocol that respond as the clouds do, without an account."""
