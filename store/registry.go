// Package store holds the nouns that outlive a crash (Tenant, Function, Version, APIKey), the format of
// function.yaml, and the interfaces to what keeps them: Registry for the nouns, Queue for messages, Counters for
// usage. Engines are packages below this one; each implements all three and passes storetest.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// Limits of a record.
const (
	MaxRecordNameBytes  = 512
	MaxRecordValueBytes = 1 << 20
)

var (
	// ErrNotFound: there is no record of that kind and name.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the record has another revision than the caller expects.
	ErrConflict = errors.New("conflict")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")
	// ErrUnavailable: the store could not be reached, or could not keep what it was given, for as long as an engine
	// tries. A write that ends so, or with its context, may have taken effect or may yet.
	ErrUnavailable = errors.New("store is unavailable")
)

// Kind is a class of records, such as KindFunction: 1 to 63 of a-z, 0-9 and '_'.
type Kind string

// Record is one kept value. Revisions grow over the whole registry and are never used twice, so a record
// that was deleted and made again has another one.
type Record struct {
	Kind     Kind
	Name     string
	Revision uint64 // never 0
	Value    []byte // JSON
}

// Change is one step of a record. Of a deleted record Value is nil and Revision is the deletion's own.
type Change struct {
	Record
	Deleted bool
}

// Registry keeps records by kind and name. A call that returned nil has reached stable storage. All methods
// are safe for concurrent use. A kind, name or value out of its limits gives ErrInvalid; an engine that is out of
// reach gives ErrUnavailable.
type Registry interface {
	// Get gives one record, or ErrNotFound.
	Get(ctx context.Context, kind Kind, name string) (Record, error)

	// List gives the kind's records whose name starts with prefix, in byte order of their names.
	List(ctx context.Context, kind Kind, prefix string) ([]Record, error)

	// Put writes a record and returns its new revision. revision is what the caller expects to replace: 0 for
	// a record that must not exist yet. Otherwise ErrConflict, also where the record is gone.
	Put(ctx context.Context, kind Kind, name string, value []byte, revision uint64) (uint64, error)

	// Delete removes a record of that revision: ErrNotFound if there is none, ErrConflict if it has another.
	Delete(ctx context.Context, kind Kind, name string, revision uint64) error

	// Watch sends the kind's records as they are now, then every later change, in order of revision. A reader
	// that falls behind gets the last change of a record and not those between, so that the memory held for
	// it is bounded by the number of records. While the engine is out of reach the watch waits, and loses nothing.
	// The channel ends with ctx, with the registry, or where the engine cannot tell any more what changed, as after a
	// backup was restored: its reader then starts over with what there is.
	Watch(ctx context.Context, kind Kind) (<-chan Change, error)

	// Close ends all watches; later calls give ErrClosed.
	Close() error
}

var kindPattern = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

// CheckKind reports whether a kind keeps to its form, for implementations; the error wraps ErrInvalid.
func CheckKind(kind Kind) error {
	if !kindPattern.MatchString(string(kind)) {
		return fmt.Errorf("%w: kind: %q is not 1 to 63 of a-z, 0-9, '_'", ErrInvalid, clip(string(kind)))
	}
	return nil
}

// CheckRecord reports whether a record's kind and name keep to the limits, for implementations; the error
// wraps ErrInvalid.
func CheckRecord(kind Kind, name string) error {
	if name == "" || len(name) > MaxRecordNameBytes {
		return fmt.Errorf("%w: name: %d bytes, must be 1 to %d", ErrInvalid, len(name), MaxRecordNameBytes)
	}
	return CheckKind(kind)
}

// CheckValue reports whether a value is JSON within the limits, for implementations; the error wraps
// ErrInvalid.
func CheckValue(value []byte) error {
	if len(value) > MaxRecordValueBytes {
		return fmt.Errorf("%w: value: %d bytes are over the limit of %d", ErrInvalid, len(value), MaxRecordValueBytes)
	}
	if !json.Valid(value) {
		return fmt.Errorf("%w: value: not JSON", ErrInvalid)
	}
	return nil
}
