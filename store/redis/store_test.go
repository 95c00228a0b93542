package redis_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/redis"
	"sluice/store/storetest"
)

const kind store.Kind = "thing"

func TestRegistry(t *testing.T) { storetest.RunRegistry(t, newServer(t).factory("")) }
func TestQueue(t *testing.T)    { storetest.RunQueue(t, newServer(t).factory("")) }
func TestCounters(t *testing.T) { storetest.RunCounters(t, newServer(t).factory("")) }

// Two stores are two nodes.
func TestNodesSeeEachOther(t *testing.T) {
	server := newServer(t)
	one, other := open(t, server.url("")), open(t, server.url(""))
	changes, err := one.Watch(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	revision, err := other.Put(t.Context(), kind, "a", []byte(`1`), 0)
	if err != nil {
		t.Fatal(err)
	}
	if change := next(t, changes); change.Name != "a" || change.Revision != revision {
		t.Errorf("got %+v", change)
	}
	received := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		message, err := one.Receive(ctx, "work", time.Hour)
		received <- errors.Join(err, other.Remove(t.Context(), message))
	}()
	if err := other.Send(t.Context(), "work", "m", []byte("payload")); err != nil {
		t.Fatal(err)
	}
	if err := <-received; err != nil {
		t.Error(err)
	}
}

func TestNamespacesAreApart(t *testing.T) {
	server := newServer(t)
	one, other := open(t, server.url("namespace=a")), open(t, server.url("namespace=b"))
	if _, err := one.Put(t.Context(), kind, "a", []byte(`1`), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Get(t.Context(), kind, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("error is %v", err)
	}
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

func TestOpenChecksDurability(t *testing.T) {
	server := newServer(t)
	for _, c := range []struct{ setting, value, restored, named string }{
		{"appendfsync", "everysec", "always", "appendfsync"},
		{"appendonly", "no", "yes", "appendonly"},
		{"maxmemory-policy", "allkeys-lru", "noeviction", "maxmemory-policy"},
	} {
		server.do(t, "CONFIG", "SET", c.setting, c.value, "maxmemory", "1gb")
		if _, err := redis.Open(t.Context(), server.url(""), discard); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), c.named) {
			t.Errorf("with %s %s: %v", c.setting, c.value, err)
		}
		open(t, server.url("durability=trusted"))
		server.do(t, "CONFIG", "SET", c.setting, c.restored, "maxmemory", "0")
	}
	open(t, server.url(""))
}

func TestOpenTakesAServerThatHidesItsConfiguration(t *testing.T) {
	server := newServer(t, "--user", "node", "on", ">secret", "~{sluice}:*", "+@all", "-config")
	open(t, "unix://node:secret@"+server.socket)
}

// The rights are those that docs/store.md names.
func TestUserWithFewRights(t *testing.T) {
	server := newServer(t, "--user", "default", "off", "--user", "sluice", "on", ">secret", "~{sluice}:*",
		"+@read", "+@write", "+@connection", "+@scripting", "+time", "+cluster", "+config|get")
	warned := &bytes.Buffer{}
	engine, err := redis.Open(t.Context(), "unix://sluice:secret@"+server.socket, slog.New(slog.NewTextHandler(warned, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	changes, err := engine.Watch(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	revision := put(t, engine, "a")
	next(t, changes)
	err = errors.Join(
		engine.Delete(t.Context(), kind, "a", revision),
		engine.Send(t.Context(), "work", "m", nil),
		engine.Add(t.Context(), "t1", map[string]int64{"n": 1}),
	)
	if err != nil {
		t.Fatal(err)
	}
	if message, err := engine.Receive(t.Context(), "work", time.Hour); err != nil || engine.Remove(t.Context(), message) != nil {
		t.Errorf("received %+v, %v", message, err)
	}
	if warned.Len() > 0 {
		t.Errorf("log: %s", warned)
	}
	if _, err := redis.Open(t.Context(), "unix://sluice:secret@"+server.socket+"?namespace=other", discard); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("another namespace: error is %v", err)
	}
}

func TestOpenRefusesAnotherLayout(t *testing.T) {
	server := newServer(t)
	server.do(t, "SET", "{sluice}:history", "99:x")
	if _, err := redis.Open(t.Context(), server.url(""), discard); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "layout") {
		t.Errorf("error is %v", err)
	}
}

// A server that is full says so, and nothing is half written.
func TestFullServer(t *testing.T) {
	server := newServer(t)
	engine := open(t, server.url("retry_for=2s"))
	revision, err := engine.Put(t.Context(), kind, "a", []byte(`1`), 0)
	if err != nil {
		t.Fatal(err)
	}
	server.do(t, "CONFIG", "SET", "maxmemory", "1")
	_, err = engine.Put(t.Context(), kind, "a", []byte(`2`), revision)
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("error is %v", err)
	}
	if err := engine.Send(t.Context(), "work", "m", nil); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
	server.do(t, "CONFIG", "SET", "maxmemory", "0")
	if _, err := engine.Put(t.Context(), kind, "a", []byte(`2`), revision); err != nil {
		t.Error(err)
	}
	if depth, err := engine.Depth(t.Context(), "work"); err != nil || depth != 0 {
		t.Errorf("depth is %d, %v", depth, err)
	}
}
