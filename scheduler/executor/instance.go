package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sluice/broker/client"
	"sluice/broker/lease"
	"sluice/runtime/sandbox"
	"sluice/scheduler"
)

// Waits of clearing away, per call and between tries.
const (
	clearTimeout    = 30 * time.Second
	clearRetryFirst = 100 * time.Millisecond
	clearRetryLast  = 5 * time.Second
	clearTriesAtEnd = 3
)

// errStopped ends an Instance that is to stop in order; any other cause is a failure.
var errStopped = errors.New("told to stop")

// instance is one Placement from its start to its end. Its goroutine owns it; what others may read is in info.
type instance struct {
	id      string
	key     scheduler.Key
	place   scheduler.Place
	logPath string
	adopted bool // an earlier process started it

	life    context.Context         // of the goroutine
	end     context.CancelCauseFunc // of life
	watch   context.Context         // of the wait for the program's end; lasts until all is cleared away
	unwatch context.CancelFunc

	sandbox sandbox.Instance // nil before it is made
	exited  chan error       // gets why the program ended, once
	lease   *lease.Lease

	info Instance // guarded by the Executor's mutex
}

// begin starts an Instance that the core has placed.
func (e *Executor) begin(ctx context.Context, place scheduler.Place) {
	i := e.newInstance(ctx, place)
	e.enlist(i)
	e.launch(i, e.start)
}

func (e *Executor) newInstance(ctx context.Context, place scheduler.Place) *instance {
	i := &instance{id: place.Instance, key: scheduler.KeyOf(place.Version), place: place, exited: make(chan error, 1)}
	i.watch, i.unwatch = context.WithCancel(context.WithoutCancel(ctx))
	i.life, i.end = context.WithCancelCause(ctx)
	i.logPath = filepath.Join(e.config.LogFolder, i.key.Tenant, i.key.Function, i.id+logSuffix)
	i.info = Instance{ID: i.id, Key: i.key, Node: place.Node, State: Starting, StartedAt: time.Now(), LogPath: i.logPath}
	return i
}

// enlist makes an Instance listed, and one that end finds.
func (e *Executor) enlist(i *instance) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.running[i.id] = i
}

// launch begins the life of an Instance; bring puts it onto the route.
func (e *Executor) launch(i *instance, bring func(context.Context, *instance) error) {
	e.group.Go(func() {
		defer i.unwatch()
		defer i.end(nil)
		e.live(i.life, i, bring)
	})
}

// live is the life of an Instance.
func (e *Executor) live(ctx context.Context, i *instance, bring func(context.Context, *instance) error) {
	log := e.log.With("instance", i.id, "tenant", i.key.Tenant, "function", i.key.Function, "version", i.key.Version)
	err := bring(ctx, i)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		log.Info("instance is ready", "cold_start", e.coldStart(i))
		e.inbox.add(scheduler.InstanceReady{Instance: i.id})
		err = e.attend(ctx, i)
	}
	if e.isLeft(ctx, i) {
		log.Info("instance is left running")
		return
	}
	drained := e.config.Routes.Remove(i.key, i.id)
	e.update(i, func(info *Instance) { info.State = Draining })
	cause := context.Cause(ctx)
	inOrder := errors.Is(cause, errStopped) || errors.Is(cause, context.Canceled) // the latter: Run ends
	switch {
	case inOrder:
	case errors.Is(err, errNotAdopted):
		log.Info("an instance of an earlier run is not kept", "reason", err)
	default:
		log.Warn("instance failed", "error", err)
		e.metrics.failures.WithLabelValues(i.key.Tenant, i.key.Function).Inc()
		e.inbox.add(scheduler.InstanceFailed{Instance: i.id, Reason: err.Error(), Lasting: lasting(err)})
		if errors.Is(err, client.ErrNoCapacity) {
			e.askRefresh() // others hold more than we thought
		}
	}
	e.clearAway(context.WithoutCancel(ctx), i, inOrder, drained)
	log.Info("instance is gone")
	e.mutex.Lock()
	delete(e.running, i.id)
	e.mutex.Unlock()
	e.inbox.add(scheduler.InstanceStopped{Instance: i.id})
}

// isLeft says whether an Instance that Run's end has ended goes on for the next process: one that serves, or did before.
func (e *Executor) isLeft(ctx context.Context, i *instance) bool {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return e.leaving.Load() && errors.Is(context.Cause(ctx), context.Canceled) && (i.adopted || i.info.State == Ready)
}

// attend returns why a ready Instance ends.
func (e *Executor) attend(ctx context.Context, i *instance) error {
	select {
	case err := <-i.exited:
		return err
	case <-ctx.Done():
		select {
		case err := <-i.exited: // the better reason
			return err
		default:
			return context.Cause(ctx)
		}
	}
}

// keepLease renews an Instance's Lease beside its goroutine, from its grant until all is cleared away: a start and an end may
// take longer than the Lease. A Lease that is gone for sure ends the Instance; until it has expired, a broker that does
// not answer is asked again.
func (e *Executor) keepLease(i *instance) {
	id, expiresAt := i.lease.ID, i.lease.ExpiresAt
	interval := e.config.LeaseDuration / 3
	e.group.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-i.watch.Done():
				return
			case <-ticker.C:
			}
			ctx, cancel := context.WithTimeout(i.watch, interval)
			renewed, err := e.config.Broker.Renew(ctx, id, e.config.LeaseDuration)
			cancel()
			switch {
			case err == nil:
				expiresAt = renewed.ExpiresAt
			case i.watch.Err() != nil:
				return
			case errors.Is(err, client.ErrNotFound) || time.Now().After(expiresAt):
				i.end(fmt.Errorf("lease lost: %w", err))
				return
			default:
				e.log.Warn("lease not renewed yet", "instance", i.id, "lease", id, "error", err)
			}
		}
	})
}

// end gives an Instance its cause to end; only the first one counts.
func (e *Executor) end(id string, cause error) {
	e.mutex.Lock()
	i := e.running[id]
	e.mutex.Unlock()
	if i != nil {
		i.end(cause)
	}
}

// lasting says whether a start would fail in the same way again.
func lasting(err error) bool {
	for _, kind := range []error{sandbox.ErrInvalid, sandbox.ErrImageNotFound, sandbox.ErrProgram, client.ErrInvalid} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// clearAway ends what there is of an Instance: the program, the Sandbox, the Lease, the folder.
func (e *Executor) clearAway(ctx context.Context, i *instance, inOrder bool, drained <-chan struct{}) {
	if i.sandbox != nil {
		if inOrder {
			e.drain(ctx, i, drained)
		}
		e.persist(ctx, i, "delete sandbox", i.sandbox.Delete)
	}
	if i.lease != nil {
		e.persist(ctx, i, "release lease", func(ctx context.Context) error {
			err := e.config.Broker.Release(ctx, i.lease.ID)
			if errors.Is(err, client.ErrNotFound) {
				return nil
			}
			return err
		})
	}
	if err := os.RemoveAll(e.functionDir(i.id)); err != nil {
		e.log.Warn("folder of an instance is left behind", "instance", i.id, "error", err)
	}
}

// drain lets requests end, then the program.
func (e *Executor) drain(ctx context.Context, i *instance, drained <-chan struct{}) {
	timer := time.NewTimer(e.config.StopGrace)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
	}
	ctx, cancel := context.WithTimeout(ctx, e.config.StopGrace+clearTimeout)
	defer cancel()
	if err := i.sandbox.Stop(ctx, e.config.StopGrace); err != nil {
		e.log.Warn("instance does not stop in order", "instance", i.id, "error", err)
	}
}

// persist repeats until it succeeds, since the room is not free before; once Run ends, only a few times: what is
// left then is cleared away by the next Run, and a Lease expires.
func (e *Executor) persist(ctx context.Context, i *instance, what string, do func(context.Context) error) {
	wait := clearRetryFirst
	for try := 1; ; try++ {
		attempt, cancel := context.WithTimeout(ctx, clearTimeout)
		err := do(attempt)
		cancel()
		if err == nil {
			return
		}
		e.log.Error("cannot clear away", "what", what, "instance", i.id, "try", try, "error", err)
		if try >= clearTriesAtEnd && e.ending.Load() {
			return
		}
		time.Sleep(wait)
		wait = min(2*wait, clearRetryLast)
	}
}
