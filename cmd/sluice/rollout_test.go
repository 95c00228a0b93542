package main

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/batcher/runner"
	"sluice/scheduler"
	"sluice/scheduler/executor"
	"sluice/store"
	"sluice/store/bolt"
)

// newTestRollout has a real store, runner and executor; the executor does not run, so that nothing starts.
func newTestRollout(t *testing.T, registry store.Registry) *rollout {
	t.Helper()
	r := newRollout(registry, slog.New(slog.DiscardHandler))
	r.routes = runner.New(runner.Config{Demand: r})
	folder := t.TempDir()
	var err error
	r.executor, err = executor.New(executor.Config{
		FunctionFolder: filepath.Join(folder, "functions"), LogFolder: filepath.Join(folder, "logs"),
		Routes: routes{r.routes}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func openBolt(t *testing.T, path string) store.Registry {
	t.Helper()
	registry, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Close() })
	return registry
}

func testSpec(t *testing.T, name string) store.FunctionSpec {
	t.Helper()
	spec, err := store.ParseFunction([]byte("apiVersion: sluice/v1\nkind: Function\nname: " + name + "\ncommand: [./program]\n"))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestDeployedFunctionIsResolved(t *testing.T) {
	r := newTestRollout(t, openBolt(t, filepath.Join(t.TempDir(), "store")))
	ctx := t.Context()
	for number := range 2 {
		version, err := r.deploy(ctx, store.DefaultTenant, testSpec(t, "adder"))
		if err != nil {
			t.Fatal(err)
		}
		key, err := r.Resolve(ctx, store.DefaultTenant, "adder", "")
		if err != nil || key.Version != version.Number {
			t.Errorf("deployment %d: resolved %v, %v, want version %s", number, key, err, version.Number)
		}
	}
	for _, missing := range []struct{ tenant, model, version string }{
		{store.DefaultTenant, "adder", "3"},
		{store.DefaultTenant, "other", ""},
		{"other", "adder", ""},
	} {
		if key, err := r.Resolve(ctx, missing.tenant, missing.model, missing.version); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v: resolved %v, %v, want not found", missing, key, err)
		}
	}
	if err := r.remove(ctx, store.DefaultTenant, "adder"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(ctx, store.DefaultTenant, "adder", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed, but %v", err)
	}
}

// A replaced Version keeps its route while something waits for it or runs on it.
func TestReplacedVersionGoesWhenItIsIdle(t *testing.T) {
	r := newTestRollout(t, openBolt(t, filepath.Join(t.TempDir(), "store")))
	old, err := r.deploy(t.Context(), store.DefaultTenant, testSpec(t, "adder"))
	if err != nil {
		t.Fatal(err)
	}
	key := scheduler.KeyOf(old)
	r.Demand(runner.Key(key), 0, 1)
	if _, err := r.deploy(t.Context(), store.DefaultTenant, testSpec(t, "adder")); err != nil {
		t.Fatal(err)
	}
	if named, err := r.Resolve(t.Context(), store.DefaultTenant, "adder", old.Number); err != nil || named != runner.Key(key) {
		t.Errorf("version %s, which still runs, is resolved as %v, %v", old.Number, named, err)
	}
	later := time.Now().Add(retireAfter)
	if idle := r.idleRetiring(later); len(idle) != 0 {
		t.Errorf("%v would go with a request on it", idle)
	}
	r.Demand(runner.Key(key), 0, 0)
	if idle := r.idleRetiring(time.Now()); len(idle) != 0 {
		t.Errorf("%v would go at once", idle)
	}
	idle := r.idleRetiring(later)
	if len(idle) != 1 || idle[0] != key {
		t.Fatalf("%v would go, want %v", idle, key)
	}
	r.retire(key)
	if _, err := r.routes.Route(runner.Key(key)); !errors.Is(err, runner.ErrNoRoute) {
		t.Errorf("the route is still there: %v", err)
	}
	if _, err := r.Resolve(t.Context(), store.DefaultTenant, "adder", old.Number); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "version "+old.Number) {
		t.Errorf("the version that went is resolved: %v", err)
	}
}

// What was deployed is in effect again after the store is opened anew.
func TestRestore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	first := newTestRollout(t, openBolt(t, path))
	for _, name := range []string{"adder", "doubler"} {
		if _, err := first.deploy(t.Context(), store.DefaultTenant, testSpec(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.registry.Close(); err != nil {
		t.Fatal(err)
	}
	second := newTestRollout(t, openBolt(t, path))
	if err := second.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := second.List(t.Context(), store.DefaultTenant)
	if err != nil || len(keys) != 2 || keys[0].Function != "adder" || keys[1].Function != "doubler" {
		t.Fatalf("restored %v, %v", keys, err)
	}
	for _, key := range keys {
		if _, err := second.routes.Route(key); err != nil {
			t.Error(err)
		}
	}
}
