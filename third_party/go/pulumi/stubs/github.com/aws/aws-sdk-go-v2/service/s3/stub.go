// Package s3 is left out, but for the one type that the engine names.
package s3

// CopyObjectInput has the field that the engine edits before it copies an object in a bucket.
type CopyObjectInput struct {
	CopySource *string
}
