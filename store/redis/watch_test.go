package redis_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

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

// A watch that sleeps while more is deleted than the server remembers ends, rather than keep a deletion from its reader.
func TestWatchEndsWhenDeletionsAreForgotten(t *testing.T) {
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
	untilEnd(t, changes)
	state(t, engine, "kept", "in the way")
}

// untilEnd reads what is left of a watch that has to end.
func untilEnd(t *testing.T, changes <-chan store.Change) {
	t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case _, open := <-changes:
			if !open {
				return
			}
		case <-timeout:
			t.Fatal("the watch did not end")
		}
	}
}

// state checks what a new watch tells of.
func state(t *testing.T, engine *redis.Store, names ...string) {
	t.Helper()
	changes, err := engine.Watch(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if change := next(t, changes); change.Name != name || change.Deleted {
			t.Errorf("got %+v, want %s", change, name)
		}
	}
	last := put(t, engine, "last")
	if change := next(t, changes); change.Revision != last {
		t.Errorf("got %+v, want the last", change)
	}
}

// Where other data was put in the store's place, revisions start anew.
func TestWatchEndsWithItsData(t *testing.T) {
	server := newServer(t)
	engine := open(t, server.url(""))
	put(t, engine, "old")
	changes, err := engine.Watch(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	next(t, changes)
	server.do(t, "FLUSHALL")
	other := open(t, server.url(""))
	put(t, other, "new")
	untilEnd(t, changes)
	state(t, engine, "new")
}
