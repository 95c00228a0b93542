package directory_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/bolt"
	"sluice/store/directory"
)

// fixture is a Directory that follows a real store.
type fixture struct {
	*directory.Directory
	t        *testing.T
	registry store.Registry

	mutex sync.Mutex
	told  map[string]store.Tenant
}

func open(t *testing.T) *fixture {
	registry, err := bolt.Open(filepath.Join(t.TempDir(), "store.bolt"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, registry: registry, told: make(map[string]store.Tenant)}
	f.Directory, err = directory.Open(t.Context(), registry, slog.New(slog.DiscardHandler), func(tenant store.Tenant) {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		f.told[tenant.Name] = tenant
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, registry.Close()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// save writes an object and waits until the Directory knows.
func save[T store.Object](f *fixture, object T, revision uint64) uint64 {
	f.t.Helper()
	revision, err := store.Save(f.t.Context(), f.registry, object, revision)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.Await(f.t.Context(), object.RecordKind(), revision); err != nil {
		f.t.Fatal(err)
	}
	return revision
}

func (f *fixture) key(tenant string) (secret string, key store.APIKey) {
	f.t.Helper()
	secret, key, err := store.NewAPIKey(tenant, "", time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	save(f, key, 0)
	return secret, key
}

func (f *fixture) expect(secret, tenant string) {
	f.t.Helper()
	caller, err := f.Authenticate(secret)
	switch {
	case tenant == "" && !errors.Is(err, store.ErrNotFound):
		f.t.Errorf("the key opens %+v, %v", caller, err)
	case tenant != "" && (err != nil || caller.Tenant.Name != tenant || caller.KeyID == ""):
		f.t.Errorf("the key opens %+v, %v, want %s", caller, err, tenant)
	}
}

func TestAuthenticate(t *testing.T) {
	f := open(t)
	revision := save(f, store.Tenant{Name: "acme"}, 0)
	secret, key := f.key("acme")
	f.expect(secret, "acme")
	other, _ := f.key("nobody")
	for _, wrong := range []string{"", "x", secret + "x", key.Hash, other} {
		f.expect(wrong, "")
	}

	revision = save(f, store.Tenant{Name: "acme", Disabled: true}, revision)
	f.expect(secret, "")
	if _, err := f.Tenant("acme"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a disabled tenant: %v", err)
	}
	save(f, store.Tenant{Name: "acme", Limits: store.TenantLimits{Instances: 3}}, revision)
	f.expect(secret, "acme")
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if tenant, err := f.Tenant("acme"); err != nil || tenant.Limits.Instances != 3 || f.told["acme"].Limits.Instances != 3 {
		t.Errorf("limits: %+v, %v, told %+v", tenant, err, f.told["acme"])
	}
}

// A key that is replaced goes on until it ends, and is of no use from then on.
func TestKeyEnds(t *testing.T) {
	f := open(t)
	save(f, store.Tenant{Name: "acme"}, 0)
	secret, key := f.key("acme")
	_, revision, err := store.Load[store.APIKey](t.Context(), f.registry, key.RecordName())
	if err != nil {
		t.Fatal(err)
	}
	key.ExpiresAt = time.Now().Add(time.Hour)
	revision = save(f, key, revision)
	f.expect(secret, "acme")
	key.ExpiresAt = time.Now()
	save(f, key, revision)
	f.expect(secret, "")
}

// What is known outlives neither the deletion of a key nor that of its tenant, and one who asks anew knows it as well.
func TestDeletion(t *testing.T) {
	f := open(t)
	revision := save(f, store.Tenant{Name: "acme"}, 0)
	secret, _ := f.key("acme")
	if err := f.registry.Delete(t.Context(), store.KindTenant, "acme", revision); err != nil {
		t.Fatal(err)
	}
	save(f, store.Tenant{Name: "later"}, 0) // comes after the deletion
	f.expect(secret, "")
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if !f.told["acme"].Disabled {
		t.Errorf("told of a tenant that is gone: %+v", f.told["acme"])
	}
}
