// Package azureblob is left out: a rehearsal keeps its state in files.
package azureblob
