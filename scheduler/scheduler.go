// Package scheduler decides which Instances run where and with which Slices: first fit over CPU, memory and
// device slice together, started on demand, stopped after idling.
//
// It is a pure core. The owner tells it what happened (Step) with a clock value that never goes back, carries
// out what Step returns, and calls Step with a Tick at the time that Next names. A function of which nothing
// runs has at most one start in flight, whoever waits; starts that fail are tried again ever more slowly.
package scheduler

import (
	"fmt"
	"strings"
	"time"

	"sluice/broker/device"
	"sluice/store"
)

// How failed starts are repeated.
const (
	BackoffFirst = time.Second // after the first failure; doubles with each
	BackoffLast  = time.Minute // the longest
	// RefuseAfter is how many starts in a row must fail until those who wait are refused.
	RefuseAfter = 2
	// SteadyAfter is how long an Instance must be ready for its failure to count as the first one.
	SteadyAfter = 30 * time.Second
)

// Key names one Version of a Function.
type Key struct {
	Tenant   string
	Function string
	Version  string
}

// String gives "tenant/function/version".
func (k Key) String() string { return store.VersionRecord(k.Tenant, k.Function, k.Version) }

// KeyOf gives the Key of a Version.
func KeyOf(v store.Version) Key {
	return Key{Tenant: v.Tenant, Function: v.Function, Version: v.Number}
}

// Node is what one machine can give to Instances.
type Node struct {
	Name        string
	CPUMilli    int
	MemoryBytes uint64
	Devices     []Device
}

// Device is a Device of a node and how much of it others than Instances hold.
type Device struct {
	device.Device
	ReservedMemoryBytes  uint64
	ReservedComputeMilli int
}

// Event is something that happened.
type Event interface{ event() }

type (
	// NodeChanged says what a node has: new, or in place of what was known of it; and which Instances of an earlier
	// Scheduler run there and are kept. Each of them is as one that a Place has started.
	NodeChanged struct {
		Node    Node
		Adopted []Adopted
	}
	// Deployed makes a Version known. It is a mistake to change a Version that was not removed.
	Deployed struct{ Version store.Version }
	// Removed asks for all Instances of a Version to be stopped and for it to be forgotten.
	Removed struct{ Key Key }
	// DemandChanged says how many requests of a Version wait and how many are being run.
	DemandChanged struct {
		Key              Key
		Queued, InFlight int
	}
	// InstanceReady says that an Instance takes requests now.
	InstanceReady struct{ Instance string }
	// InstanceFailed says that an Instance did not become ready, or is of no use any more. It is answered with a
	// Stop, unless the Instance is being stopped already. Lasting: another try would fail in the same way.
	InstanceFailed struct {
		Instance, Reason string
		Lasting          bool
	}
	// InstanceStopped says that nothing is left of an Instance: what it held is free.
	InstanceStopped struct{ Instance string }
	// TenantChanged says what a tenant may have. Tenants that it was not told of have no limits.
	TenantChanged struct{ Tenant store.Tenant }
	// Tick says only what time it is.
	Tick struct{}
)

func (NodeChanged) event()     {}
func (Deployed) event()        {}
func (Removed) event()         {}
func (DemandChanged) event()   {}
func (InstanceReady) event()   {}
func (InstanceFailed) event()  {}
func (InstanceStopped) event() {}
func (TenantChanged) event()   {}
func (Tick) event()            {}

// Adopted is an Instance of an earlier Scheduler. Its Version is known: see Version.
type Adopted struct {
	Instance string
	Key      Key
	Slices   []device.Slice // none: the function asks for no device
}

// Decision is something to do.
type Decision interface{ decision() }

type (
	// Place starts an Instance of a Version on a node. It is answered with InstanceReady or InstanceFailed.
	Place struct {
		Instance string
		Version  store.Version
		Node     string
		Slices   []device.Slice // none: the function asks for no device
	}
	// Stop ends an Instance, ready or not: it gets no further requests, finishes those it has (not after a
	// failure) and goes. It is answered with InstanceStopped.
	Stop struct {
		Instance string
		Reason   StopReason
	}
	// Refuse tells those who wait for a Version that no Instance comes soon, and why. Later demand is tried again.
	Refuse struct {
		Key    Key
		Reason string
	}
)

func (Place) decision()  {}
func (Stop) decision()   {}
func (Refuse) decision() {}

// StopReason is why an Instance is stopped.
type StopReason string

// Reasons for a Stop.
const (
	StopIdle     StopReason = "idle"     // no demand for the function's idle time
	StopPressure StopReason = "pressure" // idle, and another function waits for its room or its part of the tenant's limits
	StopRemoved  StopReason = "removed"
	StopFailed   StopReason = "failed"
	StopDisabled StopReason = "disabled" // its tenant is
)

// Scheduler is the core's state. It is not for concurrent use.
type Scheduler struct {
	epoch     string
	sequence  uint64 // of Instances
	steps     uint64
	nodes     []*node
	functions []*function // in order of deployment
	byKey     map[Key]*function
	instances map[string]*instance
	tenants   map[string]store.Tenant
	decisions []Decision // of the present Step
}

// New makes a Scheduler that knows no node and no function. The ids of its Instances hold epoch (some
// of a-z, 0-9), so that two Schedulers with different epochs never give the same id.
func New(epoch string) *Scheduler {
	return &Scheduler{epoch: epoch, byKey: make(map[Key]*function), instances: make(map[string]*instance), tenants: make(map[string]store.Tenant)}
}

// Step takes one event at the time now and returns what to do, in this order. What an event names and the
// Scheduler does not know is ignored: it was forgotten meanwhile.
func (s *Scheduler) Step(now time.Time, event Event) []Decision {
	s.decisions = nil
	s.steps++
	switch e := event.(type) {
	case NodeChanged:
		n := s.setNode(e.Node)
		for _, adopted := range e.Adopted {
			s.adopt(now, n, adopted)
		}
	case Deployed:
		s.deploy(now, e.Version)
	case Removed:
		if f := s.byKey[e.Key]; f != nil {
			f.touch(now)
			f.removed, f.queued, f.inFlight = true, 0, 0
			s.consider(now, f)
		}
	case DemandChanged:
		if f := s.byKey[e.Key]; f != nil && !f.removed {
			f.touch(now)
			f.queued, f.inFlight = max(e.Queued, 0), max(e.InFlight, 0)
			s.consider(now, f)
		}
	case InstanceReady:
		if i := s.instances[e.Instance]; i != nil && i.state == starting {
			i.function.touch(now)
			i.state, i.readyAt, i.neededAt = ready, now, now
			s.consider(now, i.function)
		}
	case InstanceFailed:
		if i := s.instances[e.Instance]; i != nil && i.state != stopping {
			s.fail(now, i, e.Reason, e.Lasting)
		}
	case InstanceStopped:
		if i := s.instances[e.Instance]; i != nil {
			s.forget(now, i)
		}
	case TenantChanged:
		s.setTenant(now, e.Tenant)
	case Tick:
		for _, f := range s.functions {
			f.touch(now)
			s.consider(now, f)
		}
	}
	s.considerBlocked(now) // room may have come free, or another's Instance idle
	return s.decisions
}

func (s *Scheduler) deploy(now time.Time, version store.Version) {
	f := s.byKey[KeyOf(version)]
	if f == nil {
		f = &function{key: KeyOf(version), disabled: s.tenants[version.Tenant].Disabled}
		s.byKey[f.key] = f
		s.functions = append(s.functions, f)
	}
	f.version, f.removed = version, false
	f.failures, f.retryAt, f.failure, f.failedAt = 0, time.Time{}, "", time.Time{}
	s.consider(now, f)
}

// Version finds a Version that is deployed and not removed.
func (s *Scheduler) Version(key Key) (store.Version, bool) {
	f := s.byKey[key]
	if f == nil || f.removed {
		return store.Version{}, false
	}
	return f.version, true
}

// adopt enters an Instance that an earlier Scheduler placed. It holds its room also where there is too little.
func (s *Scheduler) adopt(now time.Time, n *node, adopted Adopted) {
	f := s.byKey[adopted.Key]
	if f == nil || s.instances[adopted.Instance] != nil {
		return
	}
	f.touch(now)
	s.enter(&instance{
		id: adopted.Instance, function: f, need: f.version.Spec, node: n, slices: adopted.Slices, neededAt: now,
	})
	if f.removed || f.disabled {
		s.consider(now, f)
	}
}

// newID gives an id that is a sandbox's id as well as a part of a path: short, of a-z, 0-9 and single '-'.
func (s *Scheduler) newID(function string) string {
	const functionBytesMax = 24
	s.sequence++
	name := function[:min(len(function), functionBytesMax)]
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '-' })
	return fmt.Sprintf("%s-%s-%d", strings.Join(parts, "-"), s.epoch, s.sequence)
}
