// Package batcher decides which Requests of one function run together, and when: as many as possible shall meet
// their deadline.
//
// It is a pure core. A Policy holds the queue of one function; its owner tells it what happens (Arrive, Cancel,
// Complete) and asks it with a clock value what to do (Decide). Time is a number of nanoseconds on a clock that
// the owner chooses and that never goes back. Payloads stay with the owner, who finds them by the Request's ID.
package batcher

import (
	"errors"
	"fmt"
	"math"
)

// Never is the time that does not come: the deadline of a Request without one, the wake-up of an empty queue.
const Never int64 = math.MaxInt64

// DefaultPriority is the priority of a Request that names none.
const DefaultPriority = 8

// ErrPolicy is the error of a policy that does not exist or whose limits make no sense.
var ErrPolicy = errors.New("batch policy")

// Request is one request as far as batching is concerned.
type Request struct {
	// ID is unique among the Requests of a Policy.
	ID uint64
	// ShapeClass is equal for Requests that can be joined: same tensors, datatypes and trailing dimensions.
	ShapeClass string
	// Size is the number of rows along the first dimension, at least 1.
	Size int
	// Arrival is when the Request came, also where it comes a second time because its slot failed.
	Arrival int64
	// Deadline is when the answer is of no use any more, or Never.
	Deadline int64
	// Priority is 1 for the highest; 0 stands for DefaultPriority. It goes before the deadline.
	Priority uint32
}

// Cause says why a Batch was released when it was.
type Cause string

const (
	// CauseFull means that no more rows fit, or none may be added.
	CauseFull Cause = "full"
	// CauseWaited means that one of the Batch's class had waited as long as it may.
	CauseWaited Cause = "waited"
	// CauseBest means that no wait for others promised more answers on time.
	CauseBest Cause = "best"
)

// Causes lists them all.
var Causes = []Cause{CauseFull, CauseWaited, CauseBest}

// Batch is a set of Requests of one shape class that run together on one slot.
type Batch struct {
	// ID is unique among the Batches of a Policy.
	ID         uint64
	ShapeClass string
	// Requests lists the IDs in the order in which they are to be joined.
	Requests []uint64
	// Size is the sum of the Requests' sizes.
	Size  int
	Cause Cause
	// Expected is the nanoseconds that the Batch should hold its slot by what was learned; 0: nothing was.
	Expected int64
}

// Completion tells how a Batch went.
type Completion struct {
	Batch      uint64
	ShapeClass string
	Size       int
	// Duration is the nanoseconds that the Batch held its slot, or would have if nobody else had had the device.
	Duration int64
	// Failed means that Duration says nothing about how long such a Batch takes.
	Failed bool
}

// Reason says why a Request was shed.
type Reason string

const (
	// ReasonExpired means that the deadline passed in the queue.
	ReasonExpired Reason = "expired"
	// ReasonLate means that the deadline could no longer be met, even alone and at once.
	ReasonLate Reason = "late"
)

// Shed is a Request that will not run.
type Shed struct {
	ID     uint64
	Reason Reason
}

// Decision is what to do now. A Request in Batches or in Shed has left the queue.
type Decision struct {
	// Batches to run now, each on a slot of its own, no more than there are free slots.
	Batches []Batch
	Shed    []Shed
	// WakeAt is when to call Decide again if nothing happens before, or Never.
	WakeAt int64
	// Yields says that a Batch would run now if others did not have the device.
	Yields bool
	// Patience is how long Requests are ready to wait, in the mean; 0: nothing is known.
	Patience int64
}

// Share is what a Policy has to know of those with whom its function shares a device. The zero value is nobody.
type Share struct {
	// Until is when the others are expected to be done with the device, not after now where it is idle.
	Until int64
	// Turn is how many nanoseconds a Batch may hold the device so that others are on time too; 0: as long as it takes.
	Turn int64
	// Gap is how many nanoseconds the others have the device between two Batches.
	Gap int64
}

// Policy is the queue of one function and the rule that forms Batches from it. It is not safe for concurrent use.
type Policy interface {
	// Arrive queues a Request; also one that was dispatched but never reached the function.
	Arrive(Request)
	// Cancel drops a queued Request. One that is not in the queue is ignored.
	Cancel(id uint64)
	// Complete reports the end of a Batch, so that a Policy can learn how long its like take.
	Complete(Completion)
	// Decide is called after events, and at the WakeAt of the last Decision. free is the number of execution slots
	// that stand idle at now, shared what others do with their device.
	Decide(now int64, free int, shared Share) Decision
}

// Limits bound what a Policy may do.
type Limits struct {
	// MaxSize is the most rows in a Batch, at least 1. A Request that is larger runs alone.
	MaxSize int
	// MaxWait is the nanoseconds for which a Request may wait for others while a slot is free. To "adaptive" 0 means
	// that deadlines alone bound it.
	MaxWait int64
}

// New returns the Policy of that name: "adaptive" learns how long batches take and plans them so that as many answers
// as possible are on time; "window" gathers Requests until a Batch is full or one of them has waited
// long enough; "none" runs each Request alone. An unknown name or limits out of range give ErrPolicy.
func New(name string, limits Limits) (Policy, error) {
	if limits.MaxSize < 1 {
		return nil, fmt.Errorf("%w: max_size %d is less than 1", ErrPolicy, limits.MaxSize)
	}
	if limits.MaxWait < 0 {
		return nil, fmt.Errorf("%w: max_wait %d ns is negative", ErrPolicy, limits.MaxWait)
	}
	switch name {
	case "adaptive":
		return newAdaptive(limits), nil
	case "window":
		return newWindow(limits), nil
	case "none":
		return newWindow(Limits{MaxSize: 1}), nil
	}
	return nil, fmt.Errorf("%w: %q is none of adaptive, window and none", ErrPolicy, name)
}
