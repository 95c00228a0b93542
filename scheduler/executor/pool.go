package executor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sluice/broker/client"
	"sluice/broker/device"
	"sluice/broker/lease"
	"sluice/scheduler"
)

// Waits between tries to reach the broker.
const (
	poolRetryFirst = 20 * time.Millisecond
	poolRetryLast  = 2 * time.Second
)

// followPool keeps the core's view of the devices current and ends Instances whose Lease is lost, until ctx ends.
func (e *Executor) followPool(ctx context.Context) {
	wait := poolRetryFirst
	for ctx.Err() == nil {
		began := time.Now()
		err := e.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > poolRetryLast {
			wait = poolRetryFirst
		}
		e.log.Warn("the broker's events are interrupted", "error", err, "retry_ms", wait.Milliseconds())
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, poolRetryLast)
	}
}

// follow reads the pool's state once, then its events, until the stream breaks.
func (e *Executor) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watcher, err := e.config.Broker.Watch(ctx)
	if err != nil {
		return err
	}
	if err := e.readPool(ctx); err != nil {
		return err
	}
	events, broken := make(chan lease.Event), make(chan error, 1)
	e.group.Go(func() { broken <- pump(ctx, watcher, events) })
	for {
		select {
		case err := <-broken:
			return err
		case event := <-events:
			e.poolEvent(event)
		case <-e.refresh:
			if err := e.readPool(ctx); err != nil {
				return err
			}
		}
	}
}

func pump(ctx context.Context, watcher *client.Watcher, events chan<- lease.Event) error {
	for {
		event, err := watcher.Next()
		if err != nil {
			return err
		}
		select {
		case events <- event:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// poolEvent ends our Instance if its Lease ended; other leases change what is free.
func (e *Executor) poolEvent(event lease.Event) {
	if event.Kind == lease.EventRenewed {
		return
	}
	if _, ours := e.holders()[event.Lease.Holder]; !ours {
		e.askRefresh()
		return
	}
	switch event.Kind {
	case lease.EventLost:
		e.end(event.Lease.Holder, fmt.Errorf("lease lost: the worker %s", event.Reason))
	case lease.EventExpired, lease.EventReleased: // no news to an Instance that is being cleared away
		e.end(event.Lease.Holder, fmt.Errorf("lease lost: it was %s", event.Kind))
	}
}

func (e *Executor) askRefresh() {
	select {
	case e.refresh <- struct{}{}:
	default:
	}
}

// readPool tells the core what the node's devices are now.
func (e *Executor) readPool(ctx context.Context) error {
	node, err := e.pool(ctx)
	if err != nil {
		return err
	}
	e.inbox.add(scheduler.NodeChanged{Node: node})
	return nil
}

// pool gives the node with its devices and how much of them others hold, and ends those of our Instances whose Lease is
// gone.
func (e *Executor) pool(ctx context.Context) (scheduler.Node, error) {
	ours := e.holders() // both before and after: an Instance may take or release its Lease meanwhile
	devices, reason, err := e.config.Broker.Devices(ctx)
	if err != nil {
		return scheduler.Node{}, err
	}
	leases, err := e.config.Broker.Leases(ctx)
	if err != nil {
		return scheduler.Node{}, err
	}
	alive := make(map[string]bool)
	for _, l := range leases {
		alive[l.ID] = true
	}
	for id, leaseID := range ours {
		if leaseID != "" && !alive[leaseID] {
			e.end(id, errors.New("lease lost: the broker does not know it any more"))
		}
	}
	maps.Copy(ours, e.holders())

	node := e.config.Node
	node.Devices = make([]scheduler.Device, 0, len(devices))
	for _, d := range devices {
		node.Devices = append(node.Devices, scheduler.Device{Device: d.Device})
	}
	for _, l := range leases {
		if _, own := ours[l.Holder]; !own {
			reserve(node.Devices, l.Slices)
		}
	}
	if len(devices) == 0 {
		e.log.Warn("the pool is empty", "reason", reason)
	}
	return node, nil
}

func reserve(devices []scheduler.Device, held []device.Slice) {
	for _, slice := range held {
		at := slices.IndexFunc(devices, func(d scheduler.Device) bool { return d.ID == slice.DeviceID })
		if at >= 0 {
			devices[at].ReservedMemoryBytes += slice.MemoryBytes
			devices[at].ReservedComputeMilli += slice.ComputeMilli
		}
	}
}

// holders gives the ids of our Instances with those of their Leases, empty where there is none (yet).
func (e *Executor) holders() map[string]string {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	all := make(map[string]string, len(e.running))
	for id, i := range e.running {
		all[id] = i.info.LeaseID
	}
	return all
}
