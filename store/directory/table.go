package directory

import (
	"context"
	"time"

	"sluice/store"
)

// table is all objects of one kind. The Directory's mutex guards it.
type table[T store.Object] struct {
	objects   map[string]T
	revisions map[string]uint64
	revision  uint64 // the last that was seen
}

// reload puts what the Registry holds in place of what was known, at once.
func (t *table[T]) reload(ctx context.Context, d *Directory) error {
	var zero T
	records, err := d.registry.List(ctx, zero.RecordKind(), "")
	if err != nil {
		return err
	}
	objects, revisions, last := make(map[string]T, len(records)), make(map[string]uint64, len(records)), uint64(0)
	var told []T
	for _, record := range records {
		object, err := store.Decode[T](record)
		if err != nil {
			return err
		}
		objects[record.Name], revisions[record.Name] = object, record.Revision
		last = max(last, record.Revision)
		told = append(told, object)
	}
	d.mutex.Lock()
	gone := t.objects
	t.objects, t.revisions = objects, revisions
	d.mutex.Unlock()
	for name, object := range gone {
		if revisions[name] == 0 {
			d.tell(object, true)
		}
	}
	for _, object := range told {
		d.tell(object, false)
	}
	t.announce(d, last)
	return nil
}

// follow applies changes until ctx ends.
func (t *table[T]) follow(ctx context.Context, d *Directory) {
	var zero T
	for ctx.Err() == nil {
		changes, err := d.registry.Watch(ctx, zero.RecordKind())
		if err == nil {
			// Read after the watch began: what was deleted before it is not told of.
			err = t.reload(ctx, d)
			for change := range changes {
				t.apply(d, change)
			}
		}
		if ctx.Err() != nil {
			return
		}
		d.log.Warn("following the store is interrupted", "kind", zero.RecordKind(), "error", err, "retry_ms", retryInterval.Milliseconds())
		select {
		case <-ctx.Done():
		case <-time.After(retryInterval):
		}
	}
}

func (t *table[T]) apply(d *Directory, change store.Change) {
	var object T
	if !change.Deleted {
		var err error
		if object, err = store.Decode[T](change.Record); err != nil {
			d.log.Error("a record cannot be read", "kind", change.Kind, "error", err)
			return
		}
	}
	d.mutex.Lock()
	if change.Revision <= t.revisions[change.Name] {
		d.mutex.Unlock()
		return
	}
	if change.Deleted {
		object = t.objects[change.Name]
		delete(t.objects, change.Name)
		delete(t.revisions, change.Name)
	} else {
		t.objects[change.Name], t.revisions[change.Name] = object, change.Revision
	}
	d.mutex.Unlock()
	d.tell(object, change.Deleted)
	t.announce(d, change.Revision)
}

// announce wakes those who await a revision, when all know of it.
func (t *table[T]) announce(d *Directory, revision uint64) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	t.revision = max(t.revision, revision)
	close(d.news)
	d.news = make(chan struct{})
}

// tell tells of a tenant.
func (d *Directory) tell(object store.Object, deleted bool) {
	if tenant, ok := object.(store.Tenant); ok && tenant.Name != "" {
		tenant.Disabled = tenant.Disabled || deleted
		d.changed(tenant)
	}
}
