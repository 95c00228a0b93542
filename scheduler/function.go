package scheduler

import (
	"slices"
	"time"

	"sluice/broker/device"
	"sluice/store"
)

type state int

const (
	starting state = iota
	ready
	stopping // until InstanceStopped: it holds its room
)

type instance struct {
	id       string
	function *function
	need     store.FunctionSpec // what it was placed with
	node     *node
	slices   []device.Slice
	state    state
	readyAt  time.Time
	neededAt time.Time // when demand last needed it, while it is not needed now
}

type function struct {
	key              Key
	version          store.Version
	removed          bool
	disabled         bool // its tenant is: nothing of it runs
	queued, inFlight int
	instances        []*instance // in order of their start

	failures int // in a row
	retryAt  time.Time
	failure  string // the last one's reason
	failedAt time.Time

	blockedAt time.Time // zero: not waiting for room
	blocked   string    // what is missing

	considered uint64 // the last Step that looked for what to stop and start
}

func (f *function) count(wanted state) int {
	count := 0
	for _, i := range f.instances {
		if i.state == wanted {
			count++
		}
	}
	return count
}

// target is how many Instances there should be: each takes Concurrency batches of MaxSize at once.
func (f *function) target() int {
	if f.removed || f.disabled {
		return 0
	}
	each := max(f.version.Spec.Concurrency, 1) * max(f.version.Spec.Batch.MaxSize, 1)
	wanted := (f.queued + f.inFlight + each - 1) / each
	return min(max(wanted, f.version.Spec.Scale.Min), f.version.Spec.Scale.Max)
}

// ranked lists the Instances that are not being stopped, those to keep longest first: ready before starting,
// then by age.
func (f *function) ranked() []*instance {
	var first, second []*instance
	for _, i := range f.instances {
		switch i.state {
		case ready:
			first = append(first, i)
		case starting:
			second = append(second, i)
		}
	}
	return append(first, second...)
}

// spare lists the ready Instances above the target.
func (f *function) spare() []*instance {
	ranked := f.ranked()
	return slices.DeleteFunc(ranked[min(f.target(), len(ranked)):], func(i *instance) bool { return i.state != ready })
}

// touch notes, before an event changes anything, which Instances were needed up to now, and forgets failures
// that lie before a steady time.
func (f *function) touch(now time.Time) {
	ranked := f.ranked()
	for _, i := range ranked[:min(f.target(), len(ranked))] {
		i.neededAt = now
	}
	if slices.ContainsFunc(ranked, func(i *instance) bool { return i.state == ready && now.Sub(i.readyAt) >= SteadyAfter }) {
		f.failures, f.retryAt = 0, time.Time{}
	}
}

// backoff is the wait after that many failures in a row.
func backoff(failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	wait := BackoffFirst
	for range failures - 1 {
		if wait *= 2; wait >= BackoffLast {
			return BackoffLast
		}
	}
	return wait
}

// consider stops and starts Instances of f as it is now.
func (s *Scheduler) consider(now time.Time, f *function) {
	f.considered = s.steps
	if f.removed {
		s.windUp(f)
		return
	}
	if f.disabled {
		s.disable(f)
		return
	}
	for _, i := range f.spare() {
		if now.Sub(i.neededAt) >= f.version.Spec.Scale.Idle {
			s.stop(i, StopIdle)
		}
	}
	f.blocked = ""
	for live := len(f.ranked()); live < f.target() && !now.Before(f.retryAt); live++ {
		if f.count(ready) == 0 && f.count(starting) > 0 {
			break // whoever waits, waits for that one
		}
		if !s.place(now, f) {
			break
		}
	}
	if f.blocked == "" {
		f.blockedAt = time.Time{}
	}
}

func (s *Scheduler) windUp(f *function) {
	for _, i := range f.ranked() {
		s.stop(i, StopRemoved)
	}
	f.blocked, f.blockedAt = "", time.Time{}
	if len(f.instances) == 0 {
		delete(s.byKey, f.key)
		s.functions = slices.DeleteFunc(s.functions, func(other *function) bool { return other == f })
	}
}

// disable stops what runs, and gives up those who wait.
func (s *Scheduler) disable(f *function) {
	for _, i := range f.ranked() {
		s.stop(i, StopDisabled)
	}
	f.blocked, f.blockedAt = "", time.Time{}
	s.refuse(f, "the tenant is disabled")
}

// block notes what f waits for.
func (f *function) block(now time.Time, why string) {
	f.blocked = why
	if f.blockedAt.IsZero() {
		f.blockedAt = now
	}
}

// place starts one Instance on the first node that has room; without any it makes f wait and asks idle
// Instances of others to go, where f has none.
func (s *Scheduler) place(now time.Time, f *function) bool {
	spec := f.version.Spec
	if !s.withinLimits(now, f) {
		return false
	}
	for _, n := range s.nodes {
		taken, fits := n.free.fit(spec, n.capacity.Devices)
		if !fits {
			continue
		}
		i := &instance{id: s.newID(f.key.Function), function: f, need: spec, node: n, slices: taken, neededAt: now}
		s.enter(i)
		s.decisions = append(s.decisions, Place{Instance: i.id, Version: f.version, Node: n.capacity.Name, Slices: taken})
		return true
	}
	f.block(now, s.explain(spec))
	switch {
	case !s.everFits(spec):
		s.refuse(f, "no room even on an empty node: "+f.blocked)
	case f.queued > 0 && len(f.ranked()) == 0:
		s.makeRoom(f)
	}
	return false
}

// enter makes an Instance hold its room.
func (s *Scheduler) enter(i *instance) {
	i.node.free.take(i)
	i.function.instances = append(i.function.instances, i)
	s.instances[i.id] = i
}

func (s *Scheduler) stop(i *instance, reason StopReason) {
	i.state = stopping
	s.decisions = append(s.decisions, Stop{Instance: i.id, Reason: reason})
}

func (s *Scheduler) fail(now time.Time, i *instance, reason string, lasting bool) {
	f := i.function
	f.touch(now)
	f.failure, f.failedAt = reason, now
	started := i.state == ready
	switch {
	case !started:
		f.failures++
		f.retryAt = now.Add(backoff(f.failures))
	case now.Sub(i.readyAt) < SteadyAfter: // it served: the first time it is replaced at once
		f.failures++
		f.retryAt = now.Add(backoff(f.failures - 1))
	}
	s.stop(i, StopFailed)
	if !started && (lasting || f.failures >= RefuseAfter) {
		s.refuse(f, reason)
	}
	s.consider(now, f)
}

// refuse gives up those who wait for f, unless an Instance is there or on its way.
func (s *Scheduler) refuse(f *function, reason string) {
	if f.queued > 0 && len(f.ranked()) == 0 {
		s.decisions = append(s.decisions, Refuse{Key: f.key, Reason: reason})
	}
}

// forget drops an Instance of which nothing is left.
func (s *Scheduler) forget(now time.Time, i *instance) {
	f := i.function
	f.touch(now)
	i.node.free.give(i)
	delete(s.instances, i.id)
	f.instances = slices.DeleteFunc(f.instances, func(other *instance) bool { return other == i })
	s.consider(now, f)
}

// considerBlocked tries the functions that wait for room, who waits longest first.
func (s *Scheduler) considerBlocked(now time.Time) {
	var waiting []*function
	for _, f := range s.functions {
		if !f.blockedAt.IsZero() && f.considered != s.steps {
			waiting = append(waiting, f)
		}
	}
	slices.SortStableFunc(waiting, func(a, b *function) int { return a.blockedAt.Compare(b.blockedAt) })
	for _, f := range waiting {
		f.touch(now)
		s.consider(now, f)
	}
}
