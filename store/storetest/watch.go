package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sluice/store"
)

// patience bounds the wait for what must come; it is no measure of speed.
const patience = 10 * time.Second

func watch(t *testing.T, registry store.Registry) <-chan store.Change {
	t.Helper()
	changes, err := registry.Watch(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func next(t *testing.T, changes <-chan store.Change) store.Change {
	t.Helper()
	select {
	case change, open := <-changes:
		if !open {
			t.Fatal("the watch ended")
		}
		return change
	case <-time.After(patience):
		t.Fatal("no change came")
	}
	panic("unreachable")
}

func ended(t *testing.T, changes <-chan store.Change, why string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-changes:
			if !open {
				return
			}
		case <-deadline:
			t.Fatalf("the watch did not end with %s", why)
		}
	}
}

func testWatch(t *testing.T, factory Factory) {
	registry := open(t, factory)
	first := put(t, registry, "b", `1`, 0)
	second := put(t, registry, "a", `2`, 0)
	changes := watch(t, registry)
	for _, wanted := range []store.Record{{Name: "b", Revision: first}, {Name: "a", Revision: second}} {
		if got := next(t, changes); got.Name != wanted.Name || got.Revision != wanted.Revision || got.Deleted {
			t.Fatalf("present state: got %+v, want %s at %d", got, wanted.Name, wanted.Revision)
		}
	}
	third := put(t, registry, "a", `3`, second)
	if got := next(t, changes); got.Kind != kind || got.Name != "a" || got.Revision != third || string(got.Value) != `3` || got.Deleted {
		t.Errorf("a write shows as %+v", got)
	}
	if _, err := registry.Put(t.Context(), "other", "x", []byte(`1`), 0); err != nil {
		t.Fatal(err)
	}
	if err := registry.Delete(t.Context(), kind, "b", first); err != nil {
		t.Fatal(err)
	}
	if got := next(t, changes); got.Name != "b" || !got.Deleted || got.Value != nil || got.Revision <= third {
		t.Errorf("a deletion shows as %+v", got)
	}
}

func testWatchSlow(t *testing.T, factory Factory) {
	registry := open(t, factory)
	changes := watch(t, registry)
	const writes = 100
	var revision uint64
	for i := range writes {
		revision = put(t, registry, "busy", fmt.Sprint(i), revision)
	}
	last := put(t, registry, "other", `1`, 0)
	received, before := 0, uint64(0)
	sawNewest := false
	for before != last {
		change := next(t, changes)
		if change.Revision <= before {
			t.Fatalf("revision %d came after %d", change.Revision, before)
		}
		before = change.Revision
		received++
		sawNewest = sawNewest || change.Revision == revision
	}
	if !sawNewest {
		t.Error("the newest state of the busy record never came")
	}
	if received > writes/2 {
		t.Errorf("a reader that fell behind was sent %d of %d changes one by one", received, writes)
	}
}

func testWatchEnds(t *testing.T, factory Factory) {
	registry := factory(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	byContext, err := registry.Watch(ctx, kind)
	if err != nil {
		t.Fatal(err)
	}
	byClose := watch(t, registry)
	cancel()
	ended(t, byContext, "its context")
	put(t, registry, "a", `1`, 0)
	if err := registry.Close(); err != nil {
		t.Fatal(err)
	}
	ended(t, byClose, "the registry")
}
