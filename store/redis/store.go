// Package redis keeps a store's Registry, Queue and Counters in Redis, 5.0 or later, alone or as a cluster: a store that
// nodes share. All keys of a store carry one hash tag, its namespace, and so lie in one slot; each operation is one script
// or one read.
//
//	revision            the newest revision of any record
//	history             made once with the store: tells it from another that was put in its place
//	records:<kind>      hash: name to revision, a space, JSON
//	names:<kind>        sorted set: names, in byte order
//	revisions:<kind>    sorted set: names by the revision of their last change, deletions included: the log that watches follow
//	deleted:<kind>      sorted set: deleted names by revision, the last 1,000; trimmed:<kind> is the newest forgotten
//	queue:<name>:...    messages (hash: ID to payload), states (hash: ID to attempt, when sent, order), due (sorted set)
//	sequence            the order of sending
//	counters:<tenant>   hash: name to number
//	bell                stream: what changed, the last 256, so that whoever waits need not ask
//	done:<operation>    what a write has done, for 2 minutes: a call that is tried again, its answer lost, acts once
package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/store"
)

// layout is the first part of a history; another layout of keys has another one.
const layout = "1"

// Store is a store.Registry, store.Queue and store.Counters in Redis.
type Store struct {
	client   redis.UniversalClient
	settings settings
	log      *slog.Logger
	bells    bells

	lifetime context.Context // ends with Close
	end      context.CancelFunc

	mutex   sync.Mutex // guards closed and the start of goroutines
	closed  bool
	running sync.WaitGroup
}

var (
	_ store.Registry = (*Store)(nil)
	_ store.Queue    = (*Store)(nil)
	_ store.Counters = (*Store)(nil)
)

// Open connects to the server or cluster that a URL names (docs/store.md has its forms) and makes the store there if there
// is none, with a tenant named store.DefaultTenant. store.ErrInvalid: the URL is wrong, or the server does not keep what
// it acknowledges; store.ErrUnavailable: it does not answer.
func Open(ctx context.Context, url string, log *slog.Logger) (*Store, error) {
	settings, err := parseURL(url)
	if err != nil {
		return nil, fmt.Errorf("store's URL: %w", err)
	}
	quiet.Do(func() { redis.SetLogger(silent{}) })
	lifetime, end := context.WithCancel(context.Background())
	s := &Store{client: settings.newClient(), settings: settings, log: log, lifetime: lifetime, end: end}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), s.Close())
	}
	s.running.Go(s.listen)
	return s, nil
}

// prepare checks the server, and makes the store on a server that has none.
func (s *Store) prepare(ctx context.Context) error {
	var history string
	err := s.try(ctx, func(ctx context.Context) (err error) {
		history, err = s.client.Get(ctx, s.key("history")).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if found, _, _ := strings.Cut(history, ":"); history != "" && found != layout {
		return fmt.Errorf("%w: namespace %q holds a store of layout %q, not %s", store.ErrInvalid, s.settings.namespace, found, layout)
	}
	if err := s.checkDurability(ctx); err != nil {
		return err
	}
	if history != "" {
		return nil
	}
	tenant := store.Tenant{Name: store.DefaultTenant, CreatedAt: time.Now().UTC()}
	value, err := json.Marshal(tenant)
	if err != nil {
		return err
	}
	_, err = s.Put(ctx, tenant.RecordKind(), tenant.RecordName(), value, 0)
	if err != nil && !errors.Is(err, store.ErrConflict) { // a conflict: another node is making the store too
		return err
	}
	return s.try(ctx, func(ctx context.Context) error {
		return s.client.SetNX(ctx, s.key("history"), layout+":"+newOperation(), 0).Err()
	})
}

// Close ends all watches and waiting receivers; later calls give store.ErrClosed.
func (s *Store) Close() error {
	s.mutex.Lock()
	before := s.closed
	s.closed = true
	s.mutex.Unlock()
	if before {
		return nil
	}
	s.end()
	err := s.client.Close()
	s.running.Wait()
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// start runs a goroutine that Close waits for; false if the store is closed.
func (s *Store) start(run func()) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if !s.closed {
		s.running.Go(run)
	}
	return !s.closed
}

func (s *Store) key(name string) string { return "{" + s.settings.namespace + "}:" + name }

func (s *Store) keys(names ...string) []string {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = s.key(name)
	}
	return keys
}

// silent drops go-redis's own log: what goes wrong is in the errors.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

var quiet sync.Once
