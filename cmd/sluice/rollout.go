package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sluice/batcher/runner"
	"sluice/scheduler"
	"sluice/scheduler/executor"
	"sluice/store"
)

const (
	// retireInterval is how often replaced Versions are looked at.
	retireInterval = time.Second
	// retireAfter is for requests that had found the Version just before it was replaced.
	retireAfter = 2 * time.Second
)

// rollout puts Versions into effect: the route that requests queue on, and the executor that starts Instances. It knows
// which Version of a Function is current; a replaced one goes when its last request is answered. Requests are resolved from
// memory. What other daemons of the same store deploy is followed.
type rollout struct {
	registry store.Registry
	log      *slog.Logger
	routes   *runner.Runner
	executor *executor.Executor

	deploying sync.Mutex // one deployment or removal at a time; taken before mutex

	mutex    sync.Mutex
	current  map[string]map[string]deployment // by tenant and function
	demand   map[scheduler.Key]int            // requests that wait or run
	retiring map[scheduler.Key]time.Time      // since when
}

// deployment is a Version in effect. A function that was removed and deployed anew counts its Versions from 1 again:
// when it was made tells them apart.
type deployment struct {
	key    scheduler.Key
	madeAt int64 // nanoseconds since 1970
}

func deploymentOf(version store.Version) deployment {
	return deployment{scheduler.KeyOf(version), version.CreatedAt.UnixNano()}
}

func newRollout(registry store.Registry, log *slog.Logger) *rollout {
	return &rollout{
		registry: registry, log: log, current: make(map[string]map[string]deployment),
		demand: make(map[scheduler.Key]int), retiring: make(map[scheduler.Key]time.Time),
	}
}

func (r *rollout) deploy(ctx context.Context, tenant string, spec store.FunctionSpec) (store.Version, error) {
	r.deploying.Lock()
	defer r.deploying.Unlock()
	version, err := store.Deploy(ctx, r.registry, tenant, spec, time.Now())
	if err != nil {
		return store.Version{}, err
	}
	return version, r.apply(version)
}

// apply puts a Version into effect, if it is not. The caller holds deploying.
func (r *rollout) apply(version store.Version) error {
	key := scheduler.KeyOf(version)
	r.mutex.Lock()
	before, replaces := r.current[key.Tenant][key.Function]
	_, retiring := r.retiring[key]
	r.mutex.Unlock()
	switch {
	case replaces && before == deploymentOf(version):
		return nil
	case replaces && before.key == key:
		r.forget(key.Tenant, key.Function)
		replaces = false
	case retiring:
		r.retire(key)
	}
	batch := version.Spec.Batch
	err := r.routes.SetRoute(runner.Key(key), runner.Route{
		Policy: batch.Policy, MaxSize: batch.MaxSize, MaxWait: batch.MaxWait, SLO: batch.SLO, Pad: batch.Pad,
		StartTimeout: version.Spec.Scale.StartTimeout,
	})
	if err != nil {
		return err
	}
	r.executor.Deploy(version)

	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.current[key.Tenant] == nil {
		r.current[key.Tenant] = make(map[string]deployment)
	}
	if replaces {
		r.retiring[before.key] = time.Now()
	}
	r.current[key.Tenant][key.Function] = deploymentOf(version)
	return nil
}

func (r *rollout) remove(ctx context.Context, tenant, function string) error {
	r.deploying.Lock()
	defer r.deploying.Unlock()
	if err := store.Remove(ctx, r.registry, tenant, function); err != nil {
		return err
	}
	r.forget(tenant, function)
	return nil
}

func (r *rollout) retire(key scheduler.Key) {
	r.routes.RemoveRoute(runner.Key(key))
	r.executor.Remove(key)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.retiring, key)
	delete(r.demand, key)
}

// Run follows the store, and retires replaced Versions once nothing waits for them or runs on them.
func (r *rollout) Run(ctx context.Context) error {
	var following sync.WaitGroup
	following.Go(func() { r.follow(ctx) })
	defer following.Wait()
	ticker := time.NewTicker(retireInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for _, key := range r.idleRetiring(time.Now()) {
			r.retire(key)
		}
	}
}

func (r *rollout) idleRetiring(now time.Time) []scheduler.Key {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var idle []scheduler.Key
	for key, since := range r.retiring {
		if r.demand[key] == 0 && now.Sub(since) >= retireAfter {
			idle = append(idle, key)
		}
	}
	return idle
}

// Demand implements runner.Demand.
func (r *rollout) Demand(key runner.Key, queued, inFlight int) {
	r.mutex.Lock()
	r.demand[scheduler.Key(key)] = queued + inFlight
	r.mutex.Unlock()
	r.executor.Demand(scheduler.Key(key), queued, inFlight)
}

// EndpointFailed implements runner.Demand.
func (r *rollout) EndpointFailed(key runner.Key, instance string, err error) {
	r.executor.EndpointFailed(scheduler.Key(key), instance, err)
}

// Resolve implements gateway.Functions: the current Version takes requests, and one that was replaced those that name it, until
// it is retired.
func (r *rollout) Resolve(_ context.Context, tenant, model, version string) (runner.Key, error) {
	r.mutex.Lock()
	found, ok := r.current[tenant][model]
	named := scheduler.Key{Tenant: tenant, Function: model, Version: version}
	_, retiring := r.retiring[named]
	r.mutex.Unlock()
	if ok && retiring {
		return runner.Key(named), nil
	}
	key := found.key
	if !ok {
		return runner.Key{}, fmt.Errorf("function %s: %w", model, store.ErrNotFound)
	}
	if version != "" && version != key.Version {
		return runner.Key{}, fmt.Errorf("version %s of function %s, whose version is %s: %w", version, model, key.Version, store.ErrNotFound)
	}
	return runner.Key(key), nil
}

// List implements gateway.Functions.
func (r *rollout) List(_ context.Context, tenant string) ([]runner.Key, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var keys []runner.Key
	for _, d := range r.current[tenant] {
		keys = append(keys, runner.Key(d.key))
	}
	slices.SortFunc(keys, func(a, b runner.Key) int {
		if a.Function < b.Function {
			return -1
		}
		return 1
	})
	return keys, nil
}

// routes adapts the runner's route table to executor.Routes.
type routes struct{ runner *runner.Runner }

func (r routes) Add(key scheduler.Key, endpoint executor.Endpoint) error {
	return r.runner.AddEndpoint(runner.Key(key), runner.Endpoint(endpoint))
}

func (r routes) Remove(key scheduler.Key, instance string) <-chan struct{} {
	return r.runner.RemoveEndpoint(runner.Key(key), instance)
}

func (r routes) Fail(key scheduler.Key, cause error) { r.runner.Fail(runner.Key(key), cause) }
