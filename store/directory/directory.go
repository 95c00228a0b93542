// Package directory knows from memory who has which API key and what each tenant may: it follows a Registry, so that no
// request waits for the store.
package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sluice/store"
)

// retryInterval is the wait after the Registry failed; what was known goes on to count.
const retryInterval = time.Second

// Directory is what is known. Its methods may be called at any time.
type Directory struct {
	registry store.Registry
	log      *slog.Logger
	changed  func(store.Tenant)

	mutex   sync.RWMutex
	tenants table[store.Tenant]
	keys    table[store.APIKey]
	news    chan struct{} // closed, and made anew, with each change
}

// Open reads tenants and keys; Run follows them. changed, which may be nil, is told of each tenant, now and whenever its
// record changes; of one that is gone, it is told as disabled. It must not wait for the Directory.
func Open(ctx context.Context, registry store.Registry, log *slog.Logger, changed func(store.Tenant)) (*Directory, error) {
	if changed == nil {
		changed = func(store.Tenant) {}
	}
	d := &Directory{registry: registry, log: log, changed: changed, news: make(chan struct{})}
	return d, errors.Join(d.tenants.reload(ctx, d), d.keys.reload(ctx, d))
}

// Run follows the Registry until ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	var group sync.WaitGroup
	group.Go(func() { d.tenants.follow(ctx, d) })
	group.Go(func() { d.keys.follow(ctx, d) })
	group.Wait()
	return nil
}

// Caller is who has a key.
type Caller struct {
	Tenant store.Tenant
	KeyID  string
}

// Authenticate gives the caller with this key. A key that is nobody's, that has ended, or whose tenant is disabled or
// gone gives store.ErrNotFound, all alike.
func (d *Directory) Authenticate(secret string) (Caller, error) {
	if secret == "" || len(secret) > store.MaxAPIKeyBytes {
		return Caller{}, fmt.Errorf("API key: %w", store.ErrNotFound)
	}
	hash := store.HashAPIKey(secret)
	d.mutex.RLock()
	defer d.mutex.RUnlock()
	key, ok := d.keys.objects[hash]
	if !ok || key.Ended(time.Now()) {
		return Caller{}, fmt.Errorf("API key: %w", store.ErrNotFound)
	}
	tenant, ok := d.tenants.objects[key.Tenant]
	if !ok || tenant.Disabled {
		return Caller{}, fmt.Errorf("API key: %w", store.ErrNotFound)
	}
	return Caller{Tenant: tenant, KeyID: key.ID()}, nil
}

// Tenant gives a tenant that is not disabled, or store.ErrNotFound.
func (d *Directory) Tenant(name string) (store.Tenant, error) {
	d.mutex.RLock()
	defer d.mutex.RUnlock()
	tenant, ok := d.tenants.objects[name]
	if !ok || tenant.Disabled {
		return store.Tenant{}, fmt.Errorf("tenant %q: %w", name, store.ErrNotFound)
	}
	return tenant, nil
}

// Await waits until a revision of a tenant or a key is in effect: the Directory knows of it, and changed was told.
func (d *Directory) Await(ctx context.Context, kind store.Kind, revision uint64) error {
	for {
		d.mutex.RLock()
		seen, news := d.tenants.revision, d.news
		if kind == store.KindAPIKey {
			seen = d.keys.revision
		}
		d.mutex.RUnlock()
		if seen >= revision {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the %s to take effect: %w", kind, ctx.Err())
		}
	}
}
