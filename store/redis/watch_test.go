package redis_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"sluice/store"
	"sluice/store/redis"
)

func put(t *testing.T, engine *redis.Store, name string) uint64 {
	t.Helper()
	revision, err := engine.Put(t.Context(), kind, name, []byte(`1`), 0)
	if err != nil {
		t.Error(err)
	}
	return revision
}

// A watch that sleeps while more is deleted than the server remembers tells what its reader knew of as deleted.
func TestWatchMakesUpForForgottenDeletions(t *testing.T) {
	const writers, each = 8, 130 // over 1,000 deletions
	server := newServer(t)
	engine := open(t, server.url(""))
	revision := put(t, engine, "old")
	put(t, engine, "kept")
	changes, err := engine.Watch(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"old", "kept"} {
		if change := next(t, changes); change.Name != name || change.Deleted {
			t.Fatalf("got %+v", change)
		}
	}
	put(t, engine, "in the way") // the watch waits for its reader to take this
	if err := engine.Delete(t.Context(), kind, "old", revision); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				name := fmt.Sprintf("passing-%d-%d", w, i)
				if err := engine.Delete(t.Context(), kind, name, put(t, engine, name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	last := put(t, engine, "last")
	var deleted []string
	for {
		change := next(t, changes)
		if change.Deleted {
			deleted = append(deleted, change.Name)
		}
		if change.Revision == last {
			break
		}
	}
	if !slices.Contains(deleted, "old") || slices.Contains(deleted, "kept") {
		t.Errorf("told as deleted, out of %d: old: %v, kept: %v", len(deleted), slices.Contains(deleted, "old"), slices.Contains(deleted, "kept"))
	}
}

// Where other data was put in the store's place, revisions start anew.
func TestWatchNoticesOtherData(t *testing.T) {
	server := newServer(t)
	engine := open(t, server.url(""))
	for i := range 5 {
		put(t, engine, fmt.Sprint("old", i))
	}
	changes, err := engine.Watch(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]store.Change)
	for len(known) < 5 {
		change := next(t, changes)
		known[change.Name] = change
	}
	server.do(t, "FLUSHALL")
	put(t, open(t, server.url("")), "new")
	for _, came := known["new"]; !came || len(known) != 1; _, came = known["new"] {
		change := next(t, changes)
		if change.Deleted {
			delete(known, change.Name)
		} else {
			known[change.Name] = change
		}
	}
}
