// Package executor carries out what package scheduler decides: for each Instance it takes a Lease, makes and
// starts the Sandbox, waits until the function is ready, puts it on the route, watches over it, and clears it
// away. One goroutine owns the core; each Instance has one goroutine from its start to its end.
//
// Locks: no lock of this package is held while Routes, the broker or a Sandbox is called.
package executor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/broker/client"
	"sluice/runtime/sandbox"
	"sluice/scheduler"
	"sluice/store"
)

// Durations where Config says nothing.
const (
	DefaultLeaseDuration = 30 * time.Second
	DefaultStopGrace     = 10 * time.Second
)

// createsMax bounds how many Sandboxes are being made at once: containerd slows down beyond that.
const createsMax = 8

const folderMode = 0o700

// Endpoint is an Instance that takes requests.
type Endpoint struct {
	Instance    string
	Target      string                                      // in gRPC's syntax
	Dial        func(ctx context.Context) (net.Conn, error) // connects to it where Target cannot
	Concurrency int                                         // Batches at once
	Devices     []string                                    // the ids of those that it works on
	Share       int                                         // what it has reserved of each, in thousandths
}

// Routes is where requests find Instances. Its methods may call the Executor, and do not wait for requests.
type Routes interface {
	// Add lets an Instance take requests.
	Add(key scheduler.Key, endpoint Endpoint) error
	// Remove sends no more requests to an Instance, known or not; the channel is closed when those that it runs
	// have ended.
	Remove(key scheduler.Key, instance string) (drained <-chan struct{})
	// Fail answers those who wait for an Instance with an error.
	Fail(key scheduler.Key, cause error)
}

// Config is what an Executor needs.
type Config struct {
	// Node is this machine; its devices are the broker's to tell. See ThisNode.
	Node scheduler.Node
	// FunctionFolder holds a folder for each Instance's socket. It is made; it must be short (sandbox.SocketBytesMax).
	FunctionFolder string
	// LogFolder holds each Instance's log, as <tenant>/<function>/<instance>.log. It is made.
	LogFolder string

	Sandbox sandbox.Sandbox
	Broker  *client.Client
	Routes  Routes
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: none

	LeaseDuration time.Duration // until a Lease ends if this process does; 0: DefaultLeaseDuration
	StopGrace     time.Duration // for requests that run, and for a program told to end; 0: DefaultStopGrace
}

// Executor runs the Instances of one node.
type Executor struct {
	config  Config
	log     *slog.Logger
	metrics *metrics
	inbox   *inbox
	creates chan struct{} // holds a token for each Sandbox that is being made
	refresh chan struct{} // asks for the pool's state to be read again

	coreMutex sync.Mutex
	core      *scheduler.Scheduler

	mutex   sync.Mutex
	running map[string]*instance // by id, until nothing is left of it

	group   sync.WaitGroup
	ending  atomic.Bool // Run ends
	leaving atomic.Bool // and leaves Instances running
}

// New makes an Executor and its folders; Run starts it. What is deployed and asked for before that waits.
func New(config Config) (*Executor, error) {
	if config.LeaseDuration == 0 {
		config.LeaseDuration = DefaultLeaseDuration
	}
	if config.StopGrace == 0 {
		config.StopGrace = DefaultStopGrace
	}
	for _, folder := range []string{config.FunctionFolder, config.LogFolder} {
		if err := os.MkdirAll(folder, folderMode); err != nil {
			return nil, fmt.Errorf("make folder of instances: %w", err)
		}
	}
	e := &Executor{
		config: config, log: config.Log,
		inbox:   newInbox(),
		creates: make(chan struct{}, createsMax),
		refresh: make(chan struct{}, 1),
		core:    scheduler.New(newEpoch()),
		running: make(map[string]*instance),
	}
	e.metrics = newMetrics(e, config.Metrics)
	return e, nil
}

// newEpoch tells the ids of this process's Instances from those of any other.
func newEpoch() string { return strings.ToLower(rand.Text()[:6]) }

// Deploy makes a Version known, before requests for it are taken.
func (e *Executor) Deploy(version store.Version) { e.inbox.add(scheduler.Deployed{Version: version}) }

// Remove stops a Version's Instances and forgets it, after requests for it are taken no more.
func (e *Executor) Remove(key scheduler.Key) { e.inbox.add(scheduler.Removed{Key: key}) }

// SetTenant says what a tenant may have from now on.
func (e *Executor) SetTenant(tenant store.Tenant) {
	e.inbox.add(scheduler.TenantChanged{Tenant: tenant})
}

// Demand says how many requests of a Version wait and run. It does not block; only the last call counts.
func (e *Executor) Demand(key scheduler.Key, queued, inFlight int) {
	e.inbox.demand(scheduler.DemandChanged{Key: key, Queued: queued, InFlight: inFlight})
}

// EndpointFailed says that an Instance does not answer any more. It does not block.
func (e *Executor) EndpointFailed(_ scheduler.Key, id string, err error) {
	e.end(id, fmt.Errorf("it does not answer: %w", err))
}

// Leave makes the end of Run leave the Instances that are ready running, for the next process to adopt. It is called before
// Run's context ends.
func (e *Executor) Leave() { e.leaving.Store(true) }

// Run adopts what an earlier process left running, then starts and stops Instances until ctx ends, and returns when all
// of them are gone, but for Leave.
func (e *Executor) Run(ctx context.Context) error {
	if err := e.adopt(ctx); err != nil {
		if ctx.Err() == nil {
			return err
		}
		return nil // told to end before it could look: what runs is the next process's
	}
	e.group.Go(func() { e.followPool(ctx) })
	e.group.Go(func() { e.sweep(ctx) })
	e.loop(ctx)
	e.ending.Store(true)
	e.group.Wait()
	if !e.leaving.Load() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTimeout)
		defer cancel()
		e.sweepOnce(last)
	}
	return nil
}

// loop owns the core's clock: it is the only one to step it.
func (e *Executor) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.inbox.wake:
		case <-timer.C:
			e.step(ctx, scheduler.Tick{})
		}
		for _, event := range e.inbox.take() {
			e.step(ctx, event)
		}
		e.coreMutex.Lock()
		next, due := e.core.Next()
		e.coreMutex.Unlock()
		timer.Stop()
		if due {
			timer.Reset(max(time.Until(next), 0))
		}
	}
}

func (e *Executor) step(ctx context.Context, event scheduler.Event) {
	e.coreMutex.Lock()
	decisions := e.core.Step(time.Now(), event)
	e.coreMutex.Unlock()
	for _, decision := range decisions {
		switch d := decision.(type) {
		case scheduler.Place:
			e.begin(ctx, d)
		case scheduler.Stop:
			e.log.Info("instance is to stop", "instance", d.Instance, "reason", d.Reason)
			e.metrics.stops.WithLabelValues(string(d.Reason)).Inc()
			e.end(d.Instance, errStopped)
		case scheduler.Refuse:
			e.log.Warn("those who wait are refused", "function", d.Key.String(), "reason", d.Reason)
			e.config.Routes.Fail(d.Key, errors.New(d.Reason))
		}
	}
}
