package main

import (
	"errors"
	"log/slog"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sluice/batcher/runner"
	"sluice/store"
	"sluice/store/redis"
)

const (
	followBound = 10 * time.Second
	followPause = 10 * time.Millisecond
)

// newRedis starts a server that keeps what it acknowledges.
func newRedis(t *testing.T) (url string) {
	t.Helper()
	folder := t.TempDir()
	socket := filepath.Join(folder, "redis.sock")
	server := exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--dir", folder,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	return "unix://" + socket + "?retry_for=10s"
}

// followingRollout is what one of several daemons has.
func followingRollout(t *testing.T, url string) *rollout {
	t.Helper()
	registry, err := redis.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Close() })
	r := newTestRollout(t, registry)
	ended := make(chan error)
	go func() { ended <- r.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// awaitResolved waits until a function is resolved to a version, or to none where it is empty.
func awaitResolved(t *testing.T, r *rollout, function, version string) runner.Key {
	t.Helper()
	for deadline := time.Now().Add(followBound); ; time.Sleep(followPause) {
		key, err := r.Resolve(t.Context(), store.DefaultTenant, function, "")
		if version == "" && errors.Is(err, store.ErrNotFound) || err == nil && key.Version == version {
			return key
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is resolved to %v, %v, want version %q", function, key, err, version)
		}
	}
}

// Daemons that share a store serve what any of them deploys, and no more what any of them removes.
func TestDaemonsFollowEachOther(t *testing.T) {
	url := newRedis(t)
	one, other := followingRollout(t, url), followingRollout(t, url)
	ctx := t.Context()
	for _, version := range []string{"1", "2"} {
		if _, err := one.deploy(ctx, store.DefaultTenant, testSpec(t, "adder")); err != nil {
			t.Fatal(err)
		}
		key := awaitResolved(t, other, "adder", version)
		if _, err := other.routes.Route(key); err != nil {
			t.Error(err)
		}
	}
	if err := other.remove(ctx, store.DefaultTenant, "adder"); err != nil {
		t.Fatal(err)
	}
	awaitResolved(t, one, "adder", "")
	// Its versions count from 1 again, with another batch.
	spec := testSpec(t, "adder")
	spec.Batch = store.Batch{Policy: "window", MaxSize: 7}
	if _, err := other.deploy(ctx, store.DefaultTenant, spec); err != nil {
		t.Fatal(err)
	}
	key := awaitResolved(t, one, "adder", "1")
	if route, err := one.routes.Route(key); err != nil || route.MaxSize != 7 {
		t.Errorf("the route is %v, %v, want the new one", route, err)
	}
}

// What changes unseen between two looks at the store is put into effect as well: here a function is removed and
// deployed anew under the same number.
func TestFunctionDeployedAnewUnseen(t *testing.T) {
	url := newRedis(t)
	registry, err := redis.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	r := newTestRollout(t, registry)
	if _, err := r.deploy(t.Context(), store.DefaultTenant, testSpec(t, "adder")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.deploy(t.Context(), store.DefaultTenant, testSpec(t, "gone")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"adder", "gone"} {
		if err := store.Remove(t.Context(), registry, store.DefaultTenant, name); err != nil {
			t.Fatal(err)
		}
	}
	spec := testSpec(t, "adder")
	spec.Batch = store.Batch{Policy: "window", MaxSize: 7}
	if _, err := store.Deploy(t.Context(), registry, store.DefaultTenant, spec, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := r.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := awaitResolved(t, r, "adder", "1")
	if route, err := r.routes.Route(key); err != nil || route.MaxSize != 7 {
		t.Errorf("the route is %v, %v, want the new one", route, err)
	}
	if key, err := r.Resolve(t.Context(), store.DefaultTenant, "gone", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the removed function is resolved to %v, %v", key, err)
	}
}
