package batcher

import "testing"

// TestAdaptiveRecoversFromOverestimates has a device become fast after it was too slow for every deadline: requests must
// not be shed for ever because of what was learned before.
func TestAdaptiveRecoversFromOverestimates(t *testing.T) {
	a := newAdaptive(Limits{MaxSize: 8})
	now, id, ran, duration := int64(0), uint64(0), 0, int64(1000)
	for range 2000 {
		now += 50
		id++
		a.Arrive(Request{ID: id, Size: 1, Arrival: now, Deadline: now + 100})
		for _, b := range a.Decide(now, 1).Batches {
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

// TestAdaptiveKeepsToMaxSize has a queue so long that a plan takes neighbours together.
func TestAdaptiveKeepsToMaxSize(t *testing.T) {
	a := newAdaptive(Limits{MaxSize: 4})
	for id := range uint64(400) {
		a.Arrive(Request{ID: id, Size: 1 + int(id%3), Deadline: 1_000_000 + int64(id)})
	}
	now, ran := int64(0), 0
	for range 1000 {
		for _, b := range a.Decide(now, 1).Batches {
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
