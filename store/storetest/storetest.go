// Package storetest holds the conformance suites of store.Registry, store.Queue and store.Counters.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/store"
)

// Engine keeps everything, in one place.
type Engine interface {
	store.Registry
	store.Queue
	store.Counters
}

// Factory opens the engine whose durable state belongs to folder; an empty folder stands for a fresh one. A suite
// closes what it gets, and opens a folder again only after that.
type Factory func(t *testing.T, folder string) Engine

const kind store.Kind = "thing"

type tests map[string]func(*testing.T, Factory)

func (all tests) run(t *testing.T, factory Factory) {
	for name, test := range all {
		t.Run(name, func(t *testing.T) { test(t, factory) })
	}
}

// RunRegistry checks that what the factory makes keeps to store.Registry.
func RunRegistry(t *testing.T, factory Factory) {
	tests{
		"FreshStoreHasDefaultTenant": testFreshStore,
		"PutGetDelete":               testPutGetDelete,
		"PutComparesRevision":        testPutComparesRevision,
		"DeleteComparesRevision":     testDeleteComparesRevision,
		"ListByPrefix":               testList,
		"KindsAreApart":              testKinds,
		"LimitsAreChecked":           testLimits,
		"ValuesAreCopied":            testCopies,
		"ReopenKeepsRecords":         testReopen,
		"ConcurrentWritersLoseNone":  testConcurrentWriters,
		"WatchSendsStateThenChanges": testWatch,
		"WatchKeepsNewestForSlow":    testWatchSlow,
		"WatchEnds":                  testWatchEnds,
		"ClosedRefuses":              testClosed,
		"CancelledContext":           testCancelled,
		"DeployNumbersVersions":      testDeploy,
		"ConcurrentDeployments":      testConcurrentDeploy,
		"RemoveFunction":             testRemove,
		"APIKey":                     testAPIKey,
	}.run(t, factory)
}

func open(t *testing.T, factory Factory) Engine {
	t.Helper()
	engine := factory(t, t.TempDir())
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

func put(t *testing.T, registry store.Registry, name, value string, revision uint64) uint64 {
	t.Helper()
	written, err := registry.Put(t.Context(), kind, name, []byte(value), revision)
	if err != nil {
		t.Fatalf("put %q at revision %d: %v", name, revision, err)
	}
	return written
}

func expect(t *testing.T, err, wanted error, what string) {
	t.Helper()
	if !errors.Is(err, wanted) {
		t.Errorf("%s: error is %v, want %v", what, err, wanted)
	}
}

func testFreshStore(t *testing.T, factory Factory) {
	folder := t.TempDir()
	registry := factory(t, folder)
	tenant, revision, err := store.Load[store.Tenant](t.Context(), registry, store.DefaultTenant)
	if err != nil || tenant.Name != store.DefaultTenant || tenant.CreatedAt.IsZero() {
		t.Fatalf("default tenant of a fresh store: %+v, %v", tenant, err)
	}
	if err := registry.Delete(t.Context(), store.KindTenant, store.DefaultTenant, revision); err != nil {
		t.Fatal(err)
	}
	if err := registry.Close(); err != nil {
		t.Fatal(err)
	}
	registry = factory(t, folder)
	defer registry.Close()
	_, err = registry.Get(t.Context(), store.KindTenant, store.DefaultTenant)
	expect(t, err, store.ErrNotFound, "a deleted default tenant after reopening")
}

func testPutGetDelete(t *testing.T, factory Factory) {
	registry := open(t, factory)
	_, err := registry.Get(t.Context(), kind, "a")
	expect(t, err, store.ErrNotFound, "get of nothing")
	expect(t, registry.Delete(t.Context(), kind, "a", 1), store.ErrNotFound, "delete of nothing")

	first := put(t, registry, "a", `{"n":1}`, 0)
	record, err := registry.Get(t.Context(), kind, "a")
	if err != nil || record.Kind != kind || record.Name != "a" || record.Revision != first || string(record.Value) != `{"n":1}` {
		t.Fatalf("get gives %+v, %v; want revision %d", record, err, first)
	}
	second := put(t, registry, "a", `{"n":2}`, first)
	if first == 0 || second <= first {
		t.Errorf("revisions do not grow from above 0: %d, %d", first, second)
	}
	if err := registry.Delete(t.Context(), kind, "a", second); err != nil {
		t.Fatal(err)
	}
	_, err = registry.Get(t.Context(), kind, "a")
	expect(t, err, store.ErrNotFound, "get after delete")
	if third := put(t, registry, "a", `{"n":3}`, 0); third <= second {
		t.Errorf("a record made again has revision %d, which is not after %d", third, second)
	}
}

func testPutComparesRevision(t *testing.T, factory Factory) {
	registry := open(t, factory)
	ctx := t.Context()
	first := put(t, registry, "a", `1`, 0)
	second := put(t, registry, "a", `2`, first)
	for _, revision := range []uint64{0, first, second + 1} {
		_, err := registry.Put(ctx, kind, "a", []byte(`3`), revision)
		expect(t, err, store.ErrConflict, fmt.Sprintf("put expecting %d where there is %d", revision, second))
	}
	_, err := registry.Put(ctx, kind, "b", []byte(`1`), first)
	expect(t, err, store.ErrConflict, "put expecting a record that does not exist")
	if record, err := registry.Get(ctx, kind, "a"); err != nil || string(record.Value) != `2` {
		t.Errorf("refused writes left %q, %v", record.Value, err)
	}
}

func testDeleteComparesRevision(t *testing.T, factory Factory) {
	registry := open(t, factory)
	first := put(t, registry, "a", `1`, 0)
	put(t, registry, "a", `2`, first)
	expect(t, registry.Delete(t.Context(), kind, "a", first), store.ErrConflict, "delete of an old revision")
	if _, err := registry.Get(t.Context(), kind, "a"); err != nil {
		t.Errorf("a refused delete took the record: %v", err)
	}
}

func names(records []store.Record) []string {
	var all []string
	for _, record := range records {
		all = append(all, record.Name)
	}
	return all
}

func testList(t *testing.T, factory Factory) {
	registry := open(t, factory)
	for _, name := range []string{"b/2", "a", "b/1", "b", "b/10", "c\xff", "c", "c\xfe\xff", "\xff"} {
		put(t, registry, name, `1`, 0)
	}
	for prefix, wanted := range map[string][]string{
		"":   {"a", "b", "b/1", "b/10", "b/2", "c", "c\xfe\xff", "c\xff", "\xff"},
		"b/": {"b/1", "b/10", "b/2"},
		"c":  {"c", "c\xfe\xff", "c\xff"},
		"d":  nil,

		"c\xfe":     {"c\xfe\xff"},
		"c\xfe\xff": {"c\xfe\xff"},
		"\xff":      {"\xff"},
	} {
		records, err := registry.List(t.Context(), kind, prefix)
		if err != nil || !slices.Equal(names(records), wanted) {
			t.Errorf("list %q gives %q, %v; want %q", prefix, names(records), err, wanted)
		}
	}
}

func testKinds(t *testing.T, factory Factory) {
	registry := open(t, factory)
	put(t, registry, "a", `1`, 0)
	_, err := registry.Get(t.Context(), "other", "a")
	expect(t, err, store.ErrNotFound, "get of another kind")
	if records, err := registry.List(t.Context(), "other", ""); err != nil || len(records) != 0 {
		t.Errorf("list of another kind gives %d records, %v", len(records), err)
	}
	if _, err := registry.Put(t.Context(), "other", "a", []byte(`2`), 0); err != nil {
		t.Errorf("the same name under another kind: %v", err)
	}
}

func testLimits(t *testing.T, factory Factory) {
	registry := open(t, factory)
	ctx := t.Context()
	try := func(kind store.Kind, name, value string) error {
		_, err := registry.Put(ctx, kind, name, []byte(value), 0)
		return err
	}
	expect(t, try("", "a", `1`), store.ErrInvalid, "empty kind")
	expect(t, try("!revisions", "a", `1`), store.ErrInvalid, "kind with a '!'")
	expect(t, try(store.Kind(strings.Repeat("k", 64)), "a", `1`), store.ErrInvalid, "long kind")
	expect(t, try(kind, "", `1`), store.ErrInvalid, "empty name")
	expect(t, try(kind, strings.Repeat("n", store.MaxRecordNameBytes+1), `1`), store.ErrInvalid, "long name")
	expect(t, try(kind, "a", ``), store.ErrInvalid, "empty value")
	expect(t, try(kind, "a", `{`), store.ErrInvalid, "value that is no JSON")
	expect(t, try(kind, "a", `"`+strings.Repeat("v", store.MaxRecordValueBytes-1)+`"`), store.ErrInvalid, "long value")
	if err := try(kind, strings.Repeat("n", store.MaxRecordNameBytes), `"`+strings.Repeat("v", store.MaxRecordValueBytes-2)+`"`); err != nil {
		t.Errorf("a record at the limits: %v", err)
	}
	_, err := registry.Get(ctx, "", "a")
	expect(t, err, store.ErrInvalid, "get of an empty kind")
	_, err = registry.List(ctx, "", "")
	expect(t, err, store.ErrInvalid, "list of an empty kind")
	_, err = registry.Watch(ctx, "")
	expect(t, err, store.ErrInvalid, "watch of an empty kind")
}

func testCopies(t *testing.T, factory Factory) {
	registry := open(t, factory)
	value := []byte(`"mine"`)
	if _, err := registry.Put(t.Context(), kind, "a", value, 0); err != nil {
		t.Fatal(err)
	}
	copy(value, `"XXXX"`)
	record, err := registry.Get(t.Context(), kind, "a")
	if err != nil || string(record.Value) != `"mine"` {
		t.Fatalf("the writer's later change shows: %q, %v", record.Value, err)
	}
	copy(record.Value, `"XXXX"`)
	if record, err = registry.Get(t.Context(), kind, "a"); err != nil || string(record.Value) != `"mine"` {
		t.Errorf("a reader's change shows: %q, %v", record.Value, err)
	}
}

func testReopen(t *testing.T, factory Factory) {
	folder := t.TempDir()
	registry := factory(t, folder)
	first := put(t, registry, "a", `"kept"`, 0)
	gone := put(t, registry, "b", `1`, 0)
	if err := registry.Delete(t.Context(), kind, "b", gone); err != nil {
		t.Fatal(err)
	}
	if err := registry.Close(); err != nil {
		t.Fatal(err)
	}
	registry = factory(t, folder)
	defer registry.Close()
	records, err := registry.List(t.Context(), kind, "")
	if err != nil || len(records) != 1 || records[0].Revision != first || string(records[0].Value) != `"kept"` {
		t.Errorf("after reopening: %+v, %v", records, err)
	}
	if second := put(t, registry, "a", `2`, first); second <= gone {
		t.Errorf("revision %d after reopening is not after %d", second, gone)
	}
}

func testClosed(t *testing.T, factory Factory) {
	registry := factory(t, t.TempDir())
	if err := registry.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := registry.Get(t.Context(), kind, "a")
	expect(t, err, store.ErrClosed, "get")
	_, err = registry.List(t.Context(), kind, "")
	expect(t, err, store.ErrClosed, "list")
	_, err = registry.Put(t.Context(), kind, "a", []byte(`1`), 0)
	expect(t, err, store.ErrClosed, "put")
	expect(t, registry.Delete(t.Context(), kind, "a", 1), store.ErrClosed, "delete")
	_, err = registry.Watch(t.Context(), kind)
	expect(t, err, store.ErrClosed, "watch")
}

func testCancelled(t *testing.T, factory Factory) {
	registry := open(t, factory)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := registry.Put(ctx, kind, "a", []byte(`1`), 0)
	expect(t, err, context.Canceled, "put")
	_, err = registry.Get(t.Context(), kind, "a")
	expect(t, err, store.ErrNotFound, "get of a record whose put was cancelled")
}
