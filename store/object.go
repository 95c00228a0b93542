package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// Load reads the object of type T that is kept under name, with its revision, or ErrNotFound.
func Load[T Object](ctx context.Context, registry Registry, name string) (T, uint64, error) {
	var object T
	record, err := registry.Get(ctx, object.RecordKind(), name)
	if err != nil {
		return object, 0, fmt.Errorf("load %s %q: %w", object.RecordKind(), name, err)
	}
	object, err = Decode[T](record)
	return object, record.Revision, err
}

// LoadAll reads every object of type T whose record name starts with prefix, in order of the names.
func LoadAll[T Object](ctx context.Context, registry Registry, prefix string) ([]T, error) {
	var zero T
	records, err := registry.List(ctx, zero.RecordKind(), prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s %q: %w", zero.RecordKind(), prefix, err)
	}
	objects := make([]T, 0, len(records))
	for _, record := range records {
		object, err := Decode[T](record)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// Save writes an object in place of the given revision (0: it must be new) and returns the new one, or
// ErrConflict.
func Save[T Object](ctx context.Context, registry Registry, object T, revision uint64) (uint64, error) {
	value, err := json.Marshal(object)
	if err != nil {
		return 0, fmt.Errorf("encode %s %q: %w", object.RecordKind(), object.RecordName(), err)
	}
	revision, err = registry.Put(ctx, object.RecordKind(), object.RecordName(), value, revision)
	if err != nil {
		return 0, fmt.Errorf("save %s %q: %w", object.RecordKind(), object.RecordName(), err)
	}
	return revision, nil
}

// Decode gives the object of type T that a record holds, for readers of Watch.
func Decode[T Object](record Record) (T, error) {
	var object T
	if record.Kind != object.RecordKind() {
		return object, fmt.Errorf("%w: record %q is a %s, not a %s", ErrInvalid, record.Name, record.Kind, object.RecordKind())
	}
	if err := json.Unmarshal(record.Value, &object); err != nil {
		return object, fmt.Errorf("decode %s %q: %w", record.Kind, record.Name, err)
	}
	return object, nil
}
