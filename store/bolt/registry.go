package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"sluice/store"
)

// Get implements store.Registry.
func (s *Store) Get(ctx context.Context, kind store.Kind, name string) (store.Record, error) {
	if err := errors.Join(ctx.Err(), store.CheckRecord(kind, name)); err != nil {
		return store.Record{}, err
	}
	var record store.Record
	err := s.db.View(func(tx *bbolt.Tx) error {
		value, err := existing(tx, kind, name)
		record = decode(kind, name, value)
		return err
	})
	return record, translate(err)
}

// List implements store.Registry.
func (s *Store) List(ctx context.Context, kind store.Kind, prefix string) ([]store.Record, error) {
	if err := errors.Join(ctx.Err(), store.CheckKind(kind)); err != nil {
		return nil, err
	}
	var records []store.Record
	err := s.db.View(func(tx *bbolt.Tx) error {
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
func (s *Store) Put(ctx context.Context, kind store.Kind, name string, value []byte, revision uint64) (uint64, error) {
	if err := errors.Join(ctx.Err(), store.CheckRecord(kind, name), store.CheckValue(value)); err != nil {
		return 0, err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var written uint64
	err := s.db.Update(func(tx *bbolt.Tx) (err error) {
		written, err = put(tx, kind, name, value, revision)
		return err
	})
	if err != nil {
		return 0, translate(err)
	}
	s.tell(store.Change{Record: store.Record{Kind: kind, Name: name, Revision: written, Value: bytes.Clone(value)}})
	return written, nil
}

// Delete implements store.Registry.
func (s *Store) Delete(ctx context.Context, kind store.Kind, name string, revision uint64) error {
	if err := errors.Join(ctx.Err(), store.CheckRecord(kind, name)); err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var written uint64
	err := s.db.Update(func(tx *bbolt.Tx) error {
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
	s.tell(store.Change{Record: store.Record{Kind: kind, Name: name, Revision: written}, Deleted: true})
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
