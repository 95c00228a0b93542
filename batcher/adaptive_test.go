package batcher

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestAdaptiveRecoversFromOverestimates has a device become fast after it was too slow for every deadline: requests must
// not be shed for ever because of what was learned before.
func TestAdaptiveRecoversFromOverestimates(t *testing.T) {
	a := newAdaptive(Limits{MaxSize: 8})
	now, id, ran, duration := int64(0), uint64(0), 0, int64(1000)
	for range 2000 {
		now += 50
		id++
		a.Arrive(Request{ID: id, Size: 1, Arrival: now, Deadline: now + 100})
		for _, b := range a.Decide(now, 1, Share{}).Batches {
			now += duration
			a.Complete(Completion{Batch: b.ID, Size: b.Size, Duration: duration})
			if duration == 10 {
				ran += len(b.Requests)
			}
		}
		if id == 200 {
			duration = 10
		}
	}
	if ran < 500 {
		t.Errorf("%d of 1800 requests ran after the device had become fast", ran)
	}
}

// testDevice runs a policy's batches one at a time; ends is Never while none runs.
type testDevice struct {
	adaptive     *adaptive
	running      Completion
	ends, wakeAt int64
}

// complete tells the policy of the batch that has ended by now, if one has.
func (d *testDevice) complete(now int64) (ended bool) {
	if now < d.ends {
		return false
	}
	d.adaptive.Complete(d.running)
	d.ends = Never
	return true
}

func (d *testDevice) decide(now int64) []Batch {
	slots := 0
	if d.ends == Never {
		slots = 1
	}
	decision := d.adaptive.Decide(now, slots, Share{})
	d.wakeAt = decision.WakeAt
	return decision.Batches
}

func (d *testDevice) run(now int64, b Batch, duration int64) {
	d.running = Completion{Batch: b.ID, Size: b.Size, Duration: duration}
	d.ends = now + duration
}

// TestAdaptiveForgetsASlowStart has a device that took twelve times as long when each size was tried, as while others start
// beside it. By what was learned none is on time, and one by one few requests are.
func TestAdaptiveForgetsASlowStart(t *testing.T) {
	const interval, patience, maxSize, count = 10, 1000, 32, 40_000
	duration := func(size int) int64 { return int64(100 + 5*size) }
	a := newAdaptive(Limits{MaxSize: maxSize})
	a.Arrive(Request{ID: count + 1, Size: 1, Deadline: patience})
	a.Cancel(count + 1)
	for size := 1; size <= maxSize; size++ {
		for range 3 {
			a.classes[""].latency.learn(size, 12*duration(size))
		}
	}
	device, onTime := testDevice{adaptive: a, ends: Never, wakeAt: Never}, 0
	for now, id := int64(0), uint64(0); id < count; now++ {
		arrives := now%interval == 0
		if arrives {
			id++
			a.Arrive(Request{ID: id, Size: 1, Arrival: now, Deadline: now + patience})
		}
		ended := device.complete(now)
		if !arrives && !ended && now < device.wakeAt {
			continue
		}
		for _, b := range device.decide(now) {
			slowness := max(1, 12-int64(id)/500)
			device.run(now, b, slowness*duration(b.Size))
			for _, member := range b.Requests {
				if member > count/2 && device.ends <= int64(member-1)*interval+patience {
					onTime++
				}
			}
		}
	}
	if onTime < count/2*95/100 {
		t.Errorf("%d of the last %d requests were on time", onTime, count/2)
	}
}

// TestAdaptiveWithOutliers has a device at nearly its capacity that now and then takes twice as long, and a host that stalls
// then, so that many requests come at once. Plans must not spend their work on what is hardly at risk, and run few requests
// while many wait.
func TestAdaptiveWithOutliers(t *testing.T) {
	const ms = 1_000_000
	random := rand.New(rand.NewPCG(1, 2))
	a := newAdaptive(Limits{MaxSize: 32})
	device := testDevice{adaptive: a, ends: Never, wakeAt: Never}
	now, next, stall, id, hasty := int64(0), int64(0), int64(0), uint64(0), 0
	for range 50_000 {
		now = max(now, min(device.ends, device.wakeAt, max(next, stall)))
		device.complete(now)
		for now >= stall && next <= now {
			id++
			a.Arrive(Request{ID: id, Size: 1, Arrival: now, Deadline: next + 47*ms})
			next += int64(random.ExpFloat64() * ms / 4)
		}
		for _, b := range device.decide(now) {
			factor := max(0.5, 1+0.15*random.NormFloat64())
			if random.IntN(40) == 0 {
				factor *= 2
				stall = now + random.Int64N(2)*12*ms
			}
			device.run(now, b, int64((2.5+0.15*float64(b.Size))*factor*ms))
			if b.Size < 12 && len(a.classes[""].queue) > 40 {
				hasty++
			}
		}
	}
	if hasty > 20 {
		t.Errorf("%d of %d batches were of fewer than 12 while more than 40 requests waited, want at most 20", hasty, a.batches)
	}
}

// TestAdaptiveKeepsToMaxSize has a queue so long that a plan takes neighbours together.
func TestAdaptiveKeepsToMaxSize(t *testing.T) {
	a := newAdaptive(Limits{MaxSize: 4})
	for id := range uint64(400) {
		a.Arrive(Request{ID: id, Size: 1 + int(id%3), Deadline: 1_000_000 + int64(id)})
	}
	now, ran := int64(0), 0
	for range 1000 {
		for _, b := range a.Decide(now, 1, Share{}).Batches {
			if b.Size > 4 {
				t.Fatalf("batch %d has %d rows", b.ID, b.Size)
			}
			now += 10
			ran += len(b.Requests)
			a.Complete(Completion{Batch: b.ID, Size: b.Size, Duration: 10})
		}
		now++
	}
	if ran != 400 {
		t.Errorf("%d of 400 requests ran", ran)
	}
}

// TestAdaptiveNeverLeavesAFreeSlot has requests with a far deadline, or with none, on a device whose batches take any time
// between one and five hundred: no request may wait beside a free slot for longer than several batches take.
func TestAdaptiveNeverLeavesAFreeSlot(t *testing.T) {
	const longest = 500
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		a := newAdaptive(Limits{MaxSize: 8})
		now, id, queued := int64(0), uint64(0), 0
		for range 300 {
			for ; queued < 16; queued++ {
				id++
				deadline := Never
				if random.IntN(2) == 0 {
					deadline = now + 1_000_000
				}
				a.Arrive(Request{ID: id, Size: 1 + random.IntN(3), Arrival: now, Deadline: deadline})
			}
			decision := a.Decide(now, 1, Share{})
			if len(decision.Batches) == 0 {
				if decision.WakeAt > now+softWaits*longest {
					t.Fatalf("seed %d: %d requests wait for %d beside a free slot", seed, queued, decision.WakeAt-now)
				}
				now = decision.WakeAt
				continue
			}
			b := decision.Batches[0]
			queued -= len(b.Requests)
			duration := int64(math.Pow(longest, random.Float64()))
			now += duration
			a.Complete(Completion{Batch: b.ID, Size: b.Size, Duration: duration})
		}
	}
}
