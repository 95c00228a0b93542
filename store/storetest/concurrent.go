package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"sluice/store"
)

func testConcurrentWriters(t *testing.T, factory Factory) {
	const writers, increments = 4, 10
	registry := open(t, factory)
	put(t, registry, "counter", `0`, 0)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range increments {
				if err := increment(t.Context(), registry); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if record, err := registry.Get(t.Context(), kind, "counter"); err != nil || string(record.Value) != fmt.Sprint(writers*increments) {
		t.Errorf("counter is %s, %v; want %d", record.Value, err, writers*increments)
	}
}

// increment adds one by compare and set; each conflict means that another writer succeeded.
func increment(ctx context.Context, registry store.Registry) error {
	for {
		record, err := registry.Get(ctx, kind, "counter")
		if err != nil {
			return err
		}
		var count int
		if err := json.Unmarshal(record.Value, &count); err != nil {
			return err
		}
		_, err = registry.Put(ctx, kind, "counter", fmt.Append(nil, count+1), record.Revision)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func spec(name string) store.FunctionSpec {
	return store.FunctionSpec{Name: name, Image: "image:latest", Concurrency: 1}
}

func testConcurrentDeploy(t *testing.T, factory Factory) {
	const deployments = 6
	registry := open(t, factory)
	numbers := make([]string, deployments)
	var group sync.WaitGroup
	for i := range deployments {
		group.Go(func() {
			version, err := store.Deploy(t.Context(), registry, store.DefaultTenant, spec("f"), now)
			if err != nil {
				t.Error(err)
			}
			numbers[i] = version.Number
		})
	}
	group.Wait()
	seen := make(map[string]bool)
	for _, number := range numbers {
		if seen[number] {
			t.Errorf("version %s was given twice: %q", number, numbers)
		}
		seen[number] = true
		if _, _, err := store.Load[store.Version](t.Context(), registry, store.VersionRecord(store.DefaultTenant, "f", number)); err != nil {
			t.Errorf("version %s: %v", number, err)
		}
	}
	if latest, err := store.LatestVersion(t.Context(), registry, store.DefaultTenant, "f"); err != nil || !seen[latest.Number] {
		t.Errorf("latest version is %q, %v", latest.Number, err)
	}
}
