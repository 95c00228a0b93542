package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sluice/broker/client"
	"sluice/broker/device"
	"sluice/broker/lease"
	"sluice/runtime/sandbox"
	"sluice/scheduler"
)

const (
	// adoptTimeout is for an adopted Instance to say that it is ready; one that was will do so at once.
	adoptTimeout = 10 * time.Second
	// Waits between tries to reach the Sandbox and the broker, without which nothing can be adopted.
	adoptRetryFirst = 50 * time.Millisecond
	adoptRetryLast  = 5 * time.Second
)

// errNotAdopted ends an adopted Instance that is of no use; its function has not failed.
var errNotAdopted = errors.New("it cannot be adopted")

// adopt takes over what an earlier process left running: Instances whose Version is still deployed, with the Lease that
// they need. Everything else of it is cleared away. It is called before the core knows a node.
func (e *Executor) adopt(ctx context.Context) error {
	var found []sandbox.Instance
	err := e.insist(ctx, "list instances of an earlier run", func() (err error) {
		found, err = e.config.Sandbox.List(ctx)
		return err
	})
	if err != nil {
		return err
	}
	var leases []lease.Lease
	err = e.insist(ctx, "list leases of an earlier run", func() (err error) {
		leases, err = e.config.Broker.Leases(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, event := range e.inbox.take() { // what is deployed
		e.step(ctx, event)
	}
	byID := make(map[string]lease.Lease, len(leases))
	for _, l := range leases {
		byID[l.ID] = l
	}
	var adopted []*instance
	var cleared sync.WaitGroup
	for _, one := range found {
		i, err := e.reattach(ctx, one, byID)
		if err != nil {
			e.log.Info("an instance of an earlier run is not kept", "instance", one.Identity().ID, "reason", err)
			cleared.Go(func() { e.discard(ctx, one) })
			continue
		}
		e.enlist(i)
		adopted = append(adopted, i)
	}
	cleared.Wait()
	e.releaseOthers(ctx, leases)
	if err := e.clearFolders(); err != nil {
		return err
	}
	return e.keep(ctx, adopted)
}

// insist repeats what nothing can be done without, until it succeeds or ctx ends.
func (e *Executor) insist(ctx context.Context, what string, do func() error) error {
	for wait := adoptRetryFirst; ; wait = min(2*wait, adoptRetryLast) {
		err := do()
		if err == nil {
			return nil
		}
		if !errors.Is(err, client.ErrUnavailable) { // the broker, part of this process, needs a moment to serve
			e.log.Warn("cannot adopt yet", "what", what, "error", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-time.After(wait):
		}
	}
}

// reattach makes an Instance of a Sandbox that runs; the error says why it is of no use.
func (e *Executor) reattach(ctx context.Context, one sandbox.Instance, leases map[string]lease.Lease) (*instance, error) {
	identity := one.Identity()
	key := scheduler.Key{Tenant: identity.Tenant, Function: identity.Function, Version: identity.Version}
	e.coreMutex.Lock()
	version, deployed := e.core.Version(key)
	e.coreMutex.Unlock()
	if !deployed {
		return nil, fmt.Errorf("%s is not deployed any more", key)
	}
	state, err := one.State(ctx)
	if err != nil {
		return nil, err
	}
	if state != sandbox.Running {
		return nil, fmt.Errorf("it is %s", state)
	}
	var held *lease.Lease
	var taken []device.Slice
	switch l, known := leases[identity.LeaseID]; {
	case version.Spec.Device == nil:
	case !known || l.Holder != identity.ID:
		return nil, fmt.Errorf("its lease %q is gone", identity.LeaseID)
	default:
		held, taken = &l, l.Slices
	}
	i := e.newInstance(ctx, scheduler.Place{Instance: identity.ID, Version: version, Node: e.config.Node.Name, Slices: taken})
	i.adopted, i.sandbox, i.lease, i.logPath = true, one, held, identity.LogPath
	i.info.LogPath, i.info.PID, i.info.Target = identity.LogPath, one.PID(), one.Target()
	if held != nil {
		i.info.LeaseID = held.ID
	}
	if socket, err := os.Stat(identity.FunctionDir); err == nil {
		i.info.StartedAt = socket.ModTime() // its program made the socket then
	}
	return i, nil
}

// keep makes the core know the node with what runs there, and brings each Instance back onto the route.
func (e *Executor) keep(ctx context.Context, all []*instance) error {
	changed := scheduler.NodeChanged{}
	err := e.insist(ctx, "read the pool", func() (err error) {
		changed.Node, err = e.pool(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, i := range all {
		changed.Adopted = append(changed.Adopted, scheduler.Adopted{Instance: i.id, Key: i.key, Slices: i.place.Slices})
	}
	e.step(ctx, changed)
	for _, i := range all {
		e.launch(i, e.resume)
	}
	return nil
}

// resume puts an adopted Instance onto the route if it is ready.
func (e *Executor) resume(ctx context.Context, i *instance) error {
	e.watchExit(i)
	if i.lease != nil {
		e.keepLease(i)
	}
	asking, cancel := context.WithTimeout(ctx, adoptTimeout)
	defer cancel()
	if err := e.awaitReady(asking, i); err != nil {
		return fmt.Errorf("%w: %w", errNotAdopted, err)
	}
	return e.route(i)
}

// discard clears away what is left of an Instance that is not kept, as far as that is possible now; see sweep.
func (e *Executor) discard(ctx context.Context, one sandbox.Instance) {
	ctx, cancel := context.WithTimeout(ctx, clearTimeout)
	defer cancel()
	id := one.Identity().ID
	if err := one.Delete(ctx); err != nil {
		e.log.Error("an instance of an earlier run is left behind for now", "instance", id, "error", err)
		return
	}
	e.log.Info("deleted an instance of an earlier run", "instance", id)
}

// releaseOthers gives back the Leases of Instances that are not kept, or were never made. One that cannot be given back
// expires, since nobody renews it.
func (e *Executor) releaseOthers(ctx context.Context, leases []lease.Lease) {
	for _, l := range leases {
		if _, kept := e.holders()[l.Holder]; kept || strings.HasPrefix(l.Holder, lease.RunHolder) {
			continue
		}
		if err := e.config.Broker.Release(ctx, l.ID); err != nil && !errors.Is(err, client.ErrNotFound) {
			e.log.Warn("a lease of an earlier run is left to expire", "lease", l.ID, "error", err)
		}
	}
}

// clearFolders removes the folders of Instances that are not there.
func (e *Executor) clearFolders() error {
	folders, err := os.ReadDir(e.config.FunctionFolder)
	if err != nil {
		return fmt.Errorf("clear folders of instances: %w", err)
	}
	kept := e.holders()
	for _, folder := range folders {
		if _, there := kept[folder.Name()]; there {
			continue
		}
		if err := os.RemoveAll(filepath.Join(e.config.FunctionFolder, folder.Name())); err != nil {
			return fmt.Errorf("clear folders of instances: %w", err)
		}
	}
	return nil
}
