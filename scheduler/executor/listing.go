package executor

import (
	"cmp"
	"slices"
	"time"

	"sluice/scheduler"
)

// State of an Instance, as listings show it.
type State string

// The states of an Instance from its Placement to its end.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Draining State = "draining" // off the route; being stopped and cleared away
)

// Instance is what there is to tell of one Instance.
type Instance struct {
	ID        string
	Key       scheduler.Key
	Node      string
	State     State
	PID       int    // 0 before the program runs
	Target    string // in gRPC's syntax; empty before the program runs
	LeaseID   string // empty without a device
	LogPath   string
	StartedAt time.Time // when it was decided
	ReadyAt   time.Time // zero before
	ColdStart ColdStart // the phases that are over
}

// ColdStart is how long each phase of a start took.
type ColdStart struct {
	Lease  time.Duration // until the broker had granted it, with a worker ready; next to nothing without a device
	Create time.Duration // until the Sandbox was made
	Start  time.Duration // until its program ran
	Ready  time.Duration // until the function said that it is ready: its program started, loaded and warmed up
}

// Total is the sum of the phases.
func (c ColdStart) Total() time.Duration { return c.Lease + c.Create + c.Start + c.Ready }

// Instances lists those that exist, in the order of their Placements.
func (e *Executor) Instances() []Instance {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	all := make([]Instance, 0, len(e.running))
	for _, i := range e.running {
		all = append(all, i.info)
	}
	slices.SortFunc(all, func(a, b Instance) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// Functions says how each Version stands: its demand, and why it has no Instance if it lacks one.
func (e *Executor) Functions() []scheduler.Status {
	e.coreMutex.Lock()
	defer e.coreMutex.Unlock()
	return e.core.Status()
}

func (e *Executor) update(i *instance, change func(*Instance)) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	change(&i.info)
}

func (e *Executor) coldStart(i *instance) ColdStart {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return i.info.ColdStart
}
