// Package runner drives batcher's core: it queues requests per function, sends the Batches that a Policy forms to the
// function's Instances, and takes their answers apart again. It owns the route table, which lives in memory, and tells
// whoever scales of the demand.
//
// Locks: Runner.mu is never held while a lane's is taken, a device's is taken last; no lock is held while Demand is called.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"sluice/batcher"
	"sluice/proto/gen/inference"
)

// Limits of each Key's queue; what goes beyond is refused with ErrQueueFull.
const (
	MaxQueuedRequests = 4096
	MaxQueuedBytes    = 256 << 20
)

// MaxBatchRows is the largest max_size of a route.
const MaxBatchRows = 4096

const (
	// DefaultStartTimeout is how long a request without a deadline waits in the queue, an Instance's start included.
	DefaultStartTimeout = 60 * time.Second
	// MaxDuration is how long a request without a deadline takes in all, so that a function that hangs holds no slot for ever.
	MaxDuration = 10 * time.Minute
)

// Key names what requests are queued for: one Version of a Function.
type Key struct{ Tenant, Function, Version string }

func (k Key) String() string { return k.Tenant + "/" + k.Function + ":" + k.Version }

// Route is how requests of a Key are batched.
type Route struct {
	// Policy is a name that batcher.New knows.
	Policy string
	// MaxSize is the most rows in a Batch. Where it is 1 or the policy is "none", requests pass unjoined, and their
	// first dimension means nothing.
	MaxSize int
	MaxWait time.Duration
	// SLO is how long after its arrival an answer is of use, for a request without an earlier deadline; 0: as long as its
	// caller waits.
	SLO time.Duration
	// Pad names tensors whose second dimension may differ between the requests of a batch: inputs are padded to the longest
	// with zeros (BYTES: with empty elements), outputs are cut to the length of their request's first such input.
	Pad []string
	// StartTimeout is how long a request without a deadline waits in the queue; 0 stands for DefaultStartTimeout.
	StartTimeout time.Duration
}

// Joins says whether the first dimension of tensors is the batch, and requests are joined along it.
func (r Route) Joins() bool { return r.Policy != "none" && r.MaxSize > 1 }

// Endpoint is an Instance that serves Open Inference Protocol v2 over gRPC.
type Endpoint struct {
	// Instance is unique among the endpoints of a Key.
	Instance string
	// Target is where it serves, in gRPC's syntax, such as unix:///path; unused where Dial is given.
	Target string
	// Dial connects to it.
	Dial func(ctx context.Context) (net.Conn, error)
	// Concurrency is the number of Batches that it runs at once, at least 1.
	Concurrency int
	// Devices names the devices that it works on. Batches of several Keys on one device take turns, as far as they can
	// wait, by the time that each has had of it in parts of its Share.
	Devices []string
	// Share is what it has reserved of each of the devices, in thousandths.
	Share int
}

// Demand is told what the scaling of functions depends on. Its methods must not block; they may call the Runner.
type Demand interface {
	// Demand reports how many requests wait and how many run: at once when one of them grows, a moment later when they
	// fall. The last call always has the last numbers.
	Demand(key Key, queued, inFlight int)
	// EndpointFailed reports an endpoint that did not answer any more. It is off the route already.
	EndpointFailed(key Key, instance string, err error)
}

// Config is what a Runner needs.
type Config struct {
	// Demand may be nil.
	Demand Demand
	// Log may be nil.
	Log *slog.Logger
	// Tracer makes spans of requests and batches, in the traces that the contexts carry; nil: nothing is traced.
	Tracer trace.Tracer
	// Metrics is where Prometheus metrics are registered, or nil.
	Metrics prometheus.Registerer
}

// Runner holds a lane per Key.
type Runner struct {
	demand  Demand
	log     *slog.Logger
	metrics *metrics
	tracer  trace.Tracer
	epoch   time.Time
	horizon horizon

	// ctx ends with Run; running counts the goroutines that Run waits for.
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.RWMutex
	lanes   map[Key]*lane
	devices map[string]*device
	stopped bool
}

// New makes a Runner. It is used at once; Run ends it.
func New(config Config) *Runner {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Demand == nil {
		config.Demand = nobody{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Runner{
		demand: config.Demand, log: config.Log, metrics: newMetrics(config.Metrics), tracer: config.Tracer, epoch: time.Now(),
		ctx: ctx, cancel: cancel, lanes: make(map[Key]*lane), devices: make(map[string]*device),
	}
	if config.Metrics != nil {
		config.Metrics.MustRegister(tritonMetrics{r})
	}
	return r
}

// Run waits for ctx to end, then fails what is queued, breaks off the Batches that run and returns when they have
// ended. A Batch of one request that runs in its caller's goroutine ends with the caller's context.
func (r *Runner) Run(ctx context.Context) error {
	<-ctx.Done()
	r.mu.Lock()
	r.stopped = true
	lanes := r.lanes
	r.lanes = make(map[Key]*lane)
	r.mu.Unlock()
	for _, l := range lanes {
		l.close(fmt.Errorf("%w: the server is stopping", ErrUnavailable))
	}
	r.cancel()
	r.running.Wait()
	return nil
}

// SetRoute opens a queue for key. A route that is there already must be the same: a Version never changes.
func (r *Runner) SetRoute(key Key, route Route) error {
	if route.MaxSize > MaxBatchRows {
		return fmt.Errorf("%w %s: max_size %d is more than %d", ErrRoute, key, route.MaxSize, MaxBatchRows)
	}
	if route.StartTimeout == 0 {
		route.StartTimeout = DefaultStartTimeout
	}
	name := route.Policy
	if !route.Joins() {
		name = "none"
	}
	policy, err := batcher.New(name, batcher.Limits{MaxSize: route.MaxSize, MaxWait: int64(route.MaxWait)})
	if err != nil {
		return errors.Join(ErrRoute, fmt.Errorf("route %s: %w", key, err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return fmt.Errorf("%w: the server is stopping", ErrUnavailable)
	}
	if old := r.lanes[key]; old != nil {
		if !reflect.DeepEqual(old.route, route) {
			return fmt.Errorf("%w %s: is there with other limits", ErrRoute, key)
		}
		return nil
	}
	r.lanes[key] = newLane(r, key, route, policy)
	return nil
}

// RemoveRoute fails what is queued for key with ErrNoRoute and closes its endpoints as they fall idle.
func (r *Runner) RemoveRoute(key Key) {
	r.mu.Lock()
	l := r.lanes[key]
	delete(r.lanes, key)
	r.mu.Unlock()
	if l != nil {
		l.close(ErrNoRoute)
		r.metrics.forget(key)
	}
}

// Fail ends all that is queued for key with ErrUnavailable and the cause, for instance because no Instance of it
// starts. Requests that come later queue again.
func (r *Runner) Fail(key Key, cause error) {
	if l, err := r.lane(key); err == nil {
		l.update(nil, func() { l.fail(fmt.Errorf("%w: %w", ErrUnavailable, cause)) })
	}
}

// AddEndpoint lets an Instance take Batches of key from now on.
func (r *Runner) AddEndpoint(key Key, endpoint Endpoint) error {
	l, err := r.lane(key)
	if err != nil {
		return err
	}
	return l.addEndpoint(endpoint)
}

// RemoveEndpoint sends no more Batches to an Instance. The returned channel is closed when the last one that runs on
// it has ended, at once where there is no such endpoint.
func (r *Runner) RemoveEndpoint(key Key, instance string) (drained <-chan struct{}) {
	if l, err := r.lane(key); err == nil {
		return l.removeEndpoint(instance)
	}
	return closedChannel
}

// Route returns the route of key, or ErrNoRoute.
func (r *Runner) Route(key Key) (Route, error) {
	l, err := r.lane(key)
	if err != nil {
		return Route{}, err
	}
	return l.route, nil
}

// Infer runs one request, alone or joined with others, and returns its answer, which has raw contents alone. The
// request must have raw contents of the right length, one per input, and is not to be changed until Infer returns.
// Its Id goes to the function, see RequestIDHeader. The deadline is ctx's or that of the parameter `timeout`
// (microseconds), whichever comes first.
//
// Errors: the sentinels of this package, or the function's own gRPC status.
func (r *Runner) Infer(ctx context.Context, key Key, request *inference.ModelInferRequest) (*inference.ModelInferResponse, error) {
	l, err := r.lane(key)
	if err != nil {
		return nil, err
	}
	return l.infer(ctx, request)
}

func (r *Runner) lane(key Key) (*lane, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if l := r.lanes[key]; l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNoRoute, key)
}

// now is the clock that batcher is given.
func (r *Runner) now() int64 { return int64(time.Since(r.epoch)) }

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

type nobody struct{}

func (nobody) Demand(Key, int, int)              {}
func (nobody) EndpointFailed(Key, string, error) {}
