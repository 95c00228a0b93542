// Package bolt keeps a store.Registry in one file by bbolt: a daemon's own store, for one process at a time.
//
// Each kind is a bucket; a value is the record's revision (8 bytes, big endian) and its JSON. Revisions come
// from the sequence of a bucket of their own, whose write is part of each transaction.
package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sluice/store"
)

const (
	fileMode        = 0o600
	lockTimeout     = 5 * time.Second
	revisionBytes   = 8
	revisionsBucket = "!revisions" // no kind has a "!"
)

// Registry is a store.Registry in a file.
type Registry struct {
	db *bbolt.DB

	// Taken around each write and the telling of its watchers, so that they see changes in order of revision.
	mutex    sync.Mutex
	closed   bool
	watchers map[*watcher]struct{}
	running  sync.WaitGroup
}

var _ store.Registry = (*Registry)(nil)

// Open opens the file, or makes it, with a tenant named store.DefaultTenant. It fails if another process has
// it open for more than 5 seconds.
func Open(path string) (*Registry, error) {
	db, err := bbolt.Open(path, fileMode, &bbolt.Options{Timeout: lockTimeout})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open store %s: another process has it open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	if err := db.Update(initialize); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), db.Close())
	}
	return &Registry{db: db, watchers: make(map[*watcher]struct{})}, nil
}

// initialize makes a fresh file's buckets and its default tenant; it leaves any other file alone.
func initialize(tx *bbolt.Tx) error {
	if tx.Bucket([]byte(revisionsBucket)) != nil {
		return nil
	}
	if _, err := tx.CreateBucket([]byte(revisionsBucket)); err != nil {
		return err
	}
	tenant := store.Tenant{Name: store.DefaultTenant, CreatedAt: time.Now().UTC()}
	value, err := json.Marshal(tenant)
	if err != nil {
		return err
	}
	_, err = put(tx, tenant.RecordKind(), tenant.RecordName(), value, 0)
	return err
}

// Get implements store.Registry.
func (r *Registry) Get(ctx context.Context, kind store.Kind, name string) (store.Record, error) {
	if err := errors.Join(ctx.Err(), store.CheckRecord(kind, name)); err != nil {
		return store.Record{}, err
	}
	var record store.Record
	err := r.db.View(func(tx *bbolt.Tx) error {
		value, err := existing(tx, kind, name)
		record = decode(kind, name, value)
		return err
	})
	return record, translate(err)
}

// List implements store.Registry.
func (r *Registry) List(ctx context.Context, kind store.Kind, prefix string) ([]store.Record, error) {
	if err := errors.Join(ctx.Err(), store.CheckKind(kind)); err != nil {
		return nil, err
	}
	var records []store.Record
	err := r.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(kind))
		if bucket == nil {
			return nil
		}
		cursor := bucket.Cursor()
		for name, value := cursor.Seek([]byte(prefix)); name != nil && bytes.HasPrefix(name, []byte(prefix)); name, value = cursor.Next() {
			records = append(records, decode(kind, string(name), value))
		}
		return nil
	})
	return records, translate(err)
}

// Put implements store.Registry.
func (r *Registry) Put(ctx context.Context, kind store.Kind, name string, value []byte, revision uint64) (uint64, error) {
	if err := errors.Join(ctx.Err(), store.CheckRecord(kind, name), store.CheckValue(value)); err != nil {
		return 0, err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var written uint64
	err := r.db.Update(func(tx *bbolt.Tx) (err error) {
		written, err = put(tx, kind, name, value, revision)
		return err
	})
	if err != nil {
		return 0, translate(err)
	}
	r.tell(store.Change{Record: store.Record{Kind: kind, Name: name, Revision: written, Value: bytes.Clone(value)}})
	return written, nil
}

// Delete implements store.Registry.
func (r *Registry) Delete(ctx context.Context, kind store.Kind, name string, revision uint64) error {
	if err := errors.Join(ctx.Err(), store.CheckRecord(kind, name)); err != nil {
		return err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var written uint64
	err := r.db.Update(func(tx *bbolt.Tx) error {
		value, err := existing(tx, kind, name)
		if err != nil {
			return err
		}
		if now := decode(kind, name, value).Revision; now != revision {
			return conflict(kind, name, now, revision)
		}
		if written, err = nextRevision(tx); err != nil {
			return err
		}
		return tx.Bucket([]byte(kind)).Delete([]byte(name))
	})
	if err != nil {
		return translate(err)
	}
	r.tell(store.Change{Record: store.Record{Kind: kind, Name: name, Revision: written}, Deleted: true})
	return nil
}

// Close implements store.Registry.
func (r *Registry) Close() error {
	r.mutex.Lock()
	r.closed = true
	for watcher := range r.watchers {
		watcher.cancel()
	}
	r.mutex.Unlock()
	r.running.Wait()
	if err := r.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

func put(tx *bbolt.Tx, kind store.Kind, name string, value []byte, revision uint64) (uint64, error) {
	bucket, err := tx.CreateBucketIfNotExists([]byte(kind))
	if err != nil {
		return 0, err
	}
	var now uint64
	if old := bucket.Get([]byte(name)); old != nil {
		now = decode(kind, name, old).Revision
	}
	if now != revision {
		return 0, conflict(kind, name, now, revision)
	}
	written, err := nextRevision(tx)
	if err != nil {
		return 0, err
	}
	encoded := binary.BigEndian.AppendUint64(make([]byte, 0, revisionBytes+len(value)), written)
	return written, bucket.Put([]byte(name), append(encoded, value...))
}

func existing(tx *bbolt.Tx, kind store.Kind, name string) ([]byte, error) {
	if bucket := tx.Bucket([]byte(kind)); bucket != nil {
		if value := bucket.Get([]byte(name)); value != nil {
			return value, nil
		}
	}
	return nil, fmt.Errorf("%s %q: %w", kind, name, store.ErrNotFound)
}

func nextRevision(tx *bbolt.Tx) (uint64, error) {
	return tx.Bucket([]byte(revisionsBucket)).NextSequence()
}

func conflict(kind store.Kind, name string, now, expected uint64) error {
	return fmt.Errorf("%s %q: %w: revision is %d (0: none), not %d", kind, name, store.ErrConflict, now, expected)
}

// decode copies what bbolt lends for the time of a transaction.
func decode(kind store.Kind, name string, value []byte) store.Record {
	if len(value) < revisionBytes {
		return store.Record{}
	}
	return store.Record{
		Kind: kind, Name: name,
		Revision: binary.BigEndian.Uint64(value),
		Value:    bytes.Clone(value[revisionBytes:]),
	}
}

func translate(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return store.ErrClosed
	}
	return err
}
