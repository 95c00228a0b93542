package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/scheduler"
	"sluice/store"
)

// followRetryInterval is the wait after the store failed; what was known goes on to be served.
const followRetryInterval = time.Second

// restore puts everything into effect that the store holds, and takes out of effect what it holds no more.
func (r *rollout) restore(ctx context.Context) error {
	functions, err := store.LoadAll[store.Function](ctx, r.registry, "")
	if err != nil {
		return err
	}
	names := make(map[string]bool)
	for _, f := range functions {
		names[f.RecordName()] = true
	}
	for _, key := range r.all() {
		names[store.FunctionRecord(key.Tenant, key.Function)] = true
	}
	for name := range names {
		if err := r.adopt(ctx, name); err != nil {
			return fmt.Errorf("restoring %s: %w", name, err)
		}
	}
	return nil
}

// follow puts into effect what other daemons of the same store deploy and remove, until ctx ends.
func (r *rollout) follow(ctx context.Context) {
	for ctx.Err() == nil {
		changes, err := r.registry.Watch(ctx, store.KindFunction)
		if err == nil {
			// Read after the watch began: what was deleted before it is not told of.
			err = r.restore(ctx)
			for change := range changes {
				if failed := r.adopt(ctx, change.Name); failed != nil && ctx.Err() == nil {
					r.log.Error("a deployment cannot be put into effect", "function", change.Name, "error", failed)
				}
			}
		}
		if ctx.Err() != nil {
			return
		}
		r.log.Warn("following the store is interrupted", "kind", store.KindFunction, "error", err, "retry_ms", followRetryInterval.Milliseconds())
		select {
		case <-ctx.Done():
		case <-time.After(followRetryInterval):
		}
	}
}

// adopt puts into effect what the store says of a function now. What a change said is not asked: an own deployment may
// have come between.
func (r *rollout) adopt(ctx context.Context, name string) error {
	r.deploying.Lock()
	defer r.deploying.Unlock()
	tenant, function, _ := strings.Cut(name, "/")
	version, err := store.LatestVersion(ctx, r.registry, tenant, function)
	if errors.Is(err, store.ErrNotFound) {
		r.forget(tenant, function)
		return nil
	}
	if err != nil {
		return err
	}
	return r.apply(version)
}

// forget takes a function out of effect.
func (r *rollout) forget(tenant, function string) {
	r.mutex.Lock()
	gone, ok := r.current[tenant][function]
	delete(r.current[tenant], function)
	r.mutex.Unlock()
	if ok {
		r.retire(gone.key)
	}
}

// all lists the Keys of what is in effect.
func (r *rollout) all() []scheduler.Key {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var keys []scheduler.Key
	for _, functions := range r.current {
		for _, d := range functions {
			keys = append(keys, d.key)
		}
	}
	return keys
}
