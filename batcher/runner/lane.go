package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/batcher"
	"sluice/proto/gen/inference"
)

// clientLead is how much earlier a client's deadline may pass there than here, where the time left is counted from the request's
// arrival: a client that gives up so shortly before has missed its deadline.
const clientLead = 20 * time.Millisecond

// lane is the queue of one Key with the Instances that serve it. All its state changes in update.
type lane struct {
	runner  *Runner
	key     Key
	name    string // the key's
	route   Route
	ids     atomic.Uint64
	meter   *meter
	cached  atomic.Pointer[inference.ModelMetadataResponse]
	tallies tallies
	lag     lag

	mu          sync.Mutex
	policy      batcher.Policy
	queued      map[uint64]*call
	queuedBytes int
	inFlight    int
	endpoints   []*endpoint
	// deferring is set while others may have their turn before the lane's next Batch.
	deferring bool
	timer     *time.Timer
	// closed is what the lane answers once it is closed.
	closed error
	// waiters are callers who need an endpoint for something else than a Batch; each hears nil when one comes.
	waiters map[chan error]struct{}
	// told is what Demand was told last, failed what it has yet to hear; telling means that somebody is at it.
	told    struct{ queued, inFlight int }
	telling bool
	failed  []failure
	// lull runs while lulling; lulled says that it is over and lower numbers may be told.
	lull            *time.Timer
	lulling, lulled bool
}

func newLane(r *Runner, key Key, route Route, policy batcher.Policy) *lane {
	l := &lane{
		runner: r, key: key, name: key.String(), route: route, policy: policy, meter: r.metrics.meter(key),
		queued: make(map[uint64]*call), waiters: make(map[chan error]struct{}),
	}
	l.timer = time.AfterFunc(time.Hour, func() { l.update(nil, func() {}) })
	l.timer.Stop()
	l.lull = time.AfterFunc(time.Hour, l.endLull)
	l.lull.Stop()
	return l
}

// update changes the lane's state, lets the policy decide, starts what it decided and tells of the demand. A Batch of
// self alone is not started but returned: the caller runs it, which saves a goroutine.
func (l *lane) update(self *call, change func()) (own *batch) {
	l.mu.Lock()
	change()
	if l.closed == nil {
		own = l.decide(self)
	}
	l.meter.pending.Set(float64(len(l.queued) + l.inFlight))
	l.tellAndUnlock()
	return own
}

func (l *lane) decide(self *call) (own *batch) {
	unlock := l.lockDevices()
	defer unlock()
	now := l.runner.now()
	free, shared := l.slots(now)
	decision := l.policy.Decide(now, free, shared)
	for _, shed := range decision.Shed {
		c := l.take(shed.ID)
		expired := shed.Reason == batcher.ReasonExpired && now >= c.Deadline+int64(c.kept)
		c.finish(nil, shedError(expired, time.Duration(now-c.Arrival)))
	}
	for _, formed := range decision.Batches {
		b := l.dispatch(formed, now)
		if len(b.calls) == 1 && b.calls[0] == self {
			own = b
			continue
		}
		b.detach(l.runner.ctx)
		l.runner.running.Go(func() { l.run(b) })
	}
	l.ask(now, decision.Yields || l.deferring, decision.Patience)
	if decision.WakeAt == batcher.Never {
		l.timer.Stop()
	} else {
		l.timer.Reset(time.Duration(decision.WakeAt - now))
	}
	return own
}

// take removes a call from the queue.
func (l *lane) take(id uint64) *call {
	c := l.queued[id]
	delete(l.queued, id)
	l.queuedBytes -= c.bytes
	return c
}

// put queues a call.
func (l *lane) put(c *call) {
	c.batch = nil
	l.queued[c.ID] = c
	l.queuedBytes += c.bytes
	l.policy.Arrive(c.Request)
}

// infer queues a request and waits for its answer.
func (l *lane) infer(ctx context.Context, request *inference.ModelInferRequest) (*inference.ModelInferResponse, error) {
	start := time.Now()
	c, cancel, err := l.newCall(ctx, request)
	if err != nil {
		l.count(err, time.Since(start))
		return nil, err
	}
	defer cancel()
	response, err := l.wait(c)
	if err == nil {
		err = choose(response, request.GetOutputs())
	}
	l.count(err, time.Since(start))
	if err != nil {
		return nil, err
	}
	response.ModelName, response.ModelVersion, response.Id = request.GetModelName(), l.key.Version, request.GetId()
	return response, nil
}

func (l *lane) wait(c *call) (*inference.ModelInferResponse, error) {
	var refused error
	own := l.update(c, func() {
		if refused = l.refusal(c); refused == nil {
			l.put(c)
		}
	})
	if refused != nil {
		return nil, refused
	}
	if own != nil {
		l.run(own)
	}
	select {
	case a := <-c.done:
		l.lag.note(time.Since(a.known))
		return a.response, a.err
	case <-c.ctx.Done():
		running := false
		l.update(nil, func() {
			running = c.batch != nil
			l.abandon(c)
		})
		return nil, ended(c.ctx, running)
	}
}

// refusal says why a call cannot be queued.
func (l *lane) refusal(c *call) error {
	switch {
	case l.closed != nil:
		return l.closed
	case len(l.queued) >= MaxQueuedRequests:
		return fmt.Errorf("%w: %d requests wait for %s", ErrQueueFull, len(l.queued), l.key)
	case l.queuedBytes+c.bytes > MaxQueuedBytes:
		return fmt.Errorf("%w: %d bytes wait for %s, the limit is %d", ErrQueueFull, l.queuedBytes, l.key, MaxQueuedBytes)
	}
	return nil
}

// abandon drops a call whose caller is gone: from the queue, or with the last of its Batch from the function.
func (l *lane) abandon(c *call) {
	c.abandoned = true
	if c.batch != nil {
		c.batch.leave()
	} else if l.queued[c.ID] == c {
		l.policy.Cancel(c.ID)
		l.take(c.ID)
	}
}

// fail ends all that is queued.
func (l *lane) fail(err error) {
	for id := range l.queued {
		l.policy.Cancel(id)
		l.take(id).finish(nil, err)
	}
	l.wake(err)
}

// close ends all that is queued, and lets go of the endpoints.
func (l *lane) close(err error) {
	l.update(nil, func() {
		l.fail(err)
		l.closed = err
		l.timer.Stop()
		for _, e := range slices.Clone(l.endpoints) {
			l.drop(e)
		}
	})
}

func (l *lane) addEndpoint(given Endpoint) error {
	if given.Instance == "" || given.Concurrency < 1 || given.Target == "" && given.Dial == nil {
		return fmt.Errorf("%w %s: endpoint needs an instance, a concurrency of at least 1 and a target or a dialler", ErrRoute, l.key)
	}
	e, err := connect(given)
	if err != nil {
		return errors.Join(ErrRoute, err)
	}
	l.update(nil, func() {
		switch {
		case l.closed != nil:
			err = l.closed
		case l.find(given.Instance) != nil:
			err = fmt.Errorf("%w %s: instance %s is there already", ErrRoute, l.key, given.Instance)
		default:
			l.endpoints = append(l.endpoints, e)
			e.join(l)
			l.wake(nil)
			return
		}
		e.remove()
	})
	return err
}

func (l *lane) removeEndpoint(instance string) <-chan struct{} {
	drained := closedChannel
	l.update(nil, func() {
		if e := l.find(instance); e != nil {
			l.drop(e)
			drained = e.drained
		}
	})
	return drained
}

func (l *lane) find(instance string) *endpoint {
	for _, e := range l.endpoints {
		if e.Instance == instance {
			return e
		}
	}
	return nil
}

// drop takes an endpoint off the route.
func (l *lane) drop(e *endpoint) {
	l.endpoints = slices.DeleteFunc(l.endpoints, func(other *endpoint) bool { return other == e })
	e.leave(l)
	e.remove()
}

// wake tells those who wait for an endpoint that there is one, or why there will be none.
func (l *lane) wake(err error) {
	for waiter := range l.waiters {
		waiter <- err
		delete(l.waiters, waiter)
	}
}

// over says whether a context has ended. The function may notice that the deadline has passed before the timer here does.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// ended is the error of a call whose context has ended; running says that the function had it.
func ended(ctx context.Context, running bool) error {
	deadline, ok := ctx.Deadline()
	missed := ok && time.Until(deadline) < clientLead || errors.Is(context.Cause(ctx), context.DeadlineExceeded)
	switch {
	case !missed:
		return ErrCancelled
	case running:
		return errExpiredRunning
	}
	return errExpiredQueued
}
