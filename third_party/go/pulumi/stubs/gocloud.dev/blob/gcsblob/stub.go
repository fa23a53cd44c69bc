// Package gcsblob is left out: a rehearsal keeps its state in files.
package gcsblob

// Scheme is how the engine recognizes the address of a bucket.
const Scheme = "gs"
