// Package simulator runs batching policies against a simulated device and compares them with the best that anybody
// could have done. It is a yardstick and no part of what serves requests.
//
// A Curve says how long a batch takes, an Arrivals who comes when, a Setup joins them; Run plays them against a
// batcher.Policy, and Optimum knows the future. rivals.go names the published policies that are built in beside our own.
package simulator

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"sluice/batcher"
)

// Arrival is one request: when it comes and when its answer is of no use any more, in nanoseconds.
type Arrival struct{ At, Deadline int64 }

// Setup is what a policy is run against.
type Setup struct {
	Curve    Curve
	Arrivals []Arrival
	// Warmup comes first, with the same policy on the same device; what happens to it is not counted.
	Warmup []Arrival
	// Slots is the number of batches that the device runs at once, each as fast as if alone; 0 stands for 1.
	Slots int
	// Noise is the standard deviation of a batch's duration in parts of it.
	Noise float64
	// Slowdown is what batches take in each second phase of the device, in parts of what they take in the others; phases
	// are exponential with a mean of 400 ms. 0 stands for 1.
	Slowdown float64
	// Step is what durations are rounded to, in nanoseconds, where it is not 0.
	Step int64
	Seed uint64
}

// Outcome is what became of one Arrival. Dispatch and Completion are -1 where it was shed.
type Outcome struct {
	Arrival
	Dispatch, Completion int64
	// Size is the number of requests in its batch, 0 where it was shed.
	Size int
}

// OnTime says whether the answer came by the deadline.
func (o Outcome) OnTime() bool { return o.Completion >= 0 && o.Completion <= o.Deadline }

// phaseMean is the mean length of a device's phases, in nanoseconds.
const phaseMean = 400e6

// minDurationFactor bounds what noise makes of a duration.
const minDurationFactor = 0.2

// run is one simulation on its way. Requests' IDs are their index plus 1.
type run struct {
	setup    Setup
	policy   batcher.Policy
	random   *rand.Rand
	outcomes []Outcome
	queued   map[uint64]bool
	running  []flight
	slots    int
	now      int64
	wakeAt   int64
	// slow is set until phaseEnd in a phase of Slowdown, or not set.
	slow     bool
	phaseEnd int64
}

type flight struct {
	batch      batcher.Batch
	start, end int64
}

// Run plays a setup against a policy and returns what became of each Arrival but the Warmup's. An error means that
// the policy broke a rule: ran what is not queued, used more slots than there are, or stopped with requests queued.
func Run(setup Setup, policy batcher.Policy) ([]Outcome, error) {
	r := &run{
		setup: setup, policy: policy, random: rand.New(rand.NewPCG(setup.Seed, 0x51)),
		queued: make(map[uint64]bool), slots: max(setup.Slots, 1), wakeAt: batcher.Never,
	}
	all := setup.Arrivals
	if len(setup.Warmup) > 0 {
		// The measured part begins when all of the warm-up has ended in one way or the other.
		shift := setup.Warmup[0].At
		for _, w := range setup.Warmup {
			shift = max(shift, w.Deadline)
		}
		shift += setup.Curve.Duration(setup.Curve.MaxSize)
		all = append([]Arrival(nil), setup.Warmup...)
		for _, a := range setup.Arrivals {
			all = append(all, Arrival{a.At + shift, a.Deadline + shift})
		}
	}
	r.outcomes = make([]Outcome, len(all))
	for next := 0; ; {
		at := r.nextEvent(all, next)
		if at == batcher.Never {
			break
		}
		r.now = at
		r.complete()
		for next < len(all) && all[next].At <= r.now {
			r.outcomes[next] = Outcome{Arrival: all[next], Dispatch: -1, Completion: -1}
			r.queued[uint64(next+1)] = true
			policy.Arrive(batcher.Request{ID: uint64(next + 1), Size: 1, Arrival: all[next].At, Deadline: all[next].Deadline})
			next++
		}
		if err := r.decide(); err != nil {
			return nil, err
		}
	}
	if len(r.queued) > 0 {
		return nil, fmt.Errorf("policy leaves %d requests in its queue and asks not to be woken", len(r.queued))
	}
	return r.outcomes[len(setup.Warmup):], nil
}

// nextEvent is the time of the next arrival, completion or wake-up, or Never.
func (r *run) nextEvent(all []Arrival, next int) int64 {
	at := r.wakeAt
	if next < len(all) {
		at = min(at, all[next].At)
	}
	for _, f := range r.running {
		at = min(at, f.end)
	}
	if at != batcher.Never {
		at = max(at, r.now)
	}
	return at
}

func (r *run) complete() {
	kept := r.running[:0]
	for _, f := range r.running {
		if f.end > r.now {
			kept = append(kept, f)
			continue
		}
		r.policy.Complete(batcher.Completion{Batch: f.batch.ID, Size: f.batch.Size, Duration: f.end - f.start})
	}
	r.running = kept
}

func (r *run) decide() error {
	decision := r.policy.Decide(r.now, r.slots-len(r.running), batcher.Share{})
	for _, s := range decision.Shed {
		if !r.queued[s.ID] {
			return fmt.Errorf("at %v the policy sheds request %d, which is not queued", time.Duration(r.now), s.ID)
		}
		delete(r.queued, s.ID)
	}
	for _, b := range decision.Batches {
		if len(b.Requests) == 0 || len(b.Requests) != b.Size {
			return fmt.Errorf("batch %d has %d requests and says %d", b.ID, len(b.Requests), b.Size)
		}
		end := r.now + r.duration(b.Size)
		for _, id := range b.Requests {
			if !r.queued[id] {
				return fmt.Errorf("batch %d takes request %d, which is not queued", b.ID, id)
			}
			delete(r.queued, id)
			o := &r.outcomes[id-1]
			o.Dispatch, o.Completion, o.Size = r.now, end, b.Size
		}
		r.running = append(r.running, flight{b, r.now, end})
	}
	if len(r.running) > r.slots {
		return fmt.Errorf("%d batches run on %d slots", len(r.running), r.slots)
	}
	if decision.WakeAt <= r.now {
		return fmt.Errorf("at %v the policy asks to be woken at %v", time.Duration(r.now), time.Duration(decision.WakeAt))
	}
	r.wakeAt = decision.WakeAt
	return nil
}

// duration draws how long a batch takes now.
func (r *run) duration(size int) int64 {
	factor := max(minDurationFactor, 1+r.setup.Noise*r.random.NormFloat64())
	if r.setup.Slowdown > 0 {
		for r.now >= r.phaseEnd {
			r.slow = !r.slow
			r.phaseEnd += int64(phaseMean * r.random.ExpFloat64())
		}
		if r.slow {
			factor *= r.setup.Slowdown
		}
	}
	duration := int64(float64(r.setup.Curve.Duration(size)) * factor)
	if step := r.setup.Step; step > 0 {
		return (duration + step/2) / step * step
	}
	return duration
}

// Goodput counts the outcomes that are on time.
func Goodput(outcomes []Outcome) int {
	n := 0
	for _, o := range outcomes {
		if o.OnTime() {
			n++
		}
	}
	return n
}

// nanoseconds turns milliseconds into the simulator's time.
func nanoseconds(milliseconds float64) int64 { return int64(math.Round(milliseconds * 1e6)) }
