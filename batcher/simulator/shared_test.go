package simulator

import (
	"math"
	"testing"

	"sluice/batcher"
)

// guest is a function that shares the simulated device with others.
type guest struct {
	curve    Curve
	weight   float64
	arrivals []Arrival
	policy   batcher.Policy
	next     int
	wakeAt   int64
	onTime   int
	deadline map[uint64]int64
}

// work is a batch on the device: what is left of it, in nanoseconds of a device of its own.
type work struct {
	guest *guest
	name  int
	batch batcher.Batch
	begun int64
	left  float64
}

// sharedDevice runs the batches of several functions at once, each at its weight's part of the speed, and all together a
// part slower than one after the other.
type sharedDevice struct {
	guests  []*guest
	turns   *batcher.Turns[int] // nil: nobody waits for a turn
	running []work
	now     int64
	// efficiency is the speed of all together where more than one runs.
	efficiency float64
}

func (d *sharedDevice) speed(w work) float64 {
	if len(d.running) == 1 {
		return 1
	}
	sum := 0.0
	for _, other := range d.running {
		sum += other.guest.weight
	}
	return d.efficiency * w.guest.weight / sum
}

// run plays all arrivals to their end.
func (d *sharedDevice) run() {
	for {
		at := batcher.Never
		for _, g := range d.guests {
			at = min(at, g.wakeAt)
			if g.next < len(g.arrivals) {
				at = min(at, g.arrivals[g.next].At)
			}
		}
		for _, w := range d.running {
			at = min(at, d.now+int64(math.Ceil(w.left/d.speed(w))))
		}
		if at == batcher.Never {
			return
		}
		d.advance(max(at, d.now))
	}
}

func (d *sharedDevice) advance(at int64) {
	passed := float64(at - d.now)
	kept, ended := d.running[:0:0], []work(nil)
	for _, w := range d.running {
		w.left -= passed * d.speed(w)
		if w.left > 0.5 {
			kept = append(kept, w)
		} else {
			ended = append(ended, w)
		}
	}
	d.running, d.now = kept, at
	for _, w := range ended {
		d.end(w)
	}
	if d.turns != nil && len(ended) > 0 {
		for _, name := range d.turns.Waiting() {
			d.decide(name)
		}
	}
	for name, g := range d.guests {
		for ; g.next < len(g.arrivals) && g.arrivals[g.next].At <= at; g.next++ {
			a := g.arrivals[g.next]
			id := uint64(g.next + 1)
			g.deadline[id] = a.Deadline
			g.policy.Arrive(batcher.Request{ID: id, Size: 1, Arrival: a.At, Deadline: a.Deadline})
		}
		d.decide(name)
	}
}

func (d *sharedDevice) end(w work) {
	took := d.now - w.begun
	if d.turns != nil {
		took = d.turns.End(w.name, w.batch.ID, d.now)
	}
	w.guest.policy.Complete(batcher.Completion{Batch: w.batch.ID, Size: w.batch.Size, Duration: took})
	for _, id := range w.batch.Requests {
		if d.now <= w.guest.deadline[id] {
			w.guest.onTime++
		}
	}
}

func (d *sharedDevice) decide(name int) {
	g := d.guests[name]
	free, shared := 1, batcher.Share{}
	for _, w := range d.running {
		if w.guest == g {
			free = 0
		}
	}
	if d.turns != nil {
		shared = d.turns.Share(name, d.now)
	}
	decision := g.policy.Decide(d.now, free, shared)
	g.wakeAt = decision.WakeAt
	for _, b := range decision.Batches {
		d.running = append(d.running, work{g, name, b, d.now, float64(g.curve.Duration(b.Size))})
		if d.turns != nil {
			d.turns.Begin(name, b.ID, d.now, b.Expected)
		}
	}
	if d.turns != nil {
		d.turns.Ask(name, d.now, decision.Yields, decision.Patience)
	}
}

// share has two functions, the second of which asks for more than the device can do; it returns the parts that each has had
// answered: the first of what it asked for, both of what one function alone could.
func share(t *testing.T, curve Curve, weights [2]float64, takeTurns bool) (first, both float64) {
	t.Helper()
	const requests = 4000
	device := &sharedDevice{efficiency: 0.75}
	if takeTurns {
		device.turns = batcher.NewTurns[int]()
	}
	rates := [2]float64{0.6 * weights[0] / (weights[0] + weights[1]), 1.2}
	var span int64
	for i := range 2 {
		policy, err := NewPolicy("adaptive", curve)
		if err != nil {
			t.Fatal(err)
		}
		count := int(requests * rates[i] / rates[1])
		arrivals := Processes()[0].Draw(uint64(20+i), rates[i]*curve.Capacity(), count, curve.SLO)
		span = max(span, arrivals[count-1].At)
		device.guests = append(device.guests, &guest{
			curve: curve, weight: weights[i], arrivals: arrivals, policy: policy, wakeAt: batcher.Never, deadline: make(map[uint64]int64),
		})
		if takeTurns {
			device.turns.Join(i, weights[i])
		}
	}
	device.run()
	a, b := device.guests[0], device.guests[1]
	return float64(a.onTime) / float64(len(a.arrivals)), float64(a.onTime+b.onTime) / (curve.Capacity() * float64(span))
}

// TestTurnsKeepAFunctionsPart compares a device whose functions take turns with one on which they run at once.
func TestTurnsKeepAFunctionsPart(t *testing.T) {
	for _, curve := range Published() {
		for _, weights := range [][2]float64{{250, 250}, {375, 125}, {125, 375}} {
			crowdedFirst, crowdedBoth := share(t, curve, weights, false)
			first, both := share(t, curve, weights, true)
			if first < 0.55 || first+both < crowdedFirst+crowdedBoth {
				t.Errorf("%s %v: the first has %.3f of what it asks for, both %.3f of the capacity; at once %.3f, %.3f",
					curve.Name, weights, first, both, crowdedFirst, crowdedBoth)
			}
		}
	}
}
