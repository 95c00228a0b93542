// Package bolt keeps a store's Registry, Queue and Counters in one file by bbolt: a daemon's own store, for one process
// at a time.
//
// Each kind of record is a bucket; a value is the record's revision (8 bytes, big endian) and its JSON. Revisions come
// from the sequence of a bucket of their own, whose write is part of each transaction. Queues and counters are buckets
// within one bucket each.
package bolt

import (
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
	fileMode      = 0o600
	lockTimeout   = 5 * time.Second
	revisionBytes = 8

	// Buckets beside the kinds', none of which has a "!".
	revisionsBucket = "!revisions"
	queuesBucket    = "!queues"
	countersBucket  = "!counters"
)

// Store is a store.Registry, store.Queue and store.Counters in a file.
type Store struct {
	db      *bbolt.DB
	closing chan struct{}

	// Taken around each write of a record and the telling of its watchers, so that they see changes in order of revision.
	mutex    sync.Mutex
	closed   bool
	watchers map[*watcher]struct{}
	running  sync.WaitGroup

	bell bell
}

var (
	_ store.Registry = (*Store)(nil)
	_ store.Queue    = (*Store)(nil)
	_ store.Counters = (*Store)(nil)
)

// Open opens the file, or makes it, with a tenant named store.DefaultTenant. It fails if another process has
// it open for more than 5 seconds.
func Open(path string) (*Store, error) {
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
	return &Store{
		db: db, closing: make(chan struct{}), watchers: make(map[*watcher]struct{}), bell: bell{next: make(chan struct{})},
	}, nil
}

// initialize makes a fresh file's buckets and its default tenant; of any other file it leaves the records alone.
func initialize(tx *bbolt.Tx) error {
	fresh := tx.Bucket([]byte(revisionsBucket)) == nil
	for _, name := range []string{revisionsBucket, queuesBucket, countersBucket} {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	if !fresh {
		return nil
	}
	tenant := store.Tenant{Name: store.DefaultTenant, CreatedAt: time.Now().UTC()}
	value, err := json.Marshal(tenant)
	if err != nil {
		return err
	}
	_, err = put(tx, tenant.RecordKind(), tenant.RecordName(), value, 0)
	return err
}

// Close ends all watches and waiting receivers; later calls give store.ErrClosed.
func (s *Store) Close() error {
	s.mutex.Lock()
	if !s.closed {
		close(s.closing)
	}
	s.closed = true
	for watcher := range s.watchers {
		watcher.cancel()
	}
	s.mutex.Unlock()
	s.running.Wait()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

func translate(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return store.ErrClosed
	}
	return err
}
