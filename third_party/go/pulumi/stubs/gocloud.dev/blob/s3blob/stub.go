// Package s3blob is left out: a rehearsal keeps its state in files.
package s3blob
